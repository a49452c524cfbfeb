"""Scores of a foreground's probability as a whole: its place, its structure, its errors.

They are read by strips of rows, so their memory doesn't grow with the map.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, Doubles
from floodloom.kernels import jit
from floodloom.learning.metrics.pixels import Counts
from floodloom.learning.metrics.strips import REACH, Strip, each_strip
from floodloom.raster.rows import STRIP, Rows, by_strips

_TINY = float(np.finfo(np.float64).eps)
_CONSTANT = 1e-12  # of the mean square: less variance is rounding
_HALF_WEIGHT = 5.0  # px
_FAR = REACH  # px: an error that is so far from the foreground weighs 2, but for rounding
_SIDE, _SIGMA = 7, 5.0  # px
_NONE = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Centre:
    """Row and column after the foreground's centre, and pixels: of foreground, and in all."""

    row: int = 0
    col: int = 0
    foreground: int = 0
    pixels: int = 0


def centre_of(label: Rows, *, rows: int = STRIP, threads: int = 1) -> Centre:
    """Return where the foreground of a label, (y, x), has its centre."""
    height, width = label.shape
    across = np.arange(width)

    def read(start: int, stop: int) -> tuple[int, ...]:
        known = label[start:stop]
        truth = known == 1
        by_row = truth.sum(axis=1)
        below = by_row @ np.arange(start, stop)
        found = below, truth.sum(axis=0) @ across, by_row.sum(), (known != IGNORE).sum()
        return tuple(int(sum_of) for sum_of in found)

    parts = [part for _, part in by_strips(read, height, rows=rows, threads=threads)]
    down, right, foreground, pixels = (sum(sums) for sums in zip(*parts, strict=True))
    if not foreground:
        return Centre(pixels=pixels)
    return Centre(round(down / foreground) + 1, round(right / foreground) + 1, foreground, pixels)


@dataclass(frozen=True)
class Moments:
    """Sums of a probability by the four parts around the truth's centre and by the truth.

    `sums` is (part, truth, 4) float64, where the truth is 0 and where it is 1: pixels, Σx, Σx², and
    pixels that are called foreground.
    """

    sums: Doubles

    @classmethod
    def of(cls, parts: Iterable[Doubles], scale: float) -> Moments:
        """Return those of a map by `sums_of` its strips, with what probability 1 is in them."""
        return cls(sum(parts, np.zeros((4, 2, 4))) / np.array([1, scale, scale**2, 1]))

    @property
    def absolute_error(self) -> float:
        """Σ |probability - truth|."""
        pixels, total, *_ = self.sums.sum(axis=0).T
        return float(total[0] + pixels[1] - total[1])

    @property
    def counts(self) -> Counts:
        """Agreement of foreground and truth."""
        pixels, *_, called = self.sums.sum(axis=0).T.astype(int).tolist()
        return Counts(called[1], called[0], pixels[1] - called[1], pixels[0] - called[0])

    @property
    def structure(self) -> float:
        """The S-measure with α = 0.5, see `structure_measure`."""
        return _structure(self.sums[..., :3], 0.5)


def moments(probability: Rows, label: Rows) -> Moments:
    """Sum up a probability, (y, x) 0-1; `label` (y, x): 0 background, 1 foreground, 255 ignored."""
    centre = centre_of(label)
    return Moments.of(each_strip(lambda strip: sums_of(strip, centre), probability, label), 1.0)


def sums_of(strip: Strip, centre: Centre) -> Doubles:
    """Return the sums of a strip, see `Moments`; of percent they are whole numbers."""
    sums = np.zeros((4, 2, 4))
    own = strip.within(0)
    below, half = centre.row - strip.start, strip.scale / 2
    _add_moments(own.probability, own.label, below, centre.col, half, sums)
    return sums


