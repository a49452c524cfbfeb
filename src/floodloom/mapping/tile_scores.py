"""Scoring an ensemble on tiles: pooled, per event and per chip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.pixels import Counts, count, reliability
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.mapping.tiles import predict_tiles
from floodloom.raster.nodata import IGNORE
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import open_tiles


def score_tiles(
    tiles: Sequence[Path], checkpoints: Sequence[Path], batch: int, threads: int
) -> dict[str, Any]:
    """Pooled and per-chip scores of an ensemble on tiles; class 1 is both flood and water."""
    store = open_tiles(tiles)
    ensemble = load_ensemble(checkpoints, threads=threads)
    ensemble.recipe.require_inputs(recipe_of(store), ", ".join(map(str, tiles)))
    if (store.split == "test").any():
        store = store.isel(tile=np.flatnonzero(store.split.values == "test"))
    probability = predict_tiles(store, tile_predictor(ensemble), batch)
    label = _known_classes(store)
    scored = (label != IGNORE) & np.isfinite(probability)
    if not scored.any():
        raise InputError(f"{tiles[0]}: no labelled tile to score; give tiles with labels")
    predicted = probability >= 0.5
    chips = [count(*chip) for chip in zip(predicted, label == 1, scored, strict=True)]
    by_event = {
        str(name): _class_scores([chips[i] for i in np.flatnonzero(store.event.values == name)])
        for name in np.unique(store.event.values)
    }
    pooled = sum(chips, Counts())
    return {
        "pooled": _class_scores(chips),
        "by_event": by_event,
        "summary": {
            "count": len(chips),
            "pooled": pooled.scores(),
            "mean_of_chip_iou": _mean_iou(chips),
            "mean_of_chip_macro_jaccard": _mean_macro_jaccard(chips),
            "calibration": _calibration(probability[scored], (label == 1)[scored]),
        },
    }


def _known_classes(tiles: xr.Dataset) -> NDArray[np.uint8]:
    """Return the labels of tiles; what is none of their classes would count as land."""
    label: NDArray[np.uint8] = tiles.label.values
    number = len(json.loads(tiles.attrs["classes"]))
    strange = label[((label < 0) | (label >= number)) & (label != IGNORE)]
    if strange.size:
        raise InputError(
            f"tiles: label {strange[0]} is no class; labels must be 0 to {number - 1}, or {IGNORE} "
            "for pixels to ignore"
        )
    return label


def _class_scores(chips: Sequence[Counts]) -> dict[str, Any]:
    pooled = sum(chips, Counts()).scores()
    return {"flood": pooled, "water": pooled}


def _mean_iou(chips: Sequence[Counts]) -> float:
    held = [chip.iou for chip in chips if chip.tp + chip.fp + chip.fn]
    return float(np.mean(held)) if held else 0.0


def _mean_macro_jaccard(chips: Sequence[Counts]) -> float:
    both = []
    for chip in (chip for chip in chips if chip != Counts()):
        dry = Counts(tp=chip.tn, fp=chip.fn, fn=chip.fp, tn=chip.tp)
        held = [c.iou for c in (chip, dry) if c.tp + c.fp + c.fn]
        both.append(np.mean(held))
    return float(np.mean(both))


def _calibration(probability: NDArray[np.float32], true: NDArray[np.bool_]) -> dict[str, Any]:
    confidence = np.where(probability >= 0.5, probability, 1 - probability)
    return reliability(confidence, (probability >= 0.5) == true).as_dict()
