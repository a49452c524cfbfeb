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
from floodloom.learning.metrics.pixels import (
    Counts,
    count,
    foreground_reliability,
    mean_of_chip_iou,
    mean_of_chip_macro_jaccard,
)
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
            "mean_of_chip_iou": mean_of_chip_iou(chips),
            "mean_of_chip_macro_jaccard": mean_of_chip_macro_jaccard(chips),
            "calibration": foreground_reliability(
                probability[scored], (label == 1)[scored]
            ).as_dict(),
        },
    }


def _known_classes(tiles: xr.Dataset) -> NDArray[np.uint8]:
    """Return the labels of tiles; what is none of their classes would count as land."""
    label: NDArray[np.uint8] = tiles.label.values
    number = len(json.loads(tiles.attrs["classes"]))
    unknown = label[((label < 0) | (label >= number)) & (label != IGNORE)]
    if unknown.size:
        raise InputError(
            f"tiles: label {unknown[0]} is no class; labels must be 0 to {number - 1}, or {IGNORE} "
            "for pixels to ignore"
        )
    return label


def _class_scores(chips: Sequence[Counts]) -> dict[str, Any]:
    pooled = sum(chips, Counts()).scores()
    return {"flood": pooled, "water": pooled}
