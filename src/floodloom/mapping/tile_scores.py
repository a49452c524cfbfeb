"""Scores of an ensemble on tiles."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, Floats
from floodloom.errors import InputError
from floodloom.learning.inference import load_ensemble
from floodloom.learning.metrics.foreground import ForegroundScores, score_foreground
from floodloom.learning.metrics.pixels import (
    Counts,
    count,
    mean_of_chip_iou,
    mean_of_chip_macro_jaccard,
)
from floodloom.learning.metrics.reliability import Reliability, ReliabilityBins
from floodloom.learning.relabelling.scene_likelihood import tile_predictor
from floodloom.log import track
from floodloom.mapping.evaluation import class_scores, further_scores
from floodloom.mapping.settings import EvaluateSettings
from floodloom.raster.store import recipe_of
from floodloom.tiles.store import open_tiles

_AT_ONCE = 16  # tiles


def score_tiles(
    tiles: Sequence[Path], checkpoints: Sequence[Path], settings: EvaluateSettings, threads: int
) -> dict[str, Any]:
    """Pooled and per-chip scores of an ensemble on tiles; class 1 is both flood and water."""
    store = open_tiles(tiles)
    ensemble = load_ensemble(checkpoints, threads=threads)
    names = ", ".join(map(str, tiles))
    ensemble.recipe.require_inputs(recipe_of(store), names, ensemble.accepts)
    if (store.split == "test").any():
        store = store.isel(tile=np.flatnonzero(store.split.values == "test"))
    chips, further, reliability = _scores_by_tile(store, tile_predictor(ensemble), settings)
    if not any(chip != Counts() for chip in chips):
        raise InputError(f"{tiles[0]}: no labelled tile to score; give tiles with labels")
    by_event = {
        str(name): class_scores([chips[i] for i in members])
        | further_scores([further[i] for i in members], settings)
        for name in np.unique(store.event.values)
        for members in [np.flatnonzero(store.event.values == name)]
    }
    pooled = sum(chips, Counts())
    return {
        "pooled": class_scores(chips),
        "by_event": by_event,
        "summary": {
            "count": len(chips),
            "pooled": pooled.scores(),
            "mean_of_chip_iou": mean_of_chip_iou(chips),
            "mean_of_chip_macro_jaccard": mean_of_chip_macro_jaccard(chips),
            "calibration": reliability.as_dict(),
            **further_scores(further, settings),
        },
    }


def _scores_by_tile(
    tiles: xr.Dataset, predict: Callable[[Floats], Floats], settings: EvaluateSettings
) -> tuple[list[Counts], list[ForegroundScores], Reliability]:
    """Return the counts and the further scores of each tile, and the reliability of all."""
    chips, further, bins = [], [], ReliabilityBins()
    for start in track(range(0, tiles.sizes["tile"], _AT_ONCE), "scoring tiles"):
        part = tiles.isel(tile=slice(start, start + _AT_ONCE))
        probability = predict(part.image.values)[:, 1]
        label = _known_classes(part)
        scored, water = (label != IGNORE) & np.isfinite(probability), label == 1
        chips += [count(*chip) for chip in zip(probability >= 0.5, water, scored, strict=True)]
        bins.add_foreground(probability[scored], water[scored])
        further += [
            score_foreground(*chip, beta=settings.beta)
            for chip in zip(probability, np.where(scored, water, IGNORE), strict=True)
        ]
    return chips, further, bins.reliability()


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
