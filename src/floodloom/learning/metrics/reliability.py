"""How sure a classifier is, and how often it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy by equal-width confidence bins from 0 to 1.

    `count` (bin,) int64; `confidence` and `accuracy` (bin,) float64 means, NaN in empty bins.
    """

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean |confidence - accuracy| over pixels (Guo et al. 2017, arXiv 1706.04599, eq. 3)."""
        if not self.count.sum():
            return 0.0
        gap = np.abs(np.nan_to_num(self.confidence) - np.nan_to_num(self.accuracy))
        return float((self.count * gap).sum() / self.count.sum())

    def as_dict(self) -> dict[str, object]:
        """Return plain lists for JSON; empty bins are null."""
        return {
            "expected_calibration_error": self.expected_calibration_error,
            "count": self.count.tolist(),
            "confidence": _nullable(self.confidence),
            "accuracy": _nullable(self.accuracy),
        }


def _nullable(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


class ReliabilityBins:
    """What a `Reliability` is made of, counted part by part.

    Parameters
    ----------
    bins
        Number of bins.
    """

    def __init__(self, bins: int = 15) -> None:
        self._count = np.zeros(bins, dtype=np.int64)
        self._confidence, self._correct = np.zeros(bins), np.zeros(bins)

    def add(self, confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> None:
        """Count pixels.

        Parameters
        ----------
        confidence
            Probability of the predicted class, 0-1, any shape.
        correct
            Whether the prediction is right, same shape.
        """
        flat, bins = np.asarray(confidence, dtype=np.float64).ravel(), len(self._count)
        bin_of = np.clip((flat * bins).astype(np.int64), 0, bins - 1)
        # Added one by one, so that the sums don't depend on the parts.
        np.add.at(self._count, bin_of, 1)
        np.add.at(self._confidence, bin_of, flat)
        np.add.at(self._correct, bin_of, correct.ravel().astype(np.float64))

    def add_foreground(self, probability: NDArray[np.floating], true: NDArray[np.bool_]) -> None:
        """Count pixels by their foreground probability, 0-1, that is cut at one half."""
        predicted = probability >= 0.5
        self.add(np.where(predicted, probability, 1 - probability), predicted == true)

    def reliability(self) -> Reliability:
        """Return how sure a classifier was, and how often it was right."""
        total = np.where(self._count > 0, self._count, np.nan)
        return Reliability(self._count, self._confidence / total, self._correct / total)


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = 15
) -> Reliability:
    """Compare how sure a classifier is with how often it is right; see `ReliabilityBins`."""
    counted = ReliabilityBins(bins)
    counted.add(confidence, correct)
    return counted.reliability()


def foreground_reliability(
    probability: NDArray[np.floating], true: NDArray[np.bool_]
) -> Reliability:
    """Return the reliability of a foreground probability, 0-1, that is cut at one half."""
    counted = ReliabilityBins()
    counted.add_foreground(probability, true)
    return counted.reliability()
