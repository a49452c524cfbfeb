"""Scores of maps: counts summed over everything and divided once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.mapping.delineate import FloodClass

UNKNOWN = 255


@dataclass(frozen=True)
class Counts:
    """True and false positives and negatives, px."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    def scores(self) -> dict[str, float | int]:
        """Return the counts with IoU, F1, precision and recall; 0 where undefined."""
        return {
            "iou": _ratio(self.tp, self.tp + self.fp + self.fn),
            "f1": _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn),
            "precision": _ratio(self.tp, self.tp + self.fp),
            "recall": _ratio(self.tp, self.tp + self.fn),
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "tn": self.tn,
        }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def count(
    predicted: NDArray[np.bool_], true: NDArray[np.bool_], scored: NDArray[np.bool_]
) -> Counts:
    """Count agreement on the scored pixels; all bool, of one shape."""
    return Counts(
        tp=int((predicted & true & scored).sum()),
        fp=int((predicted & ~true & scored).sum()),
        fn=int((~predicted & true & scored).sum()),
        tn=int((~predicted & ~true & scored).sum()),
    )


def score_map(classes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Mapping[str, Counts]:
    """Compare a flood map with the truth.

    Parameters
    ----------
    classes
        (y, x) uint8 flood map, see `FloodClass`.
    truth
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.

    Returns
    -------
    dict
        Counts of `flood` (class 2) and `water` (1 or 2). Pixels without data or truth aren't
        counted. Excluded pixels are counted as if they said "no water": flood that the map leaves
        out is missed, whatever the reason.
    """
    scored = (truth != UNKNOWN) & (classes != FloodClass.NODATA.value)
    wet = (FloodClass.PERMANENT.value, FloodClass.FLOOD.value)
    return {
        "flood": count(classes == FloodClass.FLOOD.value, truth == 2, scored),
        "water": count(np.isin(classes, wet), np.isin(truth, wet), scored),
    }


def score_probability(percent: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Mapping[str, Counts]:
    """Compare a probability mosaic, water from 50 %, with the truth: counts of `water`."""
    scored = (truth != UNKNOWN) & (percent != UNKNOWN)
    return {"water": count(percent >= 50, (truth == 1) | (truth == 2), scored)}


def undecided(classes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float]:
    """Return the shares of the known ground that the map excludes and has no data for."""
    known = max(int((truth != UNKNOWN).sum()), 1)
    within = truth != UNKNOWN
    return {
        "excluded": round(
            float(((classes == FloodClass.EXCLUDED.value) & within).sum() / known), 6
        ),
        "nodata": round(float(((classes == FloodClass.NODATA.value) & within).sum() / known), 6),
    }
