"""The data of `make bench-labels`: real chips whose labels are made few, and ground left out.

What is scored lies in the floods that are learnt from, beside the ground that is: how much is
labelled is to count, not how alike floods are. Of the other ground some tiles, or a few pixels of
each, are labelled; a fifth of the labelled tiles, at least one, is held out for calibration, and
the rest are there without labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks.distill_ombria import shrunk
from floodloom.adapters import SceneAdapter, chip_tiles
from floodloom.arrays import IGNORE, NODATA
from floodloom.datasets import DATASETS, ombria
from floodloom.mapping.settings import PredictSettings
from floodloom.mapping.sources import read_percent
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.store import write_store
from floodloom.stages.predict import predict
from floodloom.stages.tile import tile
from floodloom.tiles.annotator import annotate_tiles
from floodloom.tiles.settings import AnnotateSettings, TileSettings
from floodloom.tiles.store import concatenate_tiles, open_tiles, with_labels, write_tiles

STORES = ("labelled", "unlabelled", "unseen")
STAC_AS_DEFAULT = "stac-as-default"
"""The ground of `stac`, in the bands of the model in the package."""
_CHIP, _SIDE = 512, 64  # px, of chips and tiles of STAC Overflow
_HELD_OUT = 0.2  # share of the labelled chips that isn't trained on
_LEAST = 96  # training tiles, so that an epoch is no shorter with few of them


@dataclass(frozen=True)
class Ground:
    """Tiles, and which of them are scored and never learnt from, (tile,) bool."""

    tiles: xr.Dataset
    unseen: NDArray[np.bool_]


def ombria_ground(data: Path, work: Path, seed: int) -> Ground:
    """Return the chips of OMBRIA at half size, of which those of its test set are unseen."""
    tiles = chip_tiles(ombria.chips(data / "ombria")).drop_vars(
        ["optical", "channel"], errors="ignore"
    )
    return Ground(shrunk(tiles, 2), tiles["split"].values == "test")


def stac_ground(data: Path, work: Path, seed: int, checkpoint: Path | None = None) -> Ground:
    """Return the four labelled chips of STAC Overflow in tiles; a quarter of each is unseen.

    Seeds leave out one quarter after the other. Bands are those of a checkpoint, if there is one.
    """
    out = work / ("stac.zarr" if checkpoint is None else f"stac-{checkpoint.stem}.zarr")
    if not out.exists():
        root = data / "c2s_stac_overflow"
        settings = TileSettings(dataset="stac-overflow", root=root, split="train", size=_SIDE)
        tile(out=out, checkpoint=checkpoint, settings=settings)
    tiles = open_tiles(out).load()
    labelled = (tiles["label"].values != IGNORE).any(axis=(1, 2))
    tiles = tiles.isel(tile=np.flatnonzero(labelled))
    lower, right = (tiles[name].values >= _CHIP // 2 for name in ("row", "col"))
    return Ground(tiles, 2 * lower + right == seed % 4)


def map_stac_tiles(tiles: xr.Dataset, data: Path, settings: PredictSettings) -> NDArray[np.float32]:
    """Return the probability of flood of tiles, (tile, y, x), from maps of their whole scenes.

    The scenes are mapped as a user does, by the model in the package or by a baseline.
    """
    adapter = DATASETS.load("stac-overflow")
    if not isinstance(adapter, SceneAdapter):
        raise TypeError("stac-overflow: no scenes")
    found = np.full(tiles["label"].shape, np.nan, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        store, out = Path(folder) / "scene.zarr", Path(folder) / "p.tif"
        for scene in adapter.scenes(data / "c2s_stac_overflow"):
            of_scene = np.flatnonzero(tiles["scene"].values == scene.name)
            if not of_scene.size:
                continue
            write_store(scene.scene, store)
            percent = read_percent(predict(scene=store, out=out, settings=settings)).percent[:]
            probability = np.where(percent == NODATA, np.nan, percent / 100)
            for one in of_scene:
                row, col = (int(tiles[name].values[one]) for name in ("row", "col"))
                found[one] = probability[row : row + _SIDE, col : col + _SIDE]
    return found


DATA: dict[str, Callable[[Path, Path, int], Ground]] = {
    "ombria": ombria_ground,
    "stac": stac_ground,
    STAC_AS_DEFAULT: partial(stac_ground, checkpoint=DEFAULT_CHECKPOINT),
}
"""The ground of each data set, by the folder of all data, a folder to work in, and a seed."""


@dataclass(frozen=True)
class Amount:
    """How much of the training ground is labelled.

    `chips` is the share of the chips, `annotator` what is set in each of them; without it they are
    labelled in full. `images` tells of each chip alone whether it shows any flood.
    """

    chips: float = 1.0
    annotator: AnnotateSettings | None = None
    images: bool = False


AMOUNTS = {
    **{f"chips-{share}": Amount(share / 100) for share in (1, 5, 10, 50, 100)},
    **{f"clicks-{n}": Amount(annotator=AnnotateSettings(clicks=n)) for n in (1, 3, 10, 30, 100)},
    "scribbles-4": Amount(annotator=AnnotateSettings(scribbles=4)),
    "pixels-1": Amount(annotator=AnnotateSettings(share=0.01)),
    "images": Amount(images=True),
    "none": Amount(0.0),
}
"""The rows of the table: percent of the chips, clicks or lines a chip, percent of the pixels."""


def write_case(ground: Ground, amount: Amount, seed: int, folder: Path) -> None:
    """Write the stores of one amount of labels, of tiles that a seed chooses, and of the unseen."""
    tiles, unseen = ground.tiles, ground.unseen
    seen = np.flatnonzero(~unseen)
    order = np.random.default_rng(seed).permutation(seen)
    count = min(max(round(amount.chips * order.size), 2), order.size) if amount.chips else 0
    chosen, rest = order[:count], order[count:]
    if rest.size == 0:
        rest = seen  # as if they had no labels
    if amount.images:
        whole = (tiles["label"].values == 1).any(axis=(1, 2)).astype(np.uint8)
        tiles = tiles.assign_coords(tile_label=("tile", whole))
    stores = {
        "unlabelled": _of(_hidden(tiles.isel(tile=rest)), "target"),
        "unseen": _of(tiles.isel(tile=np.flatnonzero(unseen)), "test"),
    }
    if count:
        stores["labelled"] = _labelled(tiles.isel(tile=chosen), amount, seed)
    for name, store in stores.items():
        write_tiles(store, folder / f"{name}.zarr")


def labelled_pixels(folder: Path) -> int:
    """Return how many pixels of a case are labelled, each tile counted once."""
    path = folder / "labelled.zarr"
    if not path.exists():
        return 0
    tiles = open_tiles(path)
    _, once = np.unique(tiles["tile_id"].values, return_index=True)
    return int((tiles["label"].values[once] != IGNORE).sum())


def _labelled(chosen: xr.Dataset, amount: Amount, seed: int) -> xr.Dataset:
    """Return the labelled tiles: those to train on, again and again if few, and those held out."""
    count = chosen.sizes["tile"]
    held = max(round(_HELD_OUT * count), 1)
    if amount.annotator is not None:
        settings = amount.annotator.model_copy(update={"seed": seed})
        chosen = annotate_tiles(_of(chosen, "train"), settings)
    if amount.images:
        chosen = _hidden(chosen)
    # One that is read twice is one tile: an epoch only lasts longer.
    again = np.resize(np.arange(held, count), max(_LEAST, count - held))
    training = _of(chosen.isel(tile=again), "train")
    return concatenate_tiles([training, _of(chosen.isel(tile=np.arange(held)), "validation")])


def _hidden(tiles: xr.Dataset) -> xr.Dataset:
    return with_labels(tiles, np.full(tiles["label"].shape, IGNORE, dtype=np.uint8))


def _of(tiles: xr.Dataset, split: str) -> xr.Dataset:
    return tiles.assign_coords(split=("tile", np.full(tiles.sizes["tile"], split, dtype="<U10")))
