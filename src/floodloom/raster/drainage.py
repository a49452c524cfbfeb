"""How water runs over a surface: depressions, directions of flow, accumulation.

`fill_depressions`, `steepest_receivers` and `accumulate` give all of it, in some 60 bytes a pixel;
`flow_directions` and what is made of them the same directions in 13.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from floodloom.kernels import jit

_ROWS = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_COLS = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
OUTLET = -1
"""Receiver of a pixel from which water leaves the data."""


def fill_depressions(
    elevation: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a surface without depressions, and its pixels from the lowest up.

    Parameters
    ----------
    elevation
        (y, x) float64, NaN = no data.

    Returns
    -------
    filled, order
        (y, x) float64, nowhere below `elevation`, from every pixel of which a way leads down to
        the border of the data; and the flat indices of its pixels, ascending, (n,) int64.
    """
    filled, order = _priority_flood(elevation)
    return filled, order


@jit()
def _priority_flood(elevation):  # type: ignore[no-untyped-def]
    height, width = elevation.shape
    filled = elevation.copy()
    queued = np.isnan(elevation)
    order = np.empty(height * width, np.int64)
    heap = [(0.0, np.int64(0))]
    heap.pop()

    # Water leaves the data over their border, so the flood begins there.
    for row in range(height):
        for col in range(width):
            if queued[row, col]:
                continue
            if _on_border(elevation, row, col):
                heapq.heappush(heap, (elevation[row, col], np.int64(row * width + col)))
                queued[row, col] = True

    count = 0
    while len(heap) > 0:
        level, place = heapq.heappop(heap)
        order[count] = place
        count += 1
        row, col = place // width, place % width

        # The least step there is, so that what is filled drains.
        above = np.nextafter(level, np.inf)
        for way in range(8):
            y, x = row + _ROWS[way], col + _COLS[way]
            if 0 <= y < height and 0 <= x < width and not queued[y, x]:
                queued[y, x] = True
                filled[y, x] = max(elevation[y, x], above)
                heapq.heappush(heap, (filled[y, x], np.int64(y * width + x)))
    return filled, order[:count].copy()


@jit()
def _on_border(elevation, row, col):  # type: ignore[no-untyped-def]
    height, width = elevation.shape
    for way in range(8):
        y, x = row + _ROWS[way], col + _COLS[way]
        if not (0 <= y < height and 0 <= x < width) or np.isnan(elevation[y, x]):
            return True
    return False


@jit()
def steepest_receivers(filled, order, wide, tall):  # type: ignore[no-untyped-def]
    """Flat index of the steepest lower neighbour of each pixel; border pixels may have none."""
    height, width = filled.shape
    receiver = np.full(height * width, OUTLET, np.int64)
    for place in order:
        row, col = place // width, place % width
        steepest = 0.0
        for way in range(8):
            y, x = row + _ROWS[way], col + _COLS[way]
            if 0 <= y < height and 0 <= x < width and filled[y, x] < filled[row, col]:
                run = np.hypot(_ROWS[way] * tall, _COLS[way] * wide)
                slope = (filled[row, col] - filled[y, x]) / run
                if slope > steepest:
                    steepest = slope
                    receiver[place] = y * width + x
    return receiver


@jit()
def accumulate(receiver, order):  # type: ignore[no-untyped-def]
    """Number of pixels that drain through each, itself included."""
    upstream = np.zeros(receiver.size, np.int64)
    for place in order[::-1]:
        upstream[place] += 1
        if receiver[place] != OUTLET:
            upstream[receiver[place]] += upstream[place]
    return upstream


NO_WAY, _QUEUED, _UNKNOWN = 8, 9, 10
"""Direction of a pixel from which water leaves the data; and while directions are found."""


