"""The labelled scenes that every method without training on them is scored on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.xr import assign_crs, xr_coords

from benchmarks.data import data_root
from floodloom.adapters import SceneAdapter
from floodloom.arrays import IGNORE, NODATA
from floodloom.datasets import DATASETS
from floodloom.learning.metrics.pixels import Counts, count
from floodloom.mapping.sources import read_percent
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.simulate.chips import make_chip
from floodloom.tiles.labels import water_labels

CHIPS = 16
_FIRST = 7_000_000  # seeds that nothing was trained, chosen or looked at with
_CHIP = 256
_ETCI = 2048
"""Side of the part of the ETCI scene, px."""

Stage = Callable[[Path, Path], Path]
"""From a scene store and a place to the map of percent, which it writes."""


@dataclass(frozen=True)
class Scene:
    """A scene store and what is known of its water: (y, x) 0 dry, 1 water, 255 unknown."""

    store: xr.Dataset
    water: NDArray[np.uint8]


def simulated(first: int = _FIRST, count: int = CHIPS) -> Iterator[Scene]:
    """Yield simulated chips of VV and VH, whose seeds begin with one."""
    made = 0
    for seed in range(first, first + 2 * count):
        chip = make_chip(seed, _CHIP)
        if made == count or len(chip.polarisations) < 2 or chip.sensor.filtered:
            continue
        made += 1
        height, width = chip.label.shape
        spacing = chip.sensor.spacing
        bounds = (0, 0, spacing * width, spacing * height)
        grid = grid_from_bounds(bounds, 32633, spacing)
        power = np.where(chip.valid, chip.after, np.nan).astype(np.float32)
        bands = zip(chip.polarisations, power, strict=True)
        data = xr.Dataset({name: (("y", "x"), band) for name, band in bands})
        placed = assign_crs(data.assign_coords(xr_coords(grid)), grid.crs)
        recipe = Recipe(quantity=chip.sensor.quantity, spacing=spacing)
        water = np.where(chip.visible & chip.valid, water_labels(chip.label), IGNORE)
        yield Scene(stamp(placed, recipe), water.astype(np.uint8))


def labelled(dataset: str, side: int | None = None) -> Iterator[Scene]:
    """Yield the labelled scenes of a data set, or their upper left parts of a side in px."""
    adapter = DATASETS.load(dataset)
    if not isinstance(adapter, SceneAdapter):
        raise TypeError(f"{dataset}: no scenes")
    folder = {"stac-overflow": "c2s_stac_overflow"}.get(dataset, dataset)
    part = slice(0, side)
    for one in adapter.scenes(data_root(folder)):
        if not (one.label == IGNORE).all():
            yield Scene(one.scene.isel(y=part, x=part), water_labels(one.label[part, part]))


SCENES: dict[str, Callable[[], Iterator[Scene]]] = {
    "simulator": simulated,
    "etci2021": lambda: labelled("etci2021", _ETCI),
    "stac-overflow": lambda: labelled("stac-overflow"),
}


def score(stage: Stage, name: str) -> dict[str, Any]:
    """Map the scenes of a set, and return the scores of all their pixels together."""
    total = Counts()
    with tempfile.TemporaryDirectory() as folder:
        store, out = Path(folder) / "scene.zarr", Path(folder) / "p.tif"
        for scene in SCENES[name]():
            write_store(scene.store, store)
            percent = read_percent(stage(store, out)).percent[:]
            known = (scene.water != IGNORE) & (percent != NODATA)
            total += count(percent >= 50, scene.water > 0, known)
    return {
        "iou": round(total.iou, 4),
        "f1": round(2 * total.iou / (1 + total.iou), 4),
        "precision": round(total.precision, 4),
        "recall": round(total.recall, 4),
    }
