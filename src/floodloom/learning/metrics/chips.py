"""Scores by chip, by object and of saliency."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.learning.metrics.pixels import (
    Counts,
    confusion_matrix,
    counts_by_class,
    counts_of,
    foreground_reliability,
    mean_iou,
    mean_of_chip_iou,
    mean_of_chip_macro_jaccard,
    pixel_accuracy,
)

_EIGHT = np.ones((3, 3), dtype=np.int64)


def object_counts(
    prediction: NDArray[np.integer], label: NDArray[np.integer], threshold: float = 0.5
) -> Counts:
    """Count objects that were found, made up and missed.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; where `label` is 255 neither has an object. Objects are
        8-connected.
    threshold
        A predicted and a true object are a pair if their IoU is at least this; each is in one pair
        at most, the pairs with the greatest IoU first.

    Returns
    -------
    Counts
        tp (pairs), fp (predicted objects without a partner), fn (true objects without one).
    """
    scored = label != IGNORE
    found, found_count = ndimage.label((prediction == 1) & scored, _EIGHT)
    true, true_count = ndimage.label(label == 1, _EIGHT)
    overlap = np.bincount(
        (true * (found_count + 1) + found).ravel(), minlength=(true_count + 1) * (found_count + 1)
    ).reshape(true_count + 1, found_count + 1)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    iou = (overlap / np.maximum(union, 1))[1:, 1:]
    pairs = _pairs(iou, threshold)
    return Counts(tp=pairs, fp=found_count - pairs, fn=true_count - pairs)


def _pairs(iou: NDArray[np.float64], threshold: float) -> int:
    """Return how many pairs there are when the best are joined first."""
    rows, cols = np.nonzero((iou >= threshold) & (iou > 0))
    order = np.argsort(-iou[rows, cols], kind="stable")
    taken_rows: set[int] = set()
    taken_cols: set[int] = set()
    for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True):
        if row not in taken_rows and col not in taken_cols:
            taken_rows.add(row)
            taken_cols.add(col)
    return len(taken_rows)


def boundary_counts(
    prediction: NDArray[np.integer], label: NDArray[np.integer], tolerance: float = 2.0
) -> dict[str, int]:
    """Count outline pixels that lie within a tolerance of the other outline.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; outlines that touch ignored pixels (255) aren't counted, because
        they are the edge of what is known, not of the foreground.
    tolerance
        Greatest distance, px.

    Returns
    -------
    dict
        found and predicted: outline pixels of the prediction near the truth's, and all of them;
        met and true: outline pixels of the truth near the prediction's, and all of them.
    """
    scored = label != IGNORE
    ours = _outline((prediction == 1) & scored, scored)
    theirs = _outline(label == 1, scored)
    return {
        "found": int((ours & _near(theirs, tolerance)).sum()),
        "predicted": int(ours.sum()),
        "met": int((theirs & _near(ours, tolerance)).sum()),
        "true": int(theirs.sum()),
    }


def boundary_f1(counts: dict[str, int]) -> float:
    """Return the F1 of the outlines; 0 where either has none.

    References
    ----------
    Csurka et al. (2013), What is a good evaluation measure for semantic segmentation?, BMVC.
    """
    if not counts["predicted"] or not counts["true"]:
        return 0.0
    precision = counts["found"] / counts["predicted"]
    recall = counts["met"] / counts["true"]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(mask: NDArray[np.bool_], scored: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the foreground pixels with a background 4-neighbour, all four of them labelled."""
    background = ndimage.binary_dilation(scored & ~mask)
    unknown = ndimage.binary_dilation(~scored)
    return np.asarray(mask & background & ~unknown)


