"""The audit of a round of relabelling: kept area, confidence, calibration, scores by event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, model_validator

from floodloom.arrays import IGNORE
from floodloom.learning.metrics.pixels import (
    confusion_matrix,
    foreground_scores,
    pixel_accuracy,
    reliability,
)
from floodloom.learning.relabelling.gate import Labels, Predictions
from floodloom.learning.relabelling.priors import EstimatedShare
from floodloom.learning.relabelling.settings import GateSettings
from floodloom.settings import Count, Number, Record, ReliabilityCurve, read_record

Predict = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], Labels]]
"""From images (tile, band, y, x) to confidence, NaN = no data, and class, both (tile, y, x)."""

_BATCH = 8
_MOST_PARTS = 3  # of a file's path


class TileCounts(Record):
    """Tiles that were offered, and that got pseudo labels."""

    offered: Count
    kept: Count


class KeptArea(Record):
    """Labelled pixels of a class, their share of all, and their area if that is known."""

    pixels: Count = 0
    share: Number
    km2: Number | None = None


class Calibration(Record):
    """Reliability on held-out labels, and the foreground IoU there of each weight tried."""

    temperature: Number
    likelihood: dict[str, Number] = Field(default_factory=dict)
    pixels: Count = 0
    before: ReliabilityCurve
    after: ReliabilityCurve


class HeldOutScores(Record):
    """Scores on held-out tiles; null where no pixel can be scored."""

    tiles: Count
    iou: Number | None = None
    f1: Number | None = None
    precision: Number | None = None
    recall: Number | None = None
    accuracy: Number | None = None
    expected_calibration_error: Number | None = None


class Validation(Record):
    """Scores on held-out tiles together and by event."""

    pooled: HeldOutScores | None = None
    by_event: dict[str, HeldOutScores] = Field(default_factory=dict)


class Audit(Record):
    """What a round of relabelling found.

    `acceptance` is whether there were limits, which hold for the round's model, too; `confidence`
    counts confidences per predicted class between `edges`; `likelihood` is the weight
    of the local likelihood in the labels, `greatest_likelihood` the greatest that was tried;
    `estimated` is the target's share of water, as far as it is estimated; `batch_statistics` holds
    for each member whose statistics it labelled with; `left_out` why
    others labelled nothing.
    """

    round: Count
    preset: str
    accepted: bool
    reason: str | None = None
    tiles: TileCounts
    passed_gate: dict[str, KeptArea]
    water_share: Number | None
    agreement_with_previous: Number | None
    confidence: dict[str, list[Count | Number]]
    calibration: Calibration
    gate: GateSettings
    acceptance: bool
    tta: bool
    likelihood: Number
    greatest_likelihood: Number
    estimated: EstimatedShare | None = None
    batch_statistics: list[str | None]
    validation: Validation
    left_out: dict[str, str]
    checkpoints: list[str]

    @model_validator(mode="after")
    def _histogram(self) -> Audit:
        bins = len(self.confidence.get("edges", ())) - 1
        if bins < 1 or any(len(v) != bins for k, v in self.confidence.items() if k != "edges"):
            raise ValueError("confidence isn't counts between edges")
        return self


def read_audit(path: str | Path) -> Audit:
    """Read the audit of a round.

    Raises
    ------
    InputError
        If it isn't one; the message names the first field that is wrong.
    """
    return read_record(path, Audit)


def names_of(paths: Sequence[str | Path]) -> list[str]:
    """Return names of files that differ, without their places on a machine.

    Parameters
    ----------
    paths
        The files.

    Returns
    -------
    list of str
        Their names, with one or two of their folders if they differ by that, else numbers.
    """
    parts = [Path(path).parts for path in paths]
    for depth in range(1, _MOST_PARTS + 1):
        names = ["/".join(own[-depth:]) for own in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [str(number) for number in range(1, len(parts) + 1)]


def kept_area(label: Labels, classes: Sequence[str], spacing: float | None) -> dict[str, KeptArea]:
    """Return per class the labelled pixels, their share, and their area in km² if known."""
    areas = {}
    for value, name in enumerate(classes):
        pixels = int((label == value).sum())
        km2 = None if spacing is None else pixels * spacing**2 / 1e6
        share = pixels / label.size if label.size else 0.0
        areas[name] = KeptArea(pixels=pixels, share=share, km2=km2)
    return areas


def confidence_histogram(
    predictions: Predictions, classes: Sequence[str], bins: int = 20
) -> dict[str, list[int | float]]:
    """Return counts of confidences in equal bins of 0-1, per predicted class."""
    edges = np.linspace(0, 1, bins + 1)
    counts = {}
    for value, name in enumerate(classes):
        member = (predictions.label == value) & predictions.valid
        counts[name] = np.histogram(predictions.confidence[member], edges)[0].tolist()
    return {"edges": edges.tolist(), **counts}


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
    parts = []
    for first in range(0, tiles.sizes["tile"], _BATCH):
        some = tiles.isel(tile=slice(first, first + _BATCH))
        parts.append((*predict(some["image"].values), some["label"].values))
    if not parts:
        return Validation()
    confidence, prediction, label = (np.concatenate(column) for column in zip(*parts, strict=True))
    event = tiles["event"].values.astype(str)

    def score(chosen: NDArray[np.bool_]) -> HeldOutScores:
        count = int(chosen.sum())
        known = np.isfinite(confidence[chosen]) & (label[chosen] != IGNORE)
        if not known.any():
            return HeldOutScores(tiles=count)
        sure, guess, truth = (a[chosen][known] for a in (confidence, prediction, label))
        matrix = confusion_matrix(guess, truth, classes)
        return HeldOutScores(
            tiles=count,
            **foreground_scores(matrix),
            accuracy=pixel_accuracy(matrix),
            expected_calibration_error=reliability(sure, guess == truth).expected_calibration_error,
        )

    return Validation(
        pooled=score(np.ones(len(event), dtype=np.bool_)),
        by_event={str(name): score(event == name) for name in np.unique(event)},
    )
