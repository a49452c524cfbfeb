"""Tile stores of simulated chips: what the default model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import xarray as xr

from floodloom.arrays import IGNORE, Bytes, Floats
from floodloom.log import track
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.simulate.chips import Chip, make_chip
from floodloom.simulate.semisynthetic import RealPlace, flood_place
from floodloom.tiles.inputs import BEFORE, compose_inputs
from floodloom.tiles.labels import water_labels
from floodloom.tiles.store import tile_dataset, write_tiles

_POLARISATIONS = ("vv", "vh")
BANDS = (*_POLARISATIONS, *(BEFORE + name for name in _POLARISATIONS))
ACCEPTED = Accepted(quantities=("sigma0", "gamma0", "display"), spacing=(9.0, 31.0), absent=BANDS)
"""The scenes that chips stand for: those of the sensors that `draw_sensor` draws, and display
values of such, which are mapped to the decibels of a usual scene."""
_CLASSES = ("dry", "water")
_SIDE = 256  # px
_UNFLOODED = 0.25
_RECIPE = Recipe(quantity="gamma0", noise_removed=True, spacing=10.0).for_inputs(BANDS)


def simulated_tiles(
    seeds: Sequence[int], *, size: int, split: str = "train", processes: int = 1
) -> xr.Dataset:
    """Simulate chips as tiles.

    Parameters
    ----------
    seeds
        One for each tile.
    size
        Side of a tile, px.
    split
        Side of the split that they are on.
    processes
        Processes that simulate; the tiles don't depend on it.

    Returns
    -------
    xr.Dataset
        As `floodloom.tiles.store.open_tiles` gives it: VV and VH after the flood and before it;
        water or not after it, unknown where a flood can't be seen. A polarisation that a chip
        lacks is 0.
    """
    context = get_context("spawn")
    sizes = [size] * len(seeds)
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        made = pool.map(_tile, seeds, sizes, chunksize=4)
        tiles = list(track(made, f"simulating {len(seeds)} chips"))
    names = [f"simulated-{seed}" for seed in seeds]
    index: dict[str, list[object]] = {
        "tile_id": list(names),
        "event": list(names),
        "scene": list(names),
        "split": [split] * len(seeds),
        "row": [0] * len(seeds),
        "col": [0] * len(seeds),
    }
    image = np.stack([image for image, _ in tiles])
    label = np.stack([label for _, label in tiles])
    return tile_dataset(image, label, index, _RECIPE, _CLASSES, accepts=ACCEPTED)


def semisynthetic_tiles(
    places: Sequence[RealPlace], floods: int, *, split: str = "train", share: float | None = None
) -> xr.Dataset:
    """Flood real places as tiles.

    Parameters
    ----------
    places
        Real places; those smaller than a tile are mirrored at their borders, without labels there.
    floods
        How often each is flooded.
    split
        Side of the split that they are on.
    share
        Share of the land that each flood covers, 0-1; drawn when not given, 0 for a fourth.

    Returns
    -------
    xr.Dataset
        As `simulated_tiles`; before the flood there is no image.
    """
    images, labels = [], []
    index: dict[str, list[object]] = {"tile_id": [], "event": []}
    for place in places:
        for seed in range(floods):
            draw = np.random.default_rng(seed)
            drawn = 0.0 if draw.random() < _UNFLOODED else float(draw.beta(0.8, 1.6))
            flooded = flood_place(draw, place, drawn if share is None else share)
            images.append(_mirrored(_bands(flooded.power)))
            labels.append(_placed(flooded.label))
            index["tile_id"].append(f"{place.name}-{seed}")
            index["event"].append(place.name)
    count = len(images)
    index["scene"], index["split"] = index["event"], [split] * count
    index["row"] = index["col"] = [0] * count
    return tile_dataset(
        np.stack(images), np.stack(labels), index, _RECIPE, _CLASSES, accepts=ACCEPTED
    )


def write_simulated_tiles(
    folder: Path, count: int, *, first: int = 0, part: int = 500, processes: int = 1
) -> list[Path]:
    """Write chips as tile stores of `part` tiles each; what is there is kept.

    Parameters
    ----------
    folder
        Where to write them.
    count
        Chips; each tenth store is for validation.
    first
        Seed of the first chip.
    part, processes
        Chips of a store; processes that simulate.

    Returns
    -------
    list
        The stores.
    """
    stores = []
    for number, begin in enumerate(range(first, first + count, part)):
        seeds = range(begin, min(begin + part, first + count))
        store = folder / f"{seeds[0]:06}-{seeds[-1]:06}.zarr"
        if not store.exists():
            split = "validation" if number % 10 == 0 else "train"
            write_tiles(simulated_tiles(seeds, size=_SIDE, split=split, processes=processes), store)
        stores.append(store)
    return stores


def _bands(power: Floats) -> Floats:
    """Return the bands of an image without one before it, (band, y, x) float32."""
    scene = xr.Dataset({n: (("y", "x"), power[i]) for i, n in enumerate(_POLARISATIONS)})
    return compose_inputs(scene, _RECIPE, absent=BANDS).values


def _mirrored(image: Floats) -> Floats:
    missing = [max(_SIDE - side, 0) for side in image.shape[1:]]
    wider = np.pad(image, ((0, 0), *((0, m) for m in missing)), mode="reflect")
    return wider[:, :_SIDE, :_SIDE]


def _placed(label: Bytes) -> Bytes:
    wider = np.full((_SIDE, _SIDE), IGNORE, np.uint8)
    rows, cols = (min(_SIDE, side) for side in label.shape)
    wider[:rows, :cols] = np.where(label == IGNORE, IGNORE, water_labels(label))[:rows, :cols]
    return wider


def _tile(seed: int, size: int) -> tuple[Floats, Bytes]:
    """Return the bands and the labels of a chip."""
    chip = make_chip(seed, size)
    after, before = _scene(chip, chip.after), _scene(chip, chip.before)
    image = compose_inputs(after, _RECIPE, before=before, absent=BANDS).values
    label = np.where(chip.visible & chip.valid, water_labels(chip.label), IGNORE)
    return image, label.astype(np.uint8)


def _scene(chip: Chip, image: Floats) -> xr.Dataset:
    """Return one of a chip's images as a scene store has it."""
    power = np.where(chip.valid, image, np.nan).astype(np.float32)
    return xr.Dataset(
        {name: (("y", "x"), power[band]) for band, name in enumerate(chip.polarisations)}
    )
