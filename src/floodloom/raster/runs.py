"""Runs of equal pixels in a row, and the patches that they make: the loops, compiled.

A patch is what is joined by the edges of its pixels and has one value. It has the number of its
first run from above, so that numbers are in the order of the patches' first pixels.
"""

from __future__ import annotations

import numpy as np

from floodloom.kernels import jit


@jit()
def find_runs(values):  # type: ignore[no-untyped-def]
    """Find the runs of equal values in the rows of a raster; 0 makes none.

    Parameters
    ----------
    values
        (row, x) uint8.

    Returns
    -------
    at, first, stop
        (row + 1,) int64: which runs are those of a row; (run,) int32 each: its first column, and
        the one after its last.
    """
    height, width = values.shape
    at = np.zeros(height + 1, np.int64)
    for row in range(height):
        count = 0
        before = np.uint8(0)
        for col in range(width):
            value = values[row, col]
            count += (value != before) & (value != 0)
            before = value
        at[row + 1] = at[row] + count
    first, stop = np.empty(at[height], np.int32), np.empty(at[height], np.int32)
    for row in range(height):
        run = at[row]
        col = 0
        while col < width:
            value = values[row, col]
            start = col
            col += 1
            while col < width and values[row, col] == value:
                col += 1
            if value != 0:
                first[run] = start
                stop[run] = col
                run += 1
    return at, first, stop


@jit(inline="always")
def root_of(parent, number):  # type: ignore[no-untyped-def]
    """Number of the patch that a patch has turned out to be a part of."""
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


@jit()
def flatten(parent):  # type: ignore[no-untyped-def]
    """Let every number point at its patch's first one."""
    for number in range(parent.size):  # a parent is smaller, so it points there already
        parent[number] = parent[parent[number]]


@jit(inline="always")
def sum_along(columns, above, share, scale, sums):  # type: ignore[no-untyped-def]
    """Areas of a row's pixels from the left up to each, in whole units; see `PixelAreas`."""
    below = min(above + 1, columns.shape[0] - 1)
    total = np.int64(0)
    sums[0] = 0
    for col in range(columns.shape[1]):
        area = columns[above, col] * (1 - share) + columns[below, col] * share
        total += np.int64(np.rint(area * scale))
        sums[col + 1] = total


@jit()
def join_pairs(count, pairs):  # type: ignore[no-untyped-def]
    """Number what is joined by pairs, directly or by others.

    Parameters
    ----------
    count
        How many there are to be joined.
    pairs
        (2, pair) whole numbers from 0 to before `count`.

    Returns
    -------
    ndarray
        (count,) int64: the number of each, from 0 in the order of their first members.
    """
    parent = np.arange(count)
    for pair in range(pairs.shape[1]):
        one, other = root_of(parent, pairs[0, pair]), root_of(parent, pairs[1, pair])
        parent[max(one, other)] = min(one, other)
    total = 0
    for each in range(count):
        if parent[each] == each:
            parent[each] = total
            total += 1
        else:  # a parent is smaller, so it has its number already
            parent[each] = parent[parent[each]]
    return parent


@jit()
def crossings(at, first, stop, other_at, other_first, other_stop, reach):  # type: ignore[no-untyped-def]
    """Find the pairs of runs in the same row of two rasters that have columns in common.

    Parameters
    ----------
    at, first, stop, other_at, other_first, other_stop
        Runs of one value each, see `find_runs`.
    reach
        0, or 1 to take in those that touch: then two rows of one raster give what is joined by its
        edges or corners.

    Returns
    -------
    ndarray
        (2, pair) int64: numbers of the runs.
    """
    pairs = np.empty((2, first.size + other_first.size), np.int64)
    count = 0
    for row in range(at.size - 1):
        begin, end = other_at[row], other_at[row + 1]
        for run in range(at[row], at[row + 1]):
            while begin < end and other_stop[begin] + reach <= first[run]:
                begin += 1
            near = begin
            while near < end and other_first[near] < stop[run] + reach:
                pairs[0, count] = run
                pairs[1, count] = near
                count += 1
                near += 1
    return pairs[:, :count].copy()