@jit()
def _add_moments(probability, label, centre_row, centre_col, half, sums):  # type: ignore[no-untyped-def]
    for row in range(label.shape[0]):
        lower = 2 if row >= centre_row else 0
        for col in range(label.shape[1]):
            truth = label[row, col]
            if truth != IGNORE:
                part = sums[lower + (col >= centre_col), np.uint8(truth == 1)]
                value = np.float64(probability[row, col])
                part[0] += 1
                part[1] += value
                part[2] += value * value
                part[3] += value >= half


def mean_absolute_error(probability: Rows, label: Rows) -> float:
    """Return the mean of |probability - truth| over the labelled pixels, NaN if there are none."""
    found = moments(probability, label)
    pixels = found.sums[..., 0].sum()
    return found.absolute_error / pixels if pixels else math.nan


def structure_measure(probability: Rows, label: Rows, alpha: float = 0.5) -> float:
    """Return the S-measure: α times object-aware plus 1 - α times region-aware similarity.

    NaN without a labelled pixel.

    References
    ----------
    Fan et al. (2017), Structure-measure, arXiv 1708.00786, equations 1 to 8.
    """
    return _structure(moments(probability, label).sums[..., :3], alpha)


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
    probability: Rows, label: Rows, beta: float = 1.0, *, rows: int = STRIP
) -> float:
    """Return the weighted Fβ, see `weighted_score`.

    Parameters
    ----------
    probability
        (y, x), 0-1.
    label
        (y, x): 0 background, 1 foreground, 255 ignored.
    beta
        β.
    rows
        Rows of a strip; they change no result.
    """
    errors = list(each_strip(weighted_errors, probability, label, rows=rows))
    return weighted_score(errors, centre_of(label).foreground, beta)


def weighted_score(errors: Sequence[Doubles], foreground: int, beta: float) -> float:
    """Return the weighted Fβ, in which errors weigh by their place; 0 without foreground.

    Errors inside the foreground are softened where their neighbourhood is right; errors in the
    background weigh from 1 beside the foreground to 2 far from it.

    Parameters
    ----------
    errors
        `weighted_errors` of all strips.
    foreground
        Pixels of it.
    beta
        β.

    References
    ----------
    Margolin et al. (2014), How to evaluate foreground maps?, CVPR, section 4; window 7 px, σ 5 px.
    """
    if not foreground:
        return 0.0
    missed, false = (math.fsum(sums) for sums in np.concatenate(errors).T)
    hit = foreground - missed
    recall = 1 - missed / foreground
    precision = hit / (_TINY + hit + false)
    square = beta**2
    return float((1 + square) * recall * precision / (_TINY + square * precision + recall))


def weighted_errors(strip: Strip) -> Doubles:
    """Return the weighted errors of a strip's rows, (row, 2) float64: missed, and made up."""
    own = strip.own
    sums = np.zeros((own.stop - own.start, 2))
    kernel = _gaussian(_SIDE, _SIGMA)
    _weigh(strip.probability, strip.label, own.start, own.stop, strip.scale, kernel, sums)
    return sums


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    axis = np.arange(size) - size // 2
    line = np.exp(-(axis**2) / (2 * sigma**2))
    return np.asarray(line / line.sum())


@jit()
def _weigh(probability, label, start, stop, scale, kernel, sums):  # type: ignore[no-untyped-def]
    """Sum up the weighted errors of rows, inside the foreground and outside of it."""
    height, width = label.shape
    side, reach = kernel.size, kernel.size // 2
    window = np.zeros((side, width))  # errors of the rows around, smoothed along each
    spread = np.zeros(width + 2 * reach)
    offset = np.empty((stop - start + 2 * reach, width), np.int16)
    _nearest_in_columns(label, start - reach, offset)
    column, squared = np.empty(width, np.int64), np.empty(width, np.int64)
    for row in range(start - reach, stop + reach):
        own = window[row % side]
        own[:] = 0
        if 0 <= row < height:
            _nearest_in_row(offset[row - start + reach], column, squared)
            outside = 0.0
            for col in range(width):
                error = _error(probability, label, row, col, scale)
                if label[row, col] != 1:
                    if error > 0 and start <= row < stop:
                        far = math.sqrt(squared[col]) if column[col] >= 0 else np.inf
                        outside += error * (2 - math.exp(math.log(0.5) / _HALF_WEIGHT * far))
                    error = 0.0
                    if column[col] >= 0 and squared[col] <= 2 * reach * reach:
                        y = row + offset[row - start + reach, column[col]]
                        error = _error(probability, label, y, column[col], scale)
                spread[reach + col] = error
            for place in range(side):
                for col in range(width):
                    own[col] += kernel[place] * spread[col + place]
            if start <= row < stop:
                sums[row - start, 1] = outside
        middle = row - reach
        if start <= middle < stop:
            sums[middle - start, 0] = _softened(probability, label, middle, scale, kernel, window)


