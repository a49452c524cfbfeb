"""Improved Lee sigma filter: the mean of the pixels that may share the centre's backscatter.

Source: Lee, Wen, Ainsworth, Chen and Chen (2009), Improved sigma filter for speckle filtering of
SAR imagery, IEEE TGRS 47(1).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from floodloom.kernels import jit
from floodloom.sentinel1.speckle_moments import (
    Power,
    as_power,
    require_window,
    row_moments,
    scratch,
)

SIGMA = 0.9
"""Share of the speckle that the sigma range holds."""

TARGET_RADIUS = 2
"""Pixels around a point target's pixel on which keeping it depends."""

_BRIGHT_SHARE = 0.98
_CLUSTER = 5
_LEVELS = 1 << 15


def lee_sigma(power: Power, window: int, looks: float, bright: float | None = None) -> Power:
    """Return Lee's estimate from the pixels within the sigma range of the centre.

    Parameters
    ----------
    power
        (y, x) float32, linear power, NaN = no data.
    window
        Side of the window, px; odd.
    looks
        Equivalent number of looks L.
    bright
        Power above which a pixel may be a point target; by default the 98th percentile of `power`
        (`bright_level`). Blocks of one scene must be given the level of the whole scene.

    Returns
    -------
    ndarray
        (y, x) float32; NaN where `power` is. Pixels brighter than `bright` stay as they are where
        at least 5 of such lie together in 3x3. Elsewhere Lee's estimate from 3x3 is the centre of
        the sigma range, and the pixels of the window inside it give z̄ and Var(z) of
        z̄ + b (z − z̄), b = Var(x) / Var(z). The range is asymmetric, so that the mean of the
        speckle inside is 1 (section III). Over even ground, in 7x7, the estimate is still 1.5 %
        low for a single look and 0.3 % low for 4.4 looks.

    Raises
    ------
    InputError
        If the window is even or below 3, or the number of looks isn't positive.
    """
    require_window(window, looks)
    filled = as_power(power)
    level = bright_level(filled) if bright is None else bright
    low, high, spread = sigma_range(float(looks))
    filtered: Power = _lee_sigma(
        filled, window // 2, 1.0 / looks, low, high, spread**2, np.float32(level)
    )
    return filtered


@lru_cache
def sigma_range(looks: float, share: float = SIGMA) -> tuple[float, float, float]:
    """Return the range of speckle that holds a share of it and has the mean 1.

    Parameters
    ----------
    looks
        Equivalent number of looks of gamma-distributed speckle of mean 1.
    share
        Probability that speckle falls into the range, 0-1.

    Returns
    -------
    low, high
        Ends of the range.
    deviation
        Standard deviation of the speckle inside.
    """

    gammainc, gammaincinv = scipy.special.gammainc, scipy.special.gammaincinv

    def between(low: float, high: float, order: int) -> float:
        shape = looks + order
        return float(gammainc(shape, looks * high) - gammainc(shape, looks * low))

    def upper(low: float) -> float:
        return float(gammaincinv(looks, min(gammainc(looks, looks * low) + share, 1.0)) / looks)

    largest = float(gammaincinv(looks, (1 - share) * (1 - 1e-12)) / looks)
    low = float(
        scipy.optimize.brentq(lambda end: between(end, upper(end), 1) - share, 1e-12, largest)
    )
    high = upper(low)
    second = (looks + 1) / looks * between(low, high, 2) / share
    return low, high, float(np.sqrt(second - 1.0))


def bright_level(power: Power) -> float:
    """Return the 98th percentile of the valid pixels, to 0.8 %; inf where there is none."""
    return level_of(count_levels(power))


def count_levels(power: Power) -> NDArray[np.int64]:
    """Count valid pixels by the sixteen leading bits of their power.

    Counts of the blocks of a scene can be added in any order: the level that follows from them
    doesn't depend on the blocks.

    Parameters
    ----------
    power
        float32 of any shape, not negative, NaN = no data.

    Returns
    -------
    ndarray
        (32768,) int64; 128 levels for each doubling of the power.
    """
    values = as_power(power).ravel()
    bits = values[values >= 0].view(np.uint32) >> 16
    return np.bincount(bits & (_LEVELS - 1), minlength=_LEVELS)


def level_of(counts: NDArray[np.int64]) -> float:
    """Return the power below which 98 % of the counted pixels lie; inf where there are none."""
    below = np.cumsum(counts)
    if below[-1] == 0:
        return float("inf")
    level = int(np.searchsorted(below, _BRIGHT_SHARE * below[-1])) + 1
    return float(np.uint32(level << 16).view(np.float32))


@jit()
def _lee_sigma(  # type: ignore[no-untyped-def]
    power, radius, speckle, low, high, inside, bright
):
    filtered = np.empty_like(power)
    columns, count, mean, variance = scratch(power.shape[1], 1)
    for row in range(power.shape[0]):
        row_moments(power, row, 1, columns, count, mean, variance)
        for col in range(power.shape[1]):
            value = power[row, col]
            if np.isnan(value) or (value > bright and _is_target(power, row, col, bright)):
                filtered[row, col] = value
                continue
            prior = _estimate(value, mean[col], variance[col], speckle)
            number, average, spread = _within(power, row, col, radius, low * prior, high * prior)
            filtered[row, col] = _estimate(value, average, spread, inside) if number else value
    return filtered


@jit()
def _estimate(value, mean, variance, speckle):  # type: ignore[no-untyped-def]
    signal = max((variance - mean * mean * speckle) / (1.0 + speckle), 0.0)
    gain = signal / variance if variance > 0.0 else 0.0
    return mean + gain * (value - mean)


@jit()
def _within(power, row, col, radius, low, high):  # type: ignore[no-untyped-def]
    """Return number, mean and variance of the window's pixels in a range, its ends included."""
    height, width = power.shape
    number, first, second = 0.0, 0.0, 0.0
    for i in range(max(row - radius, 0), min(row + radius + 1, height)):
        for j in range(max(col - radius, 0), min(col + radius + 1, width)):
            value = np.float64(power[i, j])
            chosen = value >= low and value <= high
            taken = value if chosen else 0.0
            number += 1.0 if chosen else 0.0
            first += taken
            second += taken * taken
    average = first / max(number, 1.0)
    return number, average, max(second / max(number, 1.0) - average * average, 0.0)


@jit()
def _is_target(power, row, col, bright):  # type: ignore[no-untyped-def]
    """Whether a bright pixel lies in 3x3 around a bright pixel with enough bright ones."""
    height, width = power.shape
    for i in range(max(row - 1, 0), min(row + 2, height)):
        for j in range(max(col - 1, 0), min(col + 2, width)):
            if power[i, j] > bright and _bright_around(power, i, j, bright) >= _CLUSTER:
                return True
    return False


@jit()
def _bright_around(power, row, col, bright):  # type: ignore[no-untyped-def]
    height, width = power.shape
    number = 0
    for i in range(max(row - 1, 0), min(row + 2, height)):
        for j in range(max(col - 1, 0), min(col + 2, width)):
            number += power[i, j] > bright
    return number
