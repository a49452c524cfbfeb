"""Regions of a block: their statistics, and which are neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles, Floats

Labels = NDArray[np.int32]
"""(y, x) number of the region of each pixel, from 0; -1 in none."""


@dataclass(frozen=True)
class RegionSums:
    """What is summed over the pixels of regions.

    Attributes
    ----------
    count
        (region,) pixels.
    total, squares
        (region, band) sums of levels and of their squares.
    """

    count: Doubles
    total: Doubles
    squares: Doubles

    @classmethod
    def of(cls, labels: Labels, levels: Floats) -> RegionSums:
        """Sum levels (band, y, x) over the regions; pixels of none don't count."""
        inside = labels >= 0
        names = labels[inside]
        number = int(names.max()) + 1 if names.size else 0
        values = [band[inside].astype(np.float64) for band in levels]
        total, squares = (
            np.stack([np.bincount(names, one, number) for one in powers], axis=1, dtype=np.float64)
            for powers in (values, [one**2 for one in values])
        )
        count = np.bincount(names, minlength=number).astype(np.float64)
        return cls(count, total, squares)

    @property
    def means(self) -> Doubles:
        """Mean levels, (region, band)."""
        return np.asarray(self.total / self.count[:, np.newaxis])

    @property
    def deviations(self) -> Doubles:
        """Standard deviations of levels, (region, band)."""
        variance = self.squares / self.count[:, np.newaxis] - self.means**2
        return np.asarray(np.sqrt(np.maximum(variance, 0)))


def neighbours(labels: Labels) -> tuple[NDArray[np.int64], Doubles]:
    """Return which regions touch, and the lengths of their boundaries.

    Returns
    -------
    edges
        (edge, 2) int64 pairs of regions that share a side of a pixel, the lower number first,
        sorted.
    lengths
        (edge,) float64, sides of pixels.
    """
    steps = ((labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:]))
    one = np.concatenate([first.ravel() for first, _ in steps]).astype(np.int64)
    other = np.concatenate([second.ravel() for _, second in steps]).astype(np.int64)
    touch = (one >= 0) & (other >= 0) & (one != other)
    low, high = np.minimum(one, other)[touch], np.maximum(one, other)[touch]
    base = int(labels.max(initial=0)) + 1
    keys, lengths = np.unique(low * base + high, return_counts=True)
    return np.stack([keys // base, keys % base], axis=1), lengths.astype(np.float64)


def spread(values: Floats, labels: Labels) -> Floats:
    """Return values (region,) at the pixels of their regions, (y, x) float32; 0 in none."""
    return np.where(labels >= 0, values[labels], 0).astype(np.float32)
