"""The data sets that can enter the workflow, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from floodloom.datasets import etci2021, geotiff, ombria
from floodloom.datasets.scenes import Chips, LabelledScene
from floodloom.errors import InputError

SCENES: dict[str, Callable[[Path], Iterator[LabelledScene]]] = {
    "etci2021": etci2021.scenes,
    "folder": partial(geotiff.scenes, layout=geotiff.FOLDER),
    "sen1floods11": partial(geotiff.scenes, layout=geotiff.SEN1FLOODS11),
    "stac-overflow": partial(geotiff.scenes, layout=geotiff.STAC_OVERFLOW),
}
"""Data sets of scenes that have a place, or at least neighbours."""

CHIPS: dict[str, Callable[[Path], Chips]] = {"ombria": ombria.chips}
"""Data sets of chips without a place."""


def require_known(dataset: str) -> None:
    """Raise InputError if no adapter has this name."""
    known = sorted([*SCENES, *CHIPS])
    if dataset not in known:
        raise InputError(f"dataset {dataset!r} is not known; choose one of {', '.join(known)}")


def read_scene(dataset: str, root: Path, name: str) -> LabelledScene:
    """Return the scene of a data set that has this name.

    Raises
    ------
    InputError
        If the data set has no such scene, or holds chips only.
    """
    require_known(dataset)
    if dataset in CHIPS:
        raise InputError(f"dataset {dataset}: holds chips without a place; no scene can be rebuilt")
    if dataset == "etci2021":
        return etci2021.read_scene(root, name)
    for scene in SCENES[dataset](root):
        if scene.name == name:
            return scene
    raise InputError(f"{root}: no scene {name} in data set {dataset}")
