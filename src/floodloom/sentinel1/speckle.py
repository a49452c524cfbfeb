"""Speckle filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dask.array as da
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.sentinel1.speckle_moments import (
    Power,
    as_power,
    boxcar,
    gamma_map,
    lee,
    require_window,
    row_moments,
    scratch,
)
from floodloom.sentinel1.speckle_sigma import TARGET_RADIUS, count_levels, lee_sigma, level_of


def multitemporal(stack: NDArray[np.float32], window: int, looks: float) -> Power:
    """Return the dates of a stack, each filtered with the help of the others.

    Parameters
    ----------
    stack
        (time, y, x) float32, linear power of one polarisation, quantity and pass, co-registered;
        NaN = no data.
    window
        Side of the window of the local means, px; odd.
    looks
        Equivalent number of looks; has no effect here.

    Returns
    -------
    ndarray
        (time, y, x) float32; NaN where `stack` is. J_k = σ_k / N · Σ_i I_i / σ_i over the N dates
        that are valid at the pixel, σ the local mean. Dates without a positive local mean lend
        nothing. Means are kept to within 1/(looks · window²), by which I/σ differs from 1.

    Raises
    ------
    InputError
        If the window is even or below 3, or the number of looks isn't positive.
    """
    require_window(window, looks)
    filtered: Power = _multitemporal(as_power(stack), window // 2)
    return filtered


@jit()
def _multitemporal(stack, radius):  # type: ignore[no-untyped-def]
    dates, height, width = stack.shape
    filtered = np.empty_like(stack)
    columns = np.empty((3, width + 2 * radius))
    count = np.empty(width)
    variance = np.empty(width)
    mean = np.empty((dates, width))
    for row in range(height):
        for date in range(dates):
            row_moments(stack[date], row, radius, columns, count, mean[date], variance)
        for col in range(width):
            ratios = 0.0
            lenders = 0
            for date in range(dates):
                value = np.float64(stack[date, row, col])
                if value == value and mean[date, col] > 0.0:
                    ratios += value / mean[date, col]
                    lenders += 1
            common = ratios / lenders if lenders else 0.0
            for date in range(dates):
                known = not np.isnan(stack[date, row, col])
                filtered[date, row, col] = common * mean[date, col] if known else np.nan
    return filtered


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


FILTERS: dict[str, Callable[[Power, int, float], Power]] = {
    "boxcar": boxcar,
    "lee": lee,
    "lee_sigma": lee_sigma,
    "refined_lee": refined_lee,
    "gamma_map": gamma_map,
    "multitemporal": multitemporal,
}
"""Filters by name; each takes power, window (px) and the equivalent number of looks.

All but `multitemporal` take and give one image (y, x); that one takes and gives a stack
(time, y, x).
"""


def halo(name: str, window: int) -> int:
    """Return how far around a block a filter must see, px.

    Raises
    ------
    InputError
        If there is no filter of that name.
    """
    require_filter(name)
    return max(window // 2, TARGET_RADIUS) if name == "lee_sigma" else window // 2


def require_filter(name: str) -> None:
    """Check the name of a filter.

    Raises
    ------
    InputError
        If there is no filter of that name.
    """
    if name not in FILTERS:
        raise InputError(f"speckle filter {name!r} must be one of {', '.join(FILTERS)}")


def filter_blocks(power: da.Array, name: str, window: int, looks: float) -> da.Array:
    """Filter an image or a stack lazily, block by block.

    Parameters
    ----------
    power
        (y, x) float32 dask array, linear power, NaN = no data; for `multitemporal`
        (time, y, x).
    name
        Key of `FILTERS`.
    window
        Side of the window, px; odd.
    looks
        Equivalent number of looks.

    Returns
    -------
    dask array
        float32 of the same shape, equal to the last bit to the filter of the whole array, however
        that is chunked.

    Raises
    ------
    InputError
        If the name is unknown, the number of dimensions isn't the filter's, the window is even or
        too small, or the number of looks isn't positive.
    """
    require_filter(name)
    require_window(window, looks, smallest=5 if name == "refined_lee" else 3)
    dimensions = 3 if name == "multitemporal" else 2
    if power.ndim != dimensions:
        raise InputError(f"speckle filter {name}: {power.ndim} dimensions given, not {dimensions}")
    whole: da.Array = power
    if dimensions == 3:
        whole = power.rechunk({0: -1})  # type: ignore[no-untyped-call]
    reach = halo(name, window)
    depth = {axis: reach if axis >= dimensions - 2 else 0 for axis in range(dimensions)}
    apart = dict.fromkeys(range(dimensions), "none")
    extended = da.overlap.overlap(whole, depth, apart)  # type: ignore[no-untyped-call]
    scene = {"bright": _bright_level(whole)} if name == "lee_sigma" else {}
    blank = np.empty((0,) * dimensions, np.float32)
    filtered = extended.map_blocks(
        FILTERS[name], window, looks, **scene, dtype=blank.dtype, meta=blank
    )
    trimmed: da.Array = da.overlap.trim_internal(  # type: ignore[no-untyped-call]
        filtered, depth, apart
    )
    return trimmed


def _bright_level(power: da.Array) -> object:
    """Return the scene's level of point targets, to be computed once for all blocks."""
    counts = [delayed(count_levels)(block) for block in power.to_delayed().ravel()]  # type: ignore[no-untyped-call]
    return delayed(_level_of_all)(counts)


def _level_of_all(counts: list[np.ndarray]) -> float:
    return level_of(np.sum(counts, axis=0))


def despeckle(dates: Sequence[da.Array], name: str, window: int, looks: float) -> da.Array:
    """Filter the first of several dates lazily.

    Parameters
    ----------
    dates
        (y, x) float32 dask arrays of one grid, linear power, NaN = no data; only `multitemporal`
        looks at more than the first.
    name, window, looks
        See `filter_blocks`.

    Returns
    -------
    dask array
        (y, x) float32.
    """
    if name != "multitemporal":
        return filter_blocks(dates[0], name, window, looks)
    stack = da.stack(dates).rechunk({0: -1})  # type: ignore[no-untyped-call]
    first: da.Array = filter_blocks(stack, name, window, looks)[0]
    return first
