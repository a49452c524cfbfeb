"""Scores of a foreground map against a binary truth, as salient object detection takes them.

Every function takes `probability` (y, x) in 0-1 and `label` (y, x) uint8: 0 background, 1
foreground, 255 ignored. A map that is the truth scores 1 (0 for `mean_absolute_error`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from floodloom.raster.nodata import IGNORE

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
