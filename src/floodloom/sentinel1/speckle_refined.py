"""Refined Lee filter: statistics from the half of the window that lies on the pixel's side.

Source: Lee (1981), Refined filtering of image noise using local statistics, Computer Graphics and
Image Processing 15(4).
"""

from __future__ import annotations

import numpy as np

from floodloom.kernels import jit
from floodloom.sentinel1.speckle_moments import (
    Power,
    as_power,
    require_window,
    row_moments,
    scratch,
)


def refined_lee(power: Power, window: int, looks: float) -> Power:
    """Return Lee's estimate from edge-aligned half windows.

    Parameters
    ----------
    power
        (y, x) float32, linear power, NaN = no data.
    window
        Side of the window, px; odd, at least 5; Lee's own is 7.
    looks
        Equivalent number of looks L.

    Returns
    -------
    ndarray
        (y, x) float32; NaN where `power` is. Where the window varies no more than speckle does,
        its mean. Elsewhere the strongest of four gradients between the means of nine sub-windows
        gives the edge, the sub-window more like the central one gives the side, and the half
        window of that side gives z̄ and Var(z) of z̄ + b (z − z̄), b = Var(x) / Var(z) with
        Var(x) = (Var(z) − z̄²/L) / (1 + 1/L). Over even ground the side is chosen by speckle too,
        which costs looks and makes the estimate 0.8 % low for a single look, 0.2 % for 4.4 looks.

    Raises
    ------
    InputError
        If the window is even or below 5, or the number of looks isn't positive.
    """
    require_window(window, looks, smallest=5)
    filled = as_power(power)
    radius = window // 2
    inner = max(radius // 3, 1)
    filtered: Power = _refined_lee(filled, _means(filled, inner), radius, inner, 1.0 / looks)
    return filtered


@jit()
def _means(power, radius):  # type: ignore[no-untyped-def]
    means = np.empty(power.shape)
    columns, count, mean, variance = scratch(power.shape[1], radius)
    for row in range(power.shape[0]):
        row_moments(power, row, radius, columns, count, mean, variance)
        for col in range(power.shape[1]):
            means[row, col] = mean[col] if count[col] > 0 else np.nan
    return means


@jit()
def _refined_lee(power, means, radius, inner, speckle):  # type: ignore[no-untyped-def]
    filtered = np.empty_like(power)
    columns, count, mean, variance = scratch(power.shape[1], radius)
    for row in range(power.shape[0]):
        row_moments(power, row, radius, columns, count, mean, variance)
        for col in range(power.shape[1]):
            value = np.float64(power[row, col])
            if np.isnan(value):
                filtered[row, col] = np.nan
            elif variance[col] <= mean[col] * mean[col] * speckle:
                filtered[row, col] = mean[col]
            else:
                down, right = _side(means, row, col, radius - inner)
                average, spread = _half(power, row, col, radius, down, right)
                signal = max((spread - average * average * speckle) / (1.0 + speckle), 0.0)
                gain = signal / spread if spread > 0.0 else 0.0
                filtered[row, col] = average + gain * (value - average)
    return filtered


@jit()
def _side(means, row, col, step):  # type: ignore[no-untyped-def]
    """Return the direction, across the strongest edge, to the side on which the pixel lies.

    Opposite triples of sub-windows (their centre and their two neighbours around the pixel) are
    compared in four directions.
    """
    centre = means[row, col]
    best = -1.0
    down, right = 0, 0
    for ahead_down, ahead_right in ((0, 1), (1, 1), (1, 0), (1, -1)):
        gradient = 0.0
        for turn in (-1, 0, 1):
            near_down, near_right = _turned(ahead_down, ahead_right, turn)
            gradient += _mean_at(means, row + step * near_down, col + step * near_right, centre)
            gradient -= _mean_at(means, row - step * near_down, col - step * near_right, centre)
        if abs(gradient) > best:
            best = abs(gradient)
            ahead = _mean_at(means, row + step * ahead_down, col + step * ahead_right, centre)
            behind = _mean_at(means, row - step * ahead_down, col - step * ahead_right, centre)
            sign = 1 if abs(ahead - centre) <= abs(behind - centre) else -1
            down, right = sign * ahead_down, sign * ahead_right
    return down, right


@jit()
def _turned(down, right, turn):  # type: ignore[no-untyped-def]
    """Return one of the eight directions turned by 45 degrees to either side."""
    turned_down = down + turn * right
    turned_right = right - turn * down
    return min(max(turned_down, -1), 1), min(max(turned_right, -1), 1)


@jit()
def _mean_at(means, row, col, otherwise):  # type: ignore[no-untyped-def]
    """Return a sub-window's mean, or another value where there is none."""
    height, width = means.shape
    if row < 0 or col < 0 or row >= height or col >= width or np.isnan(means[row, col]):
        return otherwise
    return means[row, col]


@jit()
def _half(power, row, col, radius, down, right):  # type: ignore[no-untyped-def]
    """Return mean and variance of the half window ahead, the line through the pixel included."""
    height, width = power.shape
    number, first, second = 0.0, 0.0, 0.0
    for i in range(max(row - radius, 0), min(row + radius + 1, height)):
        for j in range(max(col - radius, 0), min(col + radius + 1, width)):
            value = np.float64(power[i, j])
            ahead = (i - row) * down + (j - col) * right >= 0
            if ahead and value == value:
                number += 1.0
                first += value
                second += value * value
    average = first / number
    return average, max(second / number - average * average, 0.0)