def _near(outline: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    if not outline.any():
        return np.zeros_like(outline)
    return np.asarray(ndimage.distance_transform_edt(~outline) <= tolerance)


_TINY = float(np.finfo(np.float64).eps)

Probability = NDArray[np.floating]
Label = NDArray[np.integer]


def mean_absolute_error(probability: Probability, label: Label) -> float:
    """Return the mean of |probability - truth| over the labelled pixels, NaN if there are none."""
    scored = label != IGNORE
    if not scored.any():
        return math.nan
    return float(np.abs(probability[scored] - label[scored]).mean())


def weighted_f_beta(probability: Probability, label: Label, beta: float = 1.0) -> float:
    """Return the weighted Fβ, in which errors weigh by their place.

    Errors inside the foreground are softened where their neighbourhood is right; errors in the
    background weigh from 1 beside the foreground to 2 far from it. 0 without foreground.

    References
    ----------
    Margolin et al. (2014), How to evaluate foreground maps?, CVPR, section 4; window 7 px, σ 5 px.
    """
    scored, truth = label != IGNORE, label == 1
    if not truth.any():
        return 0.0
    error = np.where(scored, np.abs(probability - truth), 0.0).astype(np.float64)
    distance, nearest = ndimage.distance_transform_edt(~truth, return_indices=True)
    spread = np.where(truth, error, error[tuple(nearest)])
    smoothed = ndimage.convolve(spread, _gaussian(7, 5.0), mode="constant")
    softened = np.where(truth & (smoothed < error), smoothed, error)
    weight = np.where(truth, 1.0, 2 - np.exp(math.log(0.5) / 5 * distance))
    weighted = softened * weight
    missed, false = weighted[truth].sum(), weighted[scored & ~truth].sum()
    hit = truth.sum() - missed
    recall = 1 - missed / truth.sum()
    precision = hit / (_TINY + hit + false)
    square = beta**2
    return float((1 + square) * recall * precision / (_TINY + square * precision + recall))


def structure_measure(probability: Probability, label: Label, alpha: float = 0.5) -> float:
    """Return the S-measure: α times object-aware plus 1 - α times region-aware similarity.

    NaN without a labelled pixel.

    References
    ----------
    Fan et al. (2017), Structure-measure, arXiv 1708.00786, equations 1 to 8.
    """
    scored = label != IGNORE
    truth = label == 1
    if not scored.any():
        return math.nan
    share = float(truth[scored].mean())
    if share == 0:
        return 1 - float(probability[scored].mean())
    if share == 1:
        return float(probability[scored].mean())
    inside = _object_similarity(probability[truth])
    outside = _object_similarity(1 - probability[scored & ~truth])
    by_object = share * inside + (1 - share) * outside
    by_region = _region_similarity(probability, truth, scored)
    return max(alpha * by_object + (1 - alpha) * by_region, 0.0)


def _object_similarity(values: Probability) -> float:
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + deviation + _TINY)


def _region_similarity(
    probability: Probability, truth: NDArray[np.bool_], scored: NDArray[np.bool_]
) -> float:
    """Return the mean similarity of the four parts around the truth's centre, by their size."""
    row, col = (round(float(index.mean())) + 1 for index in np.nonzero(truth))
    value = 0.0
    for rows in (slice(None, row), slice(row, None)):
        for cols in (slice(None, col), slice(col, None)):
            here = scored[rows, cols]
            if here.any():
                part = probability[rows, cols][here], truth[rows, cols][here].astype(np.float64)
                value += here.sum() / scored.sum() * _similarity(*part)
    return float(value)


def _similarity(x: Probability, y: Probability) -> float:
    """Return 4 x̄ ȳ σxy / ((x̄² + ȳ²)(σx² + σy²)), 1 where both are constant and alike."""
    mean_x, mean_y = float(x.mean()), float(y.mean())
    degrees = max(x.size - 1, 1)
    variances = (((x - mean_x) ** 2).sum() + ((y - mean_y) ** 2).sum()) / degrees
    covariance = float(((x - mean_x) * (y - mean_y)).sum()) / degrees
    above = 4 * mean_x * mean_y * covariance
    below = (mean_x**2 + mean_y**2) * float(variances)
    if above != 0:
        return above / (below + _TINY)
    return 1.0 if below == 0 else 0.0


def alignment_measure(probability: Probability, label: Label, threshold: float = 0.5) -> float:
    """Return the E-measure of the map cut at a threshold; NaN without a labelled pixel.

    References
    ----------
    Fan et al. (2018), Enhanced-alignment measure, arXiv 1805.10421, equations 2 to 5.
    """
    scored = label != IGNORE
    if not scored.any():
        return math.nan
    found = (probability[scored] >= threshold).astype(np.float64)
    truth = (label[scored] == 1).astype(np.float64)
    if truth.all() or not truth.any():
        return float((found == truth).mean())
    x, y = found - found.mean(), truth - truth.mean()
    aligned = 2 * x * y / (x**2 + y**2 + _TINY)
    return float(((aligned + 1) ** 2 / 4).mean())


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    axis = np.arange(size) - size // 2
    line = np.exp(-(axis**2) / (2 * sigma**2))
    window = np.outer(line, line)
    return np.asarray(window / window.sum())


