"""Height above the nearest drainage, from an elevation model.

Depressions are filled by Priority-Flood with a slope that always drains (Barnes, Lehman and Mulla
2014, algorithm 3, doi 10.1016/j.cageo.2013.04.024); water then takes the steepest of eight ways
down (O'Callaghan and Mark 1984); what collects enough of it is a channel, and a pixel's height is
taken from the channel that it drains to (Rennó et al. 2008, doi 10.1016/j.rse.2008.03.018).
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Floats
from floodloom.kernels import jit

_ROWS = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_COLS = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
_OUTLET = -1


def height_above_drainage(
    elevation: Floats,
    spacing: tuple[float, float],
    *,
    channel_area: float,
    water: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the height of each pixel above the channel that it drains to.

    Parameters
    ----------
    elevation
        (y, x) float32, m, NaN = no data.
    spacing
        Width and height of a pixel, m.
    channel_area
        Area from which collected water makes a channel, m².
    water
        (y, x) bool: known water, which counts as channel.

    Returns
    -------
    ndarray
        (y, x) float32, m, 0 or more; NaN where the elevation is. Pixels that drain off the raster
        before they meet a channel are measured from where they leave it.
    """
    filled, order = fill_depressions(np.asarray(elevation, dtype=np.float64))
    receiver = _receivers(filled, order, spacing[0], spacing[1])
    upstream = _accumulate(receiver, order)
    channel = upstream * (spacing[0] * spacing[1]) >= channel_area
    if water is not None:
        channel |= water.ravel()
    height = _heights(np.asarray(elevation, np.float64).ravel(), receiver, order, channel)
    return np.asarray(height.reshape(elevation.shape), dtype=np.float32)


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
def _receivers(filled, order, wide, tall):  # type: ignore[no-untyped-def]
    """Flat index of the steepest lower neighbour of each pixel; border pixels may have none."""
    height, width = filled.shape
    receiver = np.full(height * width, _OUTLET, np.int64)
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
def _accumulate(receiver, order):  # type: ignore[no-untyped-def]
    """Number of pixels that drain through each, itself included."""
    upstream = np.zeros(receiver.size, np.int64)
    for place in order[::-1]:
        upstream[place] += 1
        if receiver[place] != _OUTLET:
            upstream[receiver[place]] += upstream[place]
    return upstream


@jit()
def _heights(elevation, receiver, order, channel):  # type: ignore[no-untyped-def]
    base = np.full(elevation.size, np.nan)
    height = np.full(elevation.size, np.nan)
    for place in order:
        drains = receiver[place] != _OUTLET and not channel[place]
        base[place] = base[receiver[place]] if drains else elevation[place]
        height[place] = max(elevation[place] - base[place], 0.0)
    return height
