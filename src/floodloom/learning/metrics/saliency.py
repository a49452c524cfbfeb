"""Scores of a foreground's probability as a whole: its place, its structure, its errors.

They are read strip by strip or window by window, so their memory doesn't grow with the map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from floodloom.arrays import IGNORE
from floodloom.learning.metrics.pixels import Counts

_TINY = float(np.finfo(np.float64).eps)
_CONSTANT = 1e-12  # of the mean square: less variance is rounding
_STRIP = 1 << 22  # px at once
_WINDOW = 1024
_HALO = 128
"""Beyond so many px from the foreground an error weighs 2, but for 2e-8."""

Probability = NDArray[np.floating]
Label = NDArray[np.integer]


@dataclass(frozen=True)
class Moments:
    """Sums of a probability by the four parts around the truth's centre and by the truth.

    `sums` is (part, truth, 3) float64: pixels, Σx and Σx² where the truth is 0 and where it is 1.
    """

    sums: NDArray[np.float64]

    @property
    def absolute_error(self) -> float:
        """Σ |probability - truth|."""
        pixels, total, _ = self.sums.sum(axis=0).T
        return float(total[0] + pixels[1] - total[1])

    @property
    def pixels(self) -> float:
        """Pixels that are scored."""
        return float(self.sums[..., 0].sum())

    @property
    def structure(self) -> float:
        """The S-measure with α = 0.5, see `structure_measure`."""
        return _structure(self.sums, 0.5)


def moments(probability: NDArray[np.number], label: Label, scale: float = 1.0) -> Moments:
    """Sum up a probability.

    Parameters
    ----------
    probability
        (y, x), foreground probability times `scale`, such as uint8 percent.
    label
        (y, x): 0 background, 1 foreground, 255 ignored.
    scale
        What probability 1 is.
    """
    row, col = _centre(label)
    sums = np.zeros((4, 2, 3))
    for strip in _strips(label.shape):
        truth = label[strip]
        lower = (np.arange(strip.start, strip.stop) >= row)[:, None]
        part = 2 * lower + (np.arange(label.shape[1]) >= col)
        scored = truth != IGNORE
        place = (2 * part + (truth == 1))[scored]
        x = probability[strip][scored] / np.float64(scale)
        for number, weights in enumerate((None, x, x**2)):
            sums[..., number] += np.bincount(place, weights, minlength=8).reshape(4, 2)
    return Moments(sums)


def _centre(label: Label) -> tuple[int, int]:
    """Return row and column after the foreground's centre."""
    total, rows, cols = 0, 0.0, 0.0
    columns = np.arange(label.shape[1])
    for strip in _strips(label.shape):
        truth = label[strip] == 1
        total += int(truth.sum())
        rows += float(truth.sum(axis=1) @ np.arange(strip.start, strip.stop))
        cols += float(truth.sum(axis=0) @ columns)
    return (round(rows / total) + 1, round(cols / total) + 1) if total else (0, 0)


def mean_absolute_error(probability: Probability, label: Label) -> float:
    """Return the mean of |probability - truth| over the labelled pixels, NaN if there are none."""
    found = moments(probability, label)
    return found.absolute_error / found.pixels if found.pixels else math.nan


def structure_measure(probability: Probability, label: Label, alpha: float = 0.5) -> float:
    """Return the S-measure: α times object-aware plus 1 - α times region-aware similarity.

    NaN without a labelled pixel.

    References
    ----------
    Fan et al. (2017), Structure-measure, arXiv 1708.00786, equations 1 to 8.
    """
    return _structure(moments(probability, label).sums, alpha)


def _structure(sums: NDArray[np.float64], alpha: float) -> float:
    outside, inside = sums.sum(axis=0)
    if not outside[0] + inside[0]:
        return math.nan
    share = inside[0] / (outside[0] + inside[0])
    if share == 0:
        return float(1 - outside[1] / outside[0])
    if share == 1:
        return float(inside[1] / inside[0])
    count, total, squares = outside
    opposite = np.array([count, count - total, count - 2 * total + squares])
    by_object = share * _object_similarity(inside) + (1 - share) * _object_similarity(opposite)
    parts = [(part, part[:, 0].sum()) for part in sums if part[:, 0].any()]
    by_region = sum(pixels * _similarity(part) for part, pixels in parts) / sums[..., 0].sum()
    return max(float(alpha * by_object + (1 - alpha) * by_region), 0.0)


def _object_similarity(sums: NDArray[np.float64]) -> float:
    mean = sums[1] / sums[0]
    deviation = math.sqrt(_spread(*sums) / max(sums[0] - 1, 1))
    return float(2 * mean / (mean**2 + 1 + deviation + _TINY))


