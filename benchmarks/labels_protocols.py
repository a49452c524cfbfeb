"""The data of `make bench-labels`: real chips whose labels are made few, and unseen events.

Events are left out whole: what is scored shows floods that nothing was learnt from. Of the others'
chips some, or a few pixels of each, are labelled; a fifth of the labelled chips, at least one, is
held out for calibration, and the rest are there without labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks.relabel_protocols import ombria_by_share
from floodloom.arrays import IGNORE
from floodloom.stages.tile import tile
from floodloom.tiles.annotator import annotate_tiles
from floodloom.tiles.settings import AnnotateSettings, TileSettings
from floodloom.tiles.store import concatenate_tiles, open_tiles, with_labels, write_tiles

STORES = ("labelled", "unlabelled", "unseen")
_UNSEEN = 0.3  # share of the events that is scored
_HELD_OUT = 0.2  # share of the labelled chips that isn't trained on
_LEAST = 96  # training tiles, so that an epoch is no shorter with few of them


def ombria_tiles(data: Path, work: Path) -> xr.Dataset:
    """Return chips of OMBRIA at half size, at most ten for each event."""
    return ombria_by_share(data / "ombria", 2)[0]


def stac_tiles(data: Path, work: Path) -> xr.Dataset:
    """Return the four labelled chips of STAC Overflow, each of a flood of its own, in tiles."""
    out = work / "stac.zarr"
    if not out.exists():
        root = data / "c2s_stac_overflow"
        settings = TileSettings(dataset="stac-overflow", root=root, split="train", size=128)
        tile(out=out, settings=settings)
    tiles = open_tiles(out).load()
    labelled = (tiles["label"].values != IGNORE).any(axis=(1, 2))
    return tiles.isel(tile=np.flatnonzero(labelled))


DATA: dict[str, Callable[[Path, Path], xr.Dataset]] = {"ombria": ombria_tiles, "stac": stac_tiles}


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


def write_case(tiles: xr.Dataset, amount: Amount, seed: int, folder: Path) -> None:
    """Write the stores of one amount of labels and one choice of events, and what they hold."""
    draw = np.random.default_rng(0)
    unseen = _unseen(tiles, seed, draw)
    ground = np.flatnonzero(~unseen)
    order = draw.permutation(ground)
    count = min(max(round(amount.chips * order.size), 2), order.size) if amount.chips else 0
    chosen, rest = order[:count], order[count:]
    if rest.size == 0:
        rest = ground  # as if they had no labels
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


def _unseen(tiles: xr.Dataset, seed: int, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Return which tiles are of events that are left out, (tile,) bool; each has some flood.

    Seeds leave out one event after the other, so that the first three have none in common.
    """
    event = tiles["event"].values
    flooded = (tiles["label"].values == 1).any(axis=(1, 2))
    names = draw.permutation(np.unique(event[flooded]))
    count = max(round(_UNSEEN * np.unique(event).size), 1)
    return np.isin(event, np.roll(names, -seed * count)[:count])


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