@jit()
def _softened(probability, label, row, scale, kernel, window):  # type: ignore[no-untyped-def]
    """Sum up the errors of a row inside the foreground: the smoothed ones, where they are less."""
    total = 0.0
    for col in range(label.shape[1]):
        if label[row, col] == 1:
            error = _error(probability, label, row, col, scale)
            if error > 0:
                smooth = 0.0
                for place in range(kernel.size):
                    around_it = (row + place - kernel.size // 2) % kernel.size
                    smooth += kernel[place] * window[around_it, col]
                total += min(smooth, error)
    return total


@jit(inline="always")
def _error(probability, label, row, col, scale):  # type: ignore[no-untyped-def]
    if label[row, col] == IGNORE:
        return 0.0
    return abs(probability[row, col] / scale - (1.0 if label[row, col] == 1 else 0.0))


@jit()
def _nearest_in_columns(label, top, offset):  # type: ignore[no-untyped-def]
    """Find how many rows the nearest foreground of a column is away, of two the upper one.

    `offset` (row, x) int16 begins at row `top` of `label`; what is farther than `_FAR` is `_NONE`.
    """
    height, width = label.shape
    rows = offset.shape[0]
    last = np.full(width, -2 * _FAR, np.int64)
    for row in range(max(top - _FAR, 0), min(top + rows, height)):
        for col in range(width):
            if label[row, col] == 1:
                last[col] = row
            if row >= top:
                away = last[col] - row
                offset[row - top, col] = away if away >= -_FAR else _NONE
    last[:] = height + 2 * _FAR
    for row in range(min(top + rows + _FAR, height) - 1, max(top, 0) - 1, -1):
        for col in range(width):
            if label[row, col] == 1:
                last[col] = row
            if row < top + rows:
                away = last[col] - row
                if away <= _FAR and away < abs(np.int64(offset[row - top, col])):
                    offset[row - top, col] = away


@jit()
def _nearest_in_row(offset, column, squared):  # type: ignore[no-untyped-def]
    """Find the column of the foreground that is nearest to each pixel, of several the first one.

    The lower envelope of parabolas (Maurer et al. 2003, IEEE Transactions on Pattern Analysis and
    Machine Intelligence 25, 265-270). `column` (x,) int64 is -1 without any; `squared` (x,) int64
    is the squared distance.
    """
    width = offset.size
    column[:] = -1
    sites = np.empty(width, np.int64)
    count = 0
    for col in range(width):
        if offset[col] == _NONE:
            continue
        height = np.int64(offset[col]) ** 2
        while count >= 2:
            one, other = sites[count - 2], sites[count - 1]
            a, b = other - one, col - other
            middle, left = np.int64(offset[other]) ** 2, np.int64(offset[one]) ** 2
            if (a + b) * middle - b * left - a * height - a * b * (a + b) <= 0:
                break
            count -= 1
        sites[count] = col
        count += 1
    site = 0
    for col in range(width if count else 0):
        near = (sites[site] - col) ** 2 + np.int64(offset[sites[site]]) ** 2
        while site + 1 < count:
            following = (sites[site + 1] - col) ** 2 + np.int64(offset[sites[site + 1]]) ** 2
            if near <= following:
                break
            near = following
            site += 1
        column[col] = sites[site]
        squared[col] = near