def _similarity(sums: NDArray[np.float64]) -> float:
    """Return 4 x̄ ȳ σxy / ((x̄² + ȳ²)(σx² + σy²)), 1 where both are constant and alike."""
    count, total, squares = sums.sum(axis=0)
    degrees = max(count - 1, 1)
    mean_x, mean_y = total / count, sums[1, 0] / count
    of_x, of_y = _spread(count, total, squares), _spread(count, sums[1, 0], sums[1, 0])
    joint = sums[1, 1] - count * mean_x * mean_y if of_x and of_y else 0.0
    above = 4 * mean_x * mean_y * joint / degrees
    below = (mean_x**2 + mean_y**2) * (of_x + of_y) / degrees
    if above != 0:
        return float(above / (below + _TINY))
    return 1.0 if below == 0 else 0.0


def _spread(count: float, total: float, squares: float) -> float:
    """Return Σ(x - x̄)², 0 where that is no more than rounding."""
    spread = squares - total**2 / count
    return spread if spread > _CONSTANT * squares else 0.0


def alignment(counts: Counts) -> float:
    """Return the E-measure of a map of foreground and background; NaN without a pixel.

    Its alignment matrix has one value for each kind of pixel, so their counts are enough.

    References
    ----------
    Fan et al. (2018), Enhanced-alignment measure, arXiv 1805.10421, equations 2 to 5.
    """
    kinds = {(1, 1): counts.tp, (1, 0): counts.fp, (0, 1): counts.fn, (0, 0): counts.tn}
    pixels = sum(kinds.values())
    if not pixels:
        return math.nan
    found, true = ((counts.tp + other) / pixels for other in (counts.fp, counts.fn))
    if true in (0, 1):
        return (counts.tp + counts.tn) / pixels
    total = 0.0
    for (one, other), number in kinds.items():
        x, y = one - found, other - true
        total += number * (2 * x * y / (x**2 + y**2 + _TINY) + 1) ** 2 / 4
    return total / pixels


def weighted_f_beta(
    probability: NDArray[np.number],
    label: Label,
    beta: float = 1.0,
    *,
    scale: float = 1.0,
    window: int = _WINDOW,
) -> float:
    """Return the weighted Fβ, in which errors weigh by their place; 0 without foreground.

    Errors inside the foreground are softened where their neighbourhood is right; errors in the
    background weigh from 1 beside the foreground to 2 far from it.

    Parameters
    ----------
    probability, label, scale
        As for `moments`.
    beta
        β.
    window
        Side of the windows that are read at once, px; they change the result by less than 1e-7.

    References
    ----------
    Margolin et al. (2014), How to evaluate foreground maps?, CVPR, section 4; window 7 px, σ 5 px.
    """
    missed, false, count = 0.0, 0.0, 0
    for core in _windows(label.shape, window):
        count += int((label[core] == 1).sum())
        wide = tuple(slice(max(side.start - _HALO, 0), side.stop + _HALO) for side in core)
        inner = tuple(
            slice(side.start - outer.start, side.stop - outer.start)
            for side, outer in zip(core, wide, strict=True)
        )
        error = np.abs(probability[wide] / np.float64(scale) - (label[wide] == 1))
        error[label[wide] == IGNORE] = 0
        if error[inner].any():
            parts = _weighted_errors(error, label[wide] == 1, inner)
            missed, false = missed + parts[0], false + parts[1]
    if not count:
        return 0.0
    hit = count - missed
    recall = 1 - missed / count
    precision = hit / (_TINY + hit + false)
    square = beta**2
    return float((1 + square) * recall * precision / (_TINY + square * precision + recall))


def _weighted_errors(
    error: NDArray[np.float64], truth: NDArray[np.bool_], inner: tuple[slice, ...]
) -> tuple[float, float]:
    """Return the weighted errors inside the foreground and outside of it, of the inner part."""
    if not truth.any():
        return 0.0, float(2 * error[inner].sum())
    distance, nearest = ndimage.distance_transform_edt(~truth, return_indices=True)
    spread = np.where(truth, error, error[tuple(nearest)])
    smoothed = spread
    for axis in (0, 1):
        smoothed = ndimage.correlate1d(smoothed, _gaussian(7, 5.0), axis, mode="constant")
    softened = np.minimum(smoothed, error)[inner][truth[inner]].sum()
    weight = 2 - np.exp(math.log(0.5) / 5 * distance[inner])
    outside = (error[inner] * weight)[~truth[inner]].sum()
    return float(softened), float(outside)


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    axis = np.arange(size) - size // 2
    line = np.exp(-(axis**2) / (2 * sigma**2))
    return np.asarray(line / line.sum())


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    height, width = shape
    step = max(_STRIP // max(width, 1), 1)
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def _windows(shape: tuple[int, ...], side: int) -> Iterator[tuple[slice, slice]]:
    height, width = shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))
