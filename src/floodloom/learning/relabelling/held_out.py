"""How a model scores on held-out tiles, event by event."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, Floats
from floodloom.learning.data.zarr_tiles import iterate_blocks
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores, pixel_accuracy
from floodloom.learning.metrics.reliability import ReliabilityBins
from floodloom.learning.relabelling.audit import HeldOutScores, Validation
from floodloom.learning.relabelling.gate import Labels

Predict = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], Labels]]
"""From images (tile, band, y, x) to confidence, NaN = no data, and class, both (tile, y, x)."""

_BATCH = 8


def scores_by_event(tiles: xr.Dataset, predict: Predict, classes: int) -> Validation:
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
    Validation
        Scores of the foreground, accuracy and calibration error, from counts that are summed before
        they are divided.
    """
    event = tiles["event"].values.astype(str)
    pooled, by_event = _Tally(classes), {str(name): _Tally(classes) for name in np.unique(event)}
    place = 0
    blocks = (iterate_blocks(tiles, name) for name in ("image", "label"))
    for images, labels in zip(*blocks, strict=True):
        for first in range(0, len(images), _BATCH):
            part = slice(first, first + _BATCH)
            confidence, prediction = predict(images[part])
            pooled.add(confidence, prediction, labels[part])
            own = event[place : place + len(confidence)]
            for name in np.unique(own):
                tallied = (each[own == name] for each in (confidence, prediction, labels[part]))
                by_event[str(name)].add(*tallied)
            place += len(confidence)
    if not place:
        return Validation()
    return Validation(
        pooled=pooled.scores(), by_event={name: one.scores() for name, one in by_event.items()}
    )


class _Tally:
    """Counts of held-out tiles."""

    def __init__(self, classes: int) -> None:
        self._tiles = 0
        self._matrix = np.zeros((classes, classes), dtype=np.int64)
        self._bins = ReliabilityBins()

    def add(self, confidence: Floats, prediction: Labels, label: Labels) -> None:
        """Count tiles, (tile, y, x) each; the confidence is NaN where there are no data."""
        known = np.isfinite(confidence) & (label != IGNORE)
        sure, guess, truth = (each[known] for each in (confidence, prediction, label))
        self._tiles += len(label)
        self._matrix += confusion_matrix(guess, truth, len(self._matrix))
        self._bins.add(sure, guess == truth)

    def scores(self) -> HeldOutScores:
        """Return the scores of what was counted."""
        if not self._matrix.any():
            return HeldOutScores(tiles=self._tiles)
        return HeldOutScores(
            tiles=self._tiles,
            **foreground_scores(self._matrix),
            accuracy=pixel_accuracy(self._matrix),
            expected_calibration_error=self._bins.reliability().expected_calibration_error,
        )
