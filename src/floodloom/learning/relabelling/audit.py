"""What a round of relabelling tells of itself: kept area, confidence, and scores by event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.learning.metrics.pixels import (
    confusion_matrix,
    foreground_scores,
    pixel_accuracy,
    reliability,
)
from floodloom.raster.nodata import IGNORE

Labels = NDArray[np.uint8]
Predict = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], Labels]]
"""From images (tile, band, y, x) to confidence, NaN = no data, and class, both (tile, y, x)."""

_BATCH = 8
_MOST_PARTS = 3  # of a file's path
_SCORES = ("iou", "f1", "precision", "recall", "accuracy", "expected_calibration_error")


def names_of(paths: Sequence[str | Path]) -> list[str]:
    """Return names that tell files apart without saying where on a machine they lie.

    Parameters
    ----------
    paths
        The files.

    Returns
    -------
    list of str
        Their names, with one or two of their folders if that tells them apart, else numbers.
    """
    parts = [Path(path).parts for path in paths]
    for depth in range(1, _MOST_PARTS + 1):
        names = ["/".join(own[-depth:]) for own in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [str(number) for number in range(1, len(parts) + 1)]


def kept_area(
    label: Labels, classes: Sequence[str], spacing: float | None
) -> dict[str, Mapping[str, float]]:
    """Return per class the labelled pixels, their share, and their area in km² if known."""
    total = label.size
    areas: dict[str, Mapping[str, float]] = {}
    for value, name in enumerate(classes):
        pixels = int((label == value).sum())
        areas[name] = {"pixels": pixels, "share": pixels / total if total else 0.0}
        if spacing is not None:
            areas[name] = {**areas[name], "km2": pixels * spacing**2 / 1e6}
    return areas


def confidence_histogram(
    confidence: NDArray[np.float32], prediction: Labels, classes: Sequence[str], bins: int = 20
) -> dict[str, object]:
    """Return counts of confidences in equal bins of 0-1, per predicted class."""
    edges = np.linspace(0, 1, bins + 1)
    counts = {
        name: np.histogram(confidence[(prediction == value) & np.isfinite(confidence)], edges)[0]
        for value, name in enumerate(classes)
    }
    return {"edges": edges.tolist(), **{name: count.tolist() for name, count in counts.items()}}


def scores_by_event(tiles: xr.Dataset, predict: Predict, classes: int) -> dict[str, Any]:
    """Return the scores of labelled tiles, event by event and together.

    Parameters
    ----------
    tiles
        Tile store with labels.
    predict
        What is scored.
    classes
        Number of classes.

    Returns
    -------
    dict
        `pooled` and `by_event`: tiles, iou, f1, precision, recall of the foreground, accuracy and
        expected_calibration_error, from counts that are summed before they are divided; None where
        no pixel can be scored.
    """
    parts = []
    for first in range(0, tiles.sizes["tile"], _BATCH):
        some = tiles.isel(tile=slice(first, first + _BATCH))
        parts.append((*predict(some["image"].values), some["label"].values))
    if not parts:
        return {"pooled": None, "by_event": {}}
    confidence, prediction, label = (np.concatenate(column) for column in zip(*parts, strict=True))
    event = tiles["event"].values.astype(str)

    def scored(chosen: NDArray[np.bool_]) -> dict[str, float | None]:
        known = np.isfinite(confidence[chosen]) & (label[chosen] != IGNORE)
        if not known.any():
            return {"tiles": int(chosen.sum()), **dict.fromkeys(_SCORES)}
        sure, guess, truth = (a[chosen][known] for a in (confidence, prediction, label))
        matrix = confusion_matrix(guess, truth, classes)
        return {
            "tiles": int(chosen.sum()),
            **foreground_scores(matrix),
            "accuracy": pixel_accuracy(matrix),
            "expected_calibration_error": reliability(
                sure, guess == truth
            ).expected_calibration_error,
        }

    return {
        "pooled": scored(np.ones(len(event), dtype=np.bool_)),
        "by_event": {str(name): scored(event == name) for name in np.unique(event)},
    }
