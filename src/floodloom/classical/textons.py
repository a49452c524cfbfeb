"""Comparisons of two pixels, which trees look at instead of filters: implicit textons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Floats
from floodloom.classical.forests import Forest
from floodloom.kernels import jit

KINDS = 4
"""One pixel; the sum of two; their difference; the absolute value of that."""


@dataclass(frozen=True)
class PixelTests:
    """What trees may look at: one or two pixels of the patch around a pixel.

    Attributes
    ----------
    kind
        (test,) 0: the first pixel; 1: the sum of both; 2: the first less the second; 3: the
        absolute value of that.
    places
        (test, 2, 3) int64: band, and rows and columns from the middle, of the first and the second
        pixel.

    References
    ----------
    Shotton, Johnson and Cipolla (2008), Semantic texton forests for image categorization and
    segmentation, CVPR, section 2.1.
    """

    kind: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def drawn(cls, number: int, bands: int, patch: int, draw: np.random.Generator) -> PixelTests:
        """Draw tests of a patch whose side is `patch` px."""
        reach = patch // 2
        places = draw.integers(-reach, reach + 1, (number, 2, 3))
        places[..., 0] = draw.integers(0, bands, (number, 2))
        return cls(draw.integers(0, KINDS, number), places)

    def values(self, levels: Floats, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Floats:
        """Return what the tests give at pixels, (pixel, test) float32.

        Parameters
        ----------
        levels
            (band, y, x) float32; a pixel without data, or beyond the edge, is as the middle one.
        rows, cols
            (pixel,) pixels that have data.
        """
        found = np.empty((len(rows), len(self.kind)), np.float32)
        _values(levels, rows, cols, self.kind, self.places, found)
        return found

    def follow(self, levels: Floats, forest: Forest) -> Floats:
        """Return the mean share of water of the leaves that the pixels of a block reach.

        Parameters
        ----------
        levels
            As `values` takes them; NaN in all bands where there are no data.
        forest
            Whose features are these tests.

        Returns
        -------
        ndarray
            (y, x) float32, 0-1; 0 where there are no data.
        """
        found = np.zeros(levels.shape[1:], np.float32)
        nodes = (forest.feature, forest.limit, forest.left, forest.right, forest.share)
        _follow(levels, self.kind, self.places, forest.roots, *nodes, found)
        return found


@jit()
def _values(levels, rows, cols, kind, places, found):  # type: ignore[no-untyped-def]
    for at in range(rows.size):
        for test in range(kind.size):
            found[at, test] = _value(levels, rows[at], cols[at], kind, places, test)


@jit()
def _follow(levels, kind, places, roots, feature, limit, left, right, share, found):  # type: ignore[no-untyped-def]
    for row in range(levels.shape[1]):
        for col in range(levels.shape[2]):
            if np.isnan(levels[0, row, col]):
                continue
            total = 0.0
            for tree in range(roots.size):
                node = roots[tree]
                while feature[node] >= 0:
                    test = feature[node]
                    if _value(levels, row, col, kind, places, test) <= limit[node]:
                        node = left[node]
                    else:
                        node = right[node]
                total += share[node]
            found[row, col] = total / roots.size


@jit()
def _value(levels, row, col, kind, places, test):  # type: ignore[no-untyped-def]
    first = _level(levels, row, col, places, test, 0)
    if kind[test] == 0:
        return first
    second = _level(levels, row, col, places, test, 1)
    if kind[test] == 1:
        return first + second
    return first - second if kind[test] == 2 else abs(first - second)


@jit()
def _level(levels, row, col, places, test, which):  # type: ignore[no-untyped-def]
    band = places[test, which, 0]
    y, x = row + places[test, which, 1], col + places[test, which, 2]
    if y < 0 or y >= levels.shape[1] or x < 0 or x >= levels.shape[2]:
        return levels[band, row, col]
    level = levels[band, y, x]
    return levels[band, row, col] if np.isnan(level) else level
