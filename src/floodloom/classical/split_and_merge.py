"""Splitting a block by a quadtree into homogeneous squares, and merging these to regions."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Doubles, Floats
from floodloom.classical.region_sums import Labels, RegionSums, neighbours
from floodloom.kernels import jit

RANGE = 3.0
"""How many deviations the means of the squares of a region may differ by."""


def split_and_merge(levels: Floats, deviation: float, largest: int) -> Labels:
    """Return the regions of a block.

    A region is homogeneous if in every band the standard deviation of its levels is `deviation` or
    less, and the means of the squares that it consists of differ by `RANGE` times that or less: the
    deviation of a large region would let it take in any small one. Every region is homogeneous, and
    no union of two neighbours is.

    Parameters
    ----------
    levels
        (band, y, x) float32, NaN in all bands where there are no data.
    deviation
        Greatest standard deviation of a region, in the units of the levels.
    largest
        Side of the squares that are split, a power of 2, px.

    References
    ----------
    Horowitz and Pavlidis (1976), Picture segmentation by a tree traversal algorithm, Journal of the
    ACM 23(2), 368-388.
    """
    squares = split(levels, deviation, largest)
    return merge(squares, levels, deviation)


def split(levels: Floats, deviation: float, largest: int) -> Labels:
    """Return the largest homogeneous squares of a quadtree, numbered from 0; -1 without data."""
    height, width = levels.shape[1:]
    tall, wide = (-(-side // largest) * largest for side in (height, width))
    known = np.zeros((tall, wide))
    known[:height, :width] = np.isfinite(levels[0])
    values = np.zeros((len(levels), tall, wide))
    values[:, :height, :width] = np.where(np.isfinite(levels), levels, 0)
    pyramid = [(known, values, values**2)]
    for _ in range(largest.bit_length() - 1):
        count, total, squares = pyramid[-1]
        pyramid.append((_fourfold(count), _fourfold(total), _fourfold(squares)))

    labels = np.full((tall, wide), -1, np.int32)
    undecided = np.ones(pyramid[-1][0].shape, bool)
    number = 0
    for level in reversed(range(len(pyramid))):
        leaf = undecided & _homogeneous(*pyramid[level], deviation)
        if level == 0:
            leaf = undecided
        filled = leaf & (pyramid[level][0] > 0)
        names = np.full(leaf.shape, -1, np.int32)
        names[filled] = number + np.arange(int(filled.sum()), dtype=np.int32)
        number += int(filled.sum())
        here = _repeated(names, 2**level)
        labels[here >= 0] = here[here >= 0]
        if level:
            undecided = _repeated(undecided & ~leaf, 2)
    found = labels[:height, :width]
    return np.where(np.isfinite(levels[0]), found, -1).astype(np.int32)


def merge(labels: Labels, levels: Floats, deviation: float) -> Labels:
    """Merge neighbours whose union is homogeneous, the most similar first, until there are none."""
    if (labels < 0).all():
        return labels
    sums = RegionSums.of(labels, levels)
    edges, _ = neighbours(labels)
    regions = (sums.count, sums.total, sums.squares, sums.means.copy(), sums.means.copy())
    parent = np.arange(len(sums.count))
    merged = True
    while merged and len(edges):
        means = sums.means
        unlike = np.square(means[edges[:, 0]] - means[edges[:, 1]]).sum(axis=1)
        order = np.argsort(unlike, kind="stable")
        merged = _merge_pass(edges[order], parent, *regions, deviation)
        roots = np.sort(parent[edges], axis=1)
        edges = np.unique(roots[roots[:, 0] != roots[:, 1]], axis=0)
    names = np.unique(parent, return_inverse=True)[1].astype(np.int32)
    return np.where(labels >= 0, names[labels], -1).astype(np.int32)


def _fourfold(values: Doubles) -> Doubles:
    """Sums (..., y / 2, x / 2) of squares of four."""
    rows = values[..., ::2, :] + values[..., 1::2, :]
    return np.asarray(rows[..., ::2] + rows[..., 1::2])


def _homogeneous(count: Doubles, total: Doubles, squares: Doubles, deviation: float):  # type: ignore[no-untyped-def]
    number = np.maximum(count, 1)
    variance = squares / number - np.square(total / number)
    return (variance <= deviation**2).all(axis=0)


def _repeated(values, times: int):  # type: ignore[no-untyped-def]
    return np.repeat(np.repeat(values, times, axis=0), times, axis=1)


@jit()
def _merge_pass(edges, parent, count, total, squares, lowest, highest, deviation):  # type: ignore[no-untyped-def]
    """Merge along edges (edge, 2), in place; afterwards every parent is a root."""
    merged = False
    for at in range(edges.shape[0]):
        one, other = _root(parent, edges[at, 0]), _root(parent, edges[at, 1])
        if one == other:
            continue
        number = count[one] + count[other]
        fits = True
        for band in range(total.shape[1]):
            mean = (total[one, band] + total[other, band]) / number
            variance = (squares[one, band] + squares[other, band]) / number - mean * mean
            low = min(lowest[one, band], lowest[other, band])
            high = max(highest[one, band], highest[other, band])
            if variance > deviation**2 or high - low > RANGE * deviation:
                fits = False
        if not fits:
            continue
        merged = True
        parent[other] = one
        count[one] = number
        for band in range(total.shape[1]):
            total[one, band] += total[other, band]
            squares[one, band] += squares[other, band]
            lowest[one, band] = min(lowest[one, band], lowest[other, band])
            highest[one, band] = max(highest[one, band], highest[other, band])
    for at in range(parent.size):
        parent[at] = _root(parent, at)
    return merged


@jit()
def _root(parent, at):  # type: ignore[no-untyped-def]
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at
