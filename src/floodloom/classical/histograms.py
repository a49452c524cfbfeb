"""Histograms of a scene by tiles, which is all that thresholds are found from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles, Floats
from floodloom.kernels import jit

Counts = NDArray[np.uint32]

TILE = 64
"""Side of the smallest tiles, px."""


@dataclass(frozen=True)
class Bins:
    """Equal bins of levels; what lies beyond them is counted in the first and the last.

    Attributes
    ----------
    low, step
        Lower edge of the first bin, and width of each: dB, or standard deviations.
    number
        How many there are.
    """

    low: float
    step: float
    number: int

    @property
    def centres(self) -> Doubles:
        """Levels in the middle of the bins, (bin,) float64, ascending."""
        return np.asarray(self.low + self.step * (np.arange(self.number) + 0.5), np.float64)

    def count(self, levels: Doubles) -> Counts:
        """Return how many of (level,) finite levels lie in each bin, (bin,) uint32."""
        places = np.clip((levels - self.low) / self.step, 0, self.number - 1).astype(np.intp)
        return np.bincount(places, minlength=self.number).astype(np.uint32)


@dataclass(frozen=True)
class Scale:
    """What levels are: their bins, and the greatest mean that water, or a drop, can have."""

    bins: Bins
    greatest_mean: float = float("inf")


@dataclass(frozen=True)
class TileCounts:
    """Histograms of the levels of one band.

    Attributes
    ----------
    counts
        (tile row, tile column, bin) uint32: pixels with data of tiles of `TILE` px, the last of
        which may be smaller.
    scale
        What the bins are.
    """

    counts: Counts
    scale: Scale

    @property
    def whole(self) -> Counts:
        """Histogram of the whole scene, (bin,) uint32."""
        return np.asarray(self.counts.sum(axis=(0, 1), dtype=np.uint32))

    def merged(self, factor: int) -> TileCounts:
        """Return the histograms of tiles `factor` times as large."""
        rows, cols, bins = self.counts.shape
        tall, wide = -(-rows // factor), -(-cols // factor)
        padded = np.zeros((tall * factor, wide * factor, bins), np.uint32)
        padded[:rows, :cols] = self.counts
        blocks = padded.reshape(tall, factor, wide, factor, bins)
        return TileCounts(blocks.sum(axis=(1, 3), dtype=np.uint32), self.scale)


def count_tiles(
    strips: Iterable[tuple[int, Floats]], shape: tuple[int, int], scale: Scale
) -> TileCounts:
    """Count levels by tiles.

    Parameters
    ----------
    strips
        First row, a multiple of `TILE`, and (y, x) float32 levels of the rows from there; NaN
        doesn't count.
    shape
        Height and width of the whole, px.
    scale
        What the levels are.
    """
    bins, (height, width) = scale.bins, shape
    counts = np.zeros((-(-height // TILE), -(-width // TILE), bins.number), np.uint32)
    for row, levels in strips:
        _count(levels, counts[row // TILE :], bins.low, bins.step)
    return TileCounts(counts, scale)


@jit()
def _count(levels, counts, low, step):  # type: ignore[no-untyped-def]
    last = counts.shape[2] - 1
    for row in range(levels.shape[0]):
        for col in range(levels.shape[1]):
            level = levels[row, col]
            if not np.isnan(level):
                place = min(max((level - low) / step, 0.0), float(last))
                counts[row // TILE, col // TILE, int(place)] += 1