@jit()
def flow_directions(elevation, wide, tall):  # type: ignore[no-untyped-def]
    """Find where water runs from each pixel, over a surface without depressions.

    A pixel is taken from the queue after all that are lower, and so its direction is that of
    `steepest_receivers` on the surface of `fill_depressions`.

    Parameters
    ----------
    elevation
        (y, x) float32 or float64, NaN = no data.
    wide, tall
        Width and height of a pixel.

    Returns
    -------
    ndarray
        (y, x) uint8: number of the neighbour, by rows from 0 to 7, or `NO_WAY`; 10 = no data.
    """
    height, width = elevation.shape
    filled = np.empty((height, width), np.float64)
    found = np.full((height, width), _UNKNOWN, np.uint8)
    runs = np.hypot(_ROWS * tall, _COLS * wide)
    heap = [(0.0, np.int64(0))]
    heap.pop()
    for row in range(height):
        for col in range(width):
            if not np.isnan(elevation[row, col]) and _on_border(elevation, row, col):
                filled[row, col] = elevation[row, col]
                found[row, col] = _QUEUED
                heapq.heappush(heap, (filled[row, col], np.int64(row * width + col)))

    while len(heap) > 0:
        level, place = heapq.heappop(heap)
        row, col = place // width, place % width
        above = np.nextafter(level, np.inf)
        steepest, best = 0.0, NO_WAY
        for way in range(8):
            y, x = row + _ROWS[way], col + _COLS[way]
            if not (0 <= y < height and 0 <= x < width):
                continue
            if found[y, x] == _UNKNOWN:
                if not np.isnan(elevation[y, x]):
                    found[y, x] = _QUEUED
                    filled[y, x] = max(np.float64(elevation[y, x]), above)
                    heapq.heappush(heap, (filled[y, x], np.int64(y * width + x)))
            elif filled[y, x] < level:
                slope = (level - filled[y, x]) / runs[way]
                if slope > steepest:
                    steepest, best = slope, way
        found[row, col] = best
    return found


@jit()
def end_at_channels(directions, pixels, water):  # type: ignore[no-untyped-def]
    """Let ways end where a channel begins.

    Parameters
    ----------
    directions
        (y, x) uint8 of `flow_directions`; pixels of channels become `NO_WAY`.
    pixels
        Pixels, itself included, that make a channel of the one which they drain through.
    water
        (y, x) bool: further channels; or of no size.
    """
    height, width = directions.shape
    upstream = np.zeros((height, width), np.uint32)
    entering = np.zeros((height, width), np.uint8)
    for row in range(height):
        for col in range(width):
            way = directions[row, col]
            if way < NO_WAY:
                entering[row + _ROWS[way], col + _COLS[way]] += 1
    for row in range(height):
        for col in range(width):
            y, x = row, col
            while entering[y, x] == 0 and directions[y, x] != _UNKNOWN:  # all above is counted
                upstream[y, x] += 1
                entering[y, x] = 255
                way = directions[y, x]
                if way == NO_WAY:
                    break
                below = y + _ROWS[way], x + _COLS[way]
                upstream[below] += upstream[y, x]
                entering[below] -= 1
                y, x = below
    for row in range(height):
        for col in range(width):
            is_water = water.size > 0 and water[row, col]
            if directions[row, col] < NO_WAY and (upstream[row, col] >= pixels or is_water):
                directions[row, col] = NO_WAY


@jit()
def heights_above_ends(elevation, directions):  # type: ignore[no-untyped-def]
    """Height of each pixel above the one where its way ends, (y, x) float32; at least 0."""
    height, width = elevation.shape
    base = np.full((height, width), np.nan, elevation.dtype)
    for row in range(height):
        for col in range(width):
            y, x = row, col
            while directions[y, x] < NO_WAY and np.isnan(base[y, x]):
                way = directions[y, x]
                y, x = y + _ROWS[way], x + _COLS[way]
            end = elevation[y, x] if np.isnan(base[y, x]) else base[y, x]
            y, x = row, col
            while directions[y, x] < NO_WAY and np.isnan(base[y, x]):
                base[y, x] = end
                way = directions[y, x]
                y, x = y + _ROWS[way], x + _COLS[way]
            if np.isnan(base[y, x]):
                base[y, x] = elevation[y, x]
    found = np.empty((height, width), np.float32)
    for row in range(height):
        for col in range(width):
            above = np.float64(elevation[row, col]) - np.float64(base[row, col])
            found[row, col] = max(above, 0.0) if not np.isnan(above) else np.nan
    return found
