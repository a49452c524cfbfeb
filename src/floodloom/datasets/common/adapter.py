"""What a data set hands to the stages: whole scenes, or chips without a place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.raster.recipe import Recipe

_SOME = 10


@dataclass(frozen=True)
class LabelledScene:
    """A scene rebuilt from a data set, with its labels.

    `scene` is a scene store in memory ((y, x) float32, NaN = no data, with recipe and statistics);
    `label` is (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.
    """

    name: str
    scene: xr.Dataset
    label: NDArray[np.uint8]


@dataclass(frozen=True)
class Chips:
    """Image chips of one size, without a place.

    `image` is (chip, band, y, x) float32 normalised with NaN = no data, `label` (chip, y, x)
    uint8 with 255 = ignore, `optical` (chip, channel, y, x) float32 reflectance-like 0-1 with
    NaN = missing.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    names: Sequence[str]
    events: Sequence[str]
    splits: Sequence[str]
    recipe: Recipe
    classes: Sequence[str]
    optical: NDArray[np.float32] | None = None
    channels: Sequence[str] = field(default=())


@dataclass(frozen=True)
class SceneAdapter:
    """A data set of scenes that have a place, or at least neighbours.

    Attributes
    ----------
    title
        What it is called, for messages and attributes.
    published
        Address that it is published at.
    names
        Lists the scenes below the folder of the data set.
    read
        Reads the scene of a name.
    """

    title: str
    published: str
    names: Callable[[Path], Sequence[str]]
    read: Callable[[Path, str], LabelledScene]

    def scenes(self, root: Path) -> Iterator[LabelledScene]:
        """Yield every scene below `root`, one after the other."""
        for name in self.names(root):
            yield self.read(root, name)

    def scene(self, root: Path, name: str) -> LabelledScene:
        """Return the scene of this name.

        Raises
        ------
        InputError
            If there is none.
        """
        names = sorted(self.names(root))
        if name not in names:
            have = ", ".join(names[:_SOME]) + (", …" if len(names) > _SOME else "") or "none"
            raise InputError(
                f"{root}: no {self.title} scene {name}; found: {have}; published: {self.published}"
            )
        return self.read(root, name)


@dataclass(frozen=True)
class ChipAdapter:
    """A data set of chips without a place.

    Attributes
    ----------
    title
        What it is called, for messages.
    published
        Address that it is published at.
    read
        Reads all chips below the folder of the data set.
    """

    title: str
    published: str
    read: Callable[[Path], Chips]


def require_root(root: Path, needed: str, title: str, source: str) -> Path:
    """Return `root` if the data set lies there.

    Raises
    ------
    InputError
        One line: what is missing, where it is published and which key to set.
    """
    if not (root / needed).is_dir():
        raise InputError(
            f"{root / needed}: {title} not found; it is published at {source}: "
            "fetch it and set `data_root` (or --root) to its folder"
        )
    return root
