"""Regions that grow from seeds."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import NODATA, Bytes
from floodloom.kernels import jit

SEED = 95
"""Percent from which a region begins."""
WATER = 50
"""Percent down to which it grows."""


def keep_grown(percent: Bytes, seed: int = SEED) -> None:
    """Let only water stay that is connected to sure water, in place.

    Parameters
    ----------
    percent
        (y, x) uint8, 255 = no data. Pixels of 50 and more that no path of such, of eight neighbours
        each, leads to from a seed become 49.
    seed
        Percent from which a pixel is a seed.

    References
    ----------
    Matgen et al. (2011), Towards an automated SAR-based flood monitoring system: Lessons learned
    from two case studies, Physics and Chemistry of the Earth 36(7-8), 241-252: thresholding, then
    growing of regions. Here seeds and tolerance are those of a probability.
    """
    _keep_grown(percent, np.zeros(percent.shape, np.bool_), seed, WATER, NODATA)


@jit()
def _keep_grown(percent, grown, seed, water, nodata):  # type: ignore[no-untyped-def]
    height, width = percent.shape
    stack = np.empty(1024, np.int64)
    for row in range(height):
        for col in range(width):
            if percent[row, col] < seed or percent[row, col] == nodata or grown[row, col]:
                continue
            grown[row, col] = True
            stack[0], size = row * width + col, 1
            while size:
                size -= 1
                place = stack[size]
                here, there = place // width, place % width
                for y in range(max(here - 1, 0), min(here + 2, height)):
                    for x in range(max(there - 1, 0), min(there + 2, width)):
                        value = percent[y, x]
                        if value < water or value == nodata or grown[y, x]:
                            continue
                        grown[y, x] = True
                        if size == stack.size:
                            larger = np.empty(2 * size, np.int64)
                            larger[:size] = stack
                            stack = larger
                        stack[size] = y * width + x
                        size += 1
    for row in range(height):
        for col in range(width):
            value = percent[row, col]
            if value >= water and value != nodata and not grown[row, col]:
                percent[row, col] = water - 1
