"""Example tiles: the image, the label, the prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE
from floodloom.learning.metrics.pixels import count
from floodloom.log import track
from floodloom.report.images import colour_uri, grey_uri, stretch_limits, to_greys
from floodloom.tiles.inputs import BEFORE

PALETTE = {
    "dry": (236, 233, 224),
    "water": (31, 78, 121),
    "false alarm": (230, 85, 13),
    "missed": (250, 190, 40),
    "unknown": (205, 205, 205),
}
"""Colours of labels and predictions, distinguishable under colour blindness."""

_CANDIDATES = 48
_LEAST_KNOWN = 0.5
_BATCH = 8
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def predict_tiles(
    tiles: xr.Dataset,
    ensemble: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    batch: int,
) -> NDArray[np.float32]:
    """Return the probability of class 1 of every tile.

    Parameters
    ----------
    tiles
        Tile store.
    ensemble
        From (n, band, y, x), NaN = no data, to class probabilities (n, class, y, x).
    batch
        Tiles predicted at once.

    Returns
    -------
    ndarray
        (tile, y, x) float32, NaN where there is no data.
    """
    starts = range(0, tiles.sizes["tile"], batch)
    parts = [
        ensemble(tiles.image[start : start + batch].values)[:, 1]
        for start in track(starts, "predicting tiles")
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0, 0), dtype=np.float32)


def example_tiles(tiles: xr.Dataset, network: Network, number: int) -> list[dict[str, Any]]:
    """Return tiles from the worst to the best prediction.

    Parameters
    ----------
    tiles
        Tile store with labels.
    network
        From (n, band, y, x), NaN = no data, to class probabilities (n, class, y, x).
    number
        How many tiles. They are spread evenly over the range of IoU, so that the failures are
        shown, too.

    Returns
    -------
    list of dict
        name, event, split, iou, and panels: pairs of a title and a PNG data URI.
    """
    candidates = tiles.isel(tile=_candidates(tiles))
    if number < 1 or not candidates.sizes["tile"]:
        return []
    candidates = candidates.load()
    probability = predict_tiles(candidates, network, _BATCH)
    iou = [
        _iou(label, predicted)
        for label, predicted in zip(candidates.label.values, probability, strict=True)
    ]
    ranked = np.argsort(iou, kind="stable")
    chosen = ranked[np.unique(np.linspace(0, len(ranked) - 1, number).round().astype(int))]
    return [_example(candidates.isel(tile=i), probability[i], iou[i]) for i in chosen]


def pseudo_labelled_tiles(tiles: xr.Dataset, number: int) -> list[dict[str, Any]]:
    """Return pseudo-labelled tiles from the least to the most labelled.

    Parameters
    ----------
    tiles
        Pseudo-labelled tile store.
    number
        How many tiles, spread evenly over the share of their pixels that is labelled.

    Returns
    -------
    list of dict
        name, event, kept (the labelled share), and panels: pairs of a title and a PNG data URI.
    """
    if number < 1 or not tiles.sizes["tile"]:
        return []
    kept = (tiles.label.values != IGNORE).mean(axis=(1, 2))
    ranked = np.argsort(kept, kind="stable")
    chosen = ranked[np.unique(np.linspace(0, len(ranked) - 1, number).round().astype(int))]
    return [_pseudo_labelled(tiles.isel(tile=i), float(kept[i])) for i in chosen]


def _pseudo_labelled(tile: xr.Dataset, kept: float) -> dict[str, Any]:
    label = tile.label.values
    painted = _painted(label, label == 1, label != IGNORE)
    return {
        "name": str(tile.tile_id.values),
        "event": str(tile.event.values),
        "kept": kept,
        "panels": [*_radar(tile, before=False), ("pseudo label", colour_uri(painted))],
    }


def _candidates(tiles: xr.Dataset) -> NDArray[np.int64]:
    """Held-out tiles that hold land and water, at most a few dozen, spread evenly."""
    split, classes = tiles.split.values, json.loads(tiles.attrs["classes"])
    for side in ("test", "validation", "train"):
        at_side = np.flatnonzero(split == side)
        water = tiles[f"fraction_{classes[1]}"].values[at_side]
        known = tiles[f"fraction_{classes[0]}"].values[at_side] + water
        mixed = at_side[(water > 0) & (water < known) & (known > _LEAST_KNOWN)]
        if len(mixed):
            spread = np.linspace(0, len(mixed) - 1, min(_CANDIDATES, len(mixed)))
            return np.asarray(mixed[spread.round().astype(int)])
    return np.empty(0, dtype=np.int64)


def _known(label: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray((label != IGNORE) & np.isfinite(probability))


def _iou(label: NDArray[np.uint8], probability: NDArray[np.float32]) -> float:
    known = _known(label, probability)
    return count(probability >= 0.5, label == 1, known).iou


def _example(tile: xr.Dataset, probability: NDArray[np.float32], iou: float) -> dict[str, Any]:
    label = tile.label.values
    panels = [
        *((f"{band} before", image) for band, image in _radar(tile, before=True)),
        *_radar(tile, before=False),
        ("label", colour_uri(_painted(label, label == 1, label != IGNORE))),
        ("prediction", colour_uri(_judged(label, probability))),
    ]
    return {
        "name": str(tile.tile_id.values),
        "event": str(tile.event.values),
        "split": str(tile.split.values),
        "iou": iou,
        "panels": panels,
    }


def _radar(tile: xr.Dataset, *, before: bool) -> list[tuple[str, str]]:
    """The first band of one date, if the tile has it."""
    names = [str(name) for name in tile.band.values]
    at_date = [name for name in names if name.startswith(BEFORE) == before]
    if not at_date:
        return []
    values = tile.image.values[names.index(at_date[0])]
    return [(at_date[0].removeprefix(BEFORE), grey_uri(to_greys(values, stretch_limits(values))))]


def _painted(
    label: NDArray[np.uint8], water: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    image = np.empty((*label.shape, 3), dtype=np.uint8)
    image[...] = PALETTE["dry"]
    image[water] = PALETTE["water"]
    image[~known] = PALETTE["unknown"]
    return image


def _judged(label: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = _known(label, probability)
    predicted, true = probability >= 0.5, label == 1
    image = _painted(label, predicted & true, known)
    image[known & predicted & ~true] = PALETTE["false alarm"]
    image[known & ~predicted & true] = PALETTE["missed"]
    return image
