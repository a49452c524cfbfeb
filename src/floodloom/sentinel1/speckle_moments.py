"""Speckle filters that need only the mean and the variance of a window: boxcar, Lee, gamma-MAP.

The sums of a window are taken directly, columns first and then rows, always in the same order and
in float64. A running sum would be shorter, but its rounding depends on where the block begins.

Sources: Lee (1980), Digital image enhancement and noise filtering by use of local statistics, IEEE
PAMI 2(2); Lopes, Nezry, Touzi and Laur (1993), Structure detection and statistical adaptive speckle
filtering in SAR images, International Journal of Remote Sensing 14(9).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.kernels import jit

Power = NDArray[np.float32]


def boxcar(power: Power, window: int, looks: float) -> Power:
    """Return the mean of the valid pixels in a window.

    Parameters
    ----------
    power
        (y, x) float32, linear power, NaN = no data.
    window
        Side of the window, px; odd.
    looks
        Equivalent number of looks; has no effect here.

    Returns
    -------
    ndarray
        (y, x) float32; NaN where `power` is. Unbiased.

    Raises
    ------
    InputError
        If the window is even or below 3, or the number of looks isn't positive.
    """
    require_window(window, looks)
    filtered: Power = _boxcar(as_power(power), window // 2)
    return filtered


def lee(power: Power, window: int, looks: float) -> Power:
    """Return Lee's minimum mean square error estimate.

    Parameters
    ----------
    power
        (y, x) float32, linear power, NaN = no data.
    window
        Side of the window, px; odd.
    looks
        Equivalent number of looks L; speckle of mean 1 and variance 1/L.

    Returns
    -------
    ndarray
        (y, x) float32; NaN where `power` is. z̄ + k (z − z̄) with k = Q / (z̄²/L + Q) and
        Q = (Var(z) − z̄²/L) / (1 + 1/L), not below 0 (Lee 1980, section IV). Unbiased
        over even ground.

    Raises
    ------
    InputError
        If the window is even or below 3, or the number of looks isn't positive.
    """
    require_window(window, looks)
    filtered: Power = _lee(as_power(power), window // 2, 1.0 / looks)
    return filtered


def gamma_map(power: Power, window: int, looks: float) -> Power:
    """Return the maximum a posteriori estimate under gamma-distributed backscatter.

    Parameters
    ----------
    power
        (y, x) float32, linear power, NaN = no data.
    window
        Side of the window, px; odd.
    looks
        Equivalent number of looks L.

    Returns
    -------
    ndarray
        (y, x) float32; NaN where `power` is. With C the coefficient of variation of the window and
        Cu = 1/√L: the mean where C ≤ Cu, the pixel itself where C ≥ √2 Cu, between them
        (b z̄ + √(b² z̄² + 4 α L z z̄)) / (2 α) with α = (1 + Cu²) / (C² − Cu²) and b = α − L − 1
        (Lopes et al. 1993, section 2). A mode lies below the mean: over even ground, in 7x7, the
        estimate is 4 % low for a single look and 1.3 % low for 4.4 looks.

    Raises
    ------
    InputError
        If the window is even or below 3, or the number of looks isn't positive.
    """
    require_window(window, looks)
    filtered: Power = _gamma_map(as_power(power), window // 2, float(looks))
    return filtered


def require_window(window: int, looks: float, smallest: int = 3) -> None:
    """Check the arguments that the filters share.

    Raises
    ------
    InputError
        If the window is even or too small, or the number of looks isn't positive.
    """
    if window < smallest or window % 2 == 0:
        raise InputError(f"speckle window {window} px must be odd and at least {smallest}")
    if not 0 < looks < math.inf:
        raise InputError(f"looks {looks} must be positive; Sentinel-1 IW GRDH has about 4.4")


def as_power(power: NDArray[np.floating]) -> Power:
    """Return the array as the kernels expect it."""
    return np.ascontiguousarray(power, dtype=np.float32)


@jit()
def row_moments(power, row, radius, columns, count, mean, variance):  # type: ignore[no-untyped-def]
    """Fill in the number, mean and variance of the valid pixels in the windows along a row.

    `columns` is (3, width + 2 radius) float64 scratch space; `count`, `mean` and `variance` are
    (width,) float64. Where a window holds no valid pixel, mean and variance are 0.
    """
    height, width = power.shape
    columns[:] = 0.0
    for other in range(max(row - radius, 0), min(row + radius + 1, height)):
        for col in range(width):
            value = np.float64(power[other, col])
            known = value == value
            filled = value if known else 0.0
            columns[0, col + radius] += 1.0 if known else 0.0
            columns[1, col + radius] += filled
            columns[2, col + radius] += filled * filled
    count[:] = 0.0
    mean[:] = 0.0
    variance[:] = 0.0
    for step in range(2 * radius + 1):
        for col in range(width):
            count[col] += columns[0, col + step]
            mean[col] += columns[1, col + step]
            variance[col] += columns[2, col + step]
    for col in range(width):
        number = max(count[col], 1.0)
        mean[col] /= number
        variance[col] = max(variance[col] / number - mean[col] * mean[col], 0.0)


@jit()
def scratch(width, radius):  # type: ignore[no-untyped-def]
    """Return the arrays that `row_moments` works on."""
    columns = np.empty((3, width + 2 * radius))
    return columns, np.empty(width), np.empty(width), np.empty(width)


@jit()
def _boxcar(power, radius):  # type: ignore[no-untyped-def]
    filtered = np.empty_like(power)
    columns, count, mean, variance = scratch(power.shape[1], radius)
    for row in range(power.shape[0]):
        row_moments(power, row, radius, columns, count, mean, variance)
        for col in range(power.shape[1]):
            filtered[row, col] = np.nan if np.isnan(power[row, col]) else mean[col]
    return filtered


@jit()
def _lee(power, radius, speckle):  # type: ignore[no-untyped-def]
    filtered = np.empty_like(power)
    columns, count, mean, variance = scratch(power.shape[1], radius)
    for row in range(power.shape[0]):
        row_moments(power, row, radius, columns, count, mean, variance)
        for col in range(power.shape[1]):
            noise = mean[col] * mean[col] * speckle
            signal = max((variance[col] - noise) / (1.0 + speckle), 0.0)
            gain = signal / max(signal + noise, 1e-300)
            filtered[row, col] = mean[col] + gain * (power[row, col] - mean[col])
    return filtered


@jit()
def _gamma_map(power, radius, looks):  # type: ignore[no-untyped-def]
    filtered = np.empty_like(power)
    columns, count, mean, variance = scratch(power.shape[1], radius)
    for row in range(power.shape[0]):
        row_moments(power, row, radius, columns, count, mean, variance)
        for col in range(power.shape[1]):
            value = np.float64(power[row, col])
            average = mean[col]
            noise = average * average / looks
            if np.isnan(value) or variance[col] >= 2.0 * noise > 0.0:
                filtered[row, col] = value
            elif variance[col] <= noise:
                filtered[row, col] = average
            else:
                alpha = (1.0 + 1.0 / looks) * average * average / (variance[col] - noise)
                middle = (alpha - looks - 1.0) * average
                root = math.sqrt(middle * middle + 4.0 * alpha * looks * value * average)
                filtered[row, col] = (middle + root) / (2.0 * alpha)
    return filtered
