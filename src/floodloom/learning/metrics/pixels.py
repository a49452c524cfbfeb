"""Scores from counts that are summed first and divided once, and calibration of confidences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.raster.nodata import IGNORE


def confusion_matrix(
    prediction: NDArray[np.integer], label: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Parameters
    ----------
    prediction, label
        Arrays of one shape with values 0 to `classes` - 1; where `label` is 255 the pixel doesn't
        count.
    classes
        Number of classes.

    Returns
    -------
    ndarray
        (true class, predicted class) int64. Matrices of parts add up to the whole's.

    Raises
    ------
    InputError
        If a label is neither a class nor 255.
    """
    scored = label != IGNORE
    known = label[scored]
    if known.size and not 0 <= known.min() <= known.max() < classes:
        strange = known[(known < 0) | (known >= classes)][0]
        raise InputError(
            f"label {strange} is no class; labels must be 0 to {classes - 1}, or {IGNORE} for "
            "pixels to ignore"
        )
    code = known.astype(np.int64) * classes + prediction[scored]
    return np.bincount(code, minlength=classes**2).reshape(classes, classes)


def counts_of(matrix: NDArray[np.int64], class_index: int) -> dict[str, int]:
    """Return tp, fp, fn and tn of one class against all others."""
    tp = int(matrix[class_index, class_index])
    fn = int(matrix[class_index].sum()) - tp
    fp = int(matrix[:, class_index].sum()) - tp
    return {"tp": tp, "fp": fp, "fn": fn, "tn": int(matrix.sum()) - tp - fp - fn}


def scores_of(counts: dict[str, int]) -> dict[str, float]:
    """Return the counts with iou, f1, precision and recall (0/0 is 0)."""
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    return {
        **counts,
        "iou": _ratio(tp, tp + fp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
    }


def pixel_accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the share of the labelled pixels that are right."""
    return _ratio(int(np.trace(matrix)), int(matrix.sum()))


def class_scores(matrix: NDArray[np.int64]) -> list[dict[str, float]]:
    """Return `scores_of` each class against all others."""
    return [scores_of(counts_of(matrix, index)) for index in range(len(matrix))]


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Return the mean IoU of the classes that are labelled or predicted."""
    found = [s["iou"] for s in class_scores(matrix) if s["tp"] + s["fp"] + s["fn"]]
    return float(np.mean(found)) if found else 0.0


def f_beta(counts: Mapping[str, float], beta: float) -> float:
    """Return (1 + β²) P R / (β² P + R): recall counts β times as much as precision."""
    tp, square = counts["tp"], beta**2
    return _ratio((1 + square) * tp, (1 + square) * tp + square * counts["fn"] + counts["fp"])


def foreground_scores(matrix: NDArray[np.int64]) -> dict[str, float]:
    """Return the scores of class 1, or their means over classes 1, 2, ... if there are more."""
    classes = range(1, len(matrix))
    scores = [scores_of(counts_of(matrix, index)) for index in classes]
    names = ("iou", "f1", "precision", "recall")
    return {name: float(np.mean([score[name] for score in scores])) for name in names}


def split_scores(matrices: NDArray[np.int64]) -> dict[str, float]:
    """Return what the confusion matrices (chip, true class, predicted class) of a split say.

    Returns
    -------
    dict
        accuracy and miou, pooled over all pixels, and mean_of_chip_iou, the mean foreground IoU of
        the chips that show or predict foreground.
    """
    pooled = matrices.sum(axis=0)
    chips = [
        foreground_scores(chip)["iou"] for chip in matrices if chip[1:].sum() + chip[0, 1:].sum()
    ]
    return {
        "accuracy": pixel_accuracy(pooled),
        "miou": mean_iou(pooled),
        "mean_of_chip_iou": float(np.mean(chips)) if chips else 0.0,
    }


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


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


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = 15
) -> Reliability:
    """Compare how sure a classifier is with how often it is right.

    Parameters
    ----------
    confidence
        Probability of the predicted class, 0-1, any shape.
    correct
        Whether the prediction is right, same shape.
    bins
        Number of bins.
    """
    flat = np.asarray(confidence, dtype=np.float64).ravel()
    bin_of = np.clip((flat * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    total = np.where(count > 0, count, np.nan)
    return Reliability(
        count,
        np.bincount(bin_of, weights=flat, minlength=bins) / total,
        np.bincount(bin_of, weights=correct.ravel().astype(np.float64), minlength=bins) / total,
    )
