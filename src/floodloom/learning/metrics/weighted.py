"""The weighted Fβ: errors weigh by their distance from the foreground, read by strips of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, Doubles
from floodloom.kernels import jit
from floodloom.learning.metrics.saliency import centre_of
from floodloom.learning.metrics.strips import REACH, Strip, each_strip
from floodloom.raster.rows import STRIP, Rows

_TINY = float(np.finfo(np.float64).eps)
_HALF_WEIGHT = 5.0  # px
_FAR = REACH  # px: an error that is so far from the foreground weighs 2, but for rounding
_SIDE, _SIGMA = 7, 5.0  # px
_NONE = np.iinfo(np.int16).max


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
