"""How water runs over a surface: depressions, directions of flow, accumulation."""

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