def all_scores(
    probability: NDArray[np.floating],
    label: NDArray[np.integer],
    *,
    beta: float = 2.0,
    object_iou: float = 0.5,
    tolerance: float = 2.0,
) -> dict[str, object]:
    """Return every score of a foreground probability on chips.

    Parameters
    ----------
    probability
        (chip, y, x) in 0-1; foreground from 0.5. NaN where there is no data, which doesn't count.
    label
        (chip, y, x): 0 background, 1 foreground, 255 ignored.
    beta
        β of Fβ.
    object_iou
        Least IoU of a predicted and a true object that are a pair.
    tolerance
        Greatest distance between outlines that agree, px.

    Returns
    -------
    dict
        pooled: counts over all chips, divided once: accuracy, miou, iou, f1, precision, recall,
        f_beta, by_class, mean_absolute_error, objects, boundary_f1, calibration.
        mean_of_chip: means over the chips with a labelled pixel: accuracy, mean_absolute_error,
        structure_measure, alignment_measure; over the chips that show or predict foreground: iou,
        f1; over the chips that show it: weighted_f_beta; and macro_jaccard, the mean over chips of
        their mean IoU of both classes.

    Raises
    ------
    InputError
        If no pixel can be scored.
    """
    scored = (label != IGNORE) & np.isfinite(probability)
    if not scored.any():
        raise InputError("label: no pixel to score; give chips with labels and data")
    truth = np.where(scored, label, IGNORE)
    sure = np.where(scored, probability, 0.0)
    chips = [(p, t) for p, t in zip(sure, truth, strict=True) if (t != IGNORE).any()]
    guesses = [(p >= 0.5).astype(np.uint8) for p, _ in chips]
    matrices = np.stack(
        [confusion_matrix(g, t, 2) for g, (_, t) in zip(guesses, chips, strict=True)]
    )
    pairs = [(g, t) for g, (_, t) in zip(guesses, chips, strict=True)]
    pooled = _pooled(matrices.sum(axis=0), beta)
    pooled["mean_absolute_error"] = mean_absolute_error(sure, truth)
    pooled["objects"] = sum((object_counts(g, t, object_iou) for g, t in pairs), Counts()).scores()
    pooled["boundary_f1"] = boundary_f1(
        _added([boundary_counts(g, t, tolerance) for g, t in pairs])
    )
    pooled["calibration"] = foreground_reliability(sure[scored], (truth == 1)[scored]).as_dict()
    return {"pooled": pooled, "mean_of_chip": _of_chips(chips, matrices)}


def _pooled(matrix: NDArray[np.int64], beta: float) -> dict[str, object]:
    counts = counts_of(matrix, 1)
    return {
        "accuracy": pixel_accuracy(matrix),
        "miou": mean_iou(matrix),
        **counts.scores(),
        "f_beta": counts.f_beta(beta),
        "by_class": [one.scores() for one in counts_by_class(matrix)],
    }


def _of_chips(
    chips: Sequence[tuple[NDArray[np.floating], NDArray[np.integer]]], matrices: NDArray[np.int64]
) -> dict[str, float]:
    counts = [counts_of(matrix, 1) for matrix in matrices]
    return {
        "accuracy": _mean([pixel_accuracy(matrix) for matrix in matrices]),
        "iou": mean_of_chip_iou(counts),
        "f1": _mean([c.f1 for c in counts if c.tp + c.fp + c.fn]),
        "macro_jaccard": mean_of_chip_macro_jaccard(counts),
        "mean_absolute_error": _mean([mean_absolute_error(p, t) for p, t in chips]),
        "weighted_f_beta": _mean([weighted_f_beta(p, t) for p, t in chips if (t == 1).any()]),
        "structure_measure": _mean([structure_measure(p, t) for p, t in chips]),
        "alignment_measure": _mean([alignment_measure(p, t) for p, t in chips]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _added(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(count[name] for count in counts) for name in counts[0]}
