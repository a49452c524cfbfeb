"""The audit of a round of relabelling: kept area, confidence, calibration, scores by event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from floodloom.learning.relabelling.gate import Predictions
from floodloom.learning.relabelling.priors import EstimatedShare
from floodloom.learning.relabelling.settings import GateSettings
from floodloom.settings import Count, Number, Record, ReliabilityCurve, read_record

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


def kept_area(
    counts: NDArray[np.integer], pixels: int, classes: Sequence[str], spacing: float | None
) -> dict[str, KeptArea]:
    """Return per class the labelled pixels, their share of all, and their area in km² if known.

    `counts` is the number of labelled pixels of each class, (class,), `pixels` that of all.
    """
    areas = {}
    for name, count in zip(classes, counts.tolist(), strict=True):
        km2 = None if spacing is None else count * spacing**2 / 1e6
        areas[name] = KeptArea(pixels=count, share=count / pixels if pixels else 0.0, km2=km2)
    return areas


def confidence_histogram(
    predictions: Iterable[Predictions], classes: Sequence[str], bins: int = 20
) -> dict[str, list[int | float]]:
    """Return counts of confidences in equal bins of 0-1, per predicted class."""
    edges = np.linspace(0, 1, bins + 1)
    counts = np.zeros((len(classes), bins), dtype=np.int64)
    for part in predictions:
        counts += [np.histogram(confidence, edges)[0] for confidence in part.by_class()]
    return {"edges": edges.tolist(), **dict(zip(classes, counts.tolist(), strict=True))}
