"""The order of the confidences of many pixels, without having all of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Floats

_HALF = 16  # bits
_VALUES = 1 << _HALF

Parts = Callable[[], Iterable[Sequence[Floats]]]
"""Gives, each time anew, the confidences (pixel,) of each class, some tiles at a time."""


class Ranking:
    """Confidences by predicted class, counted by the upper half of their bits.

    Floating numbers that aren't negative are ordered as their bits are, so two passes find the
    one at any place exactly: by the upper half, and among those alike by the lower one.

    Parameters
    ----------
    parts
        Gives the confidences, 0-1; they are gone through once, and again for each `cutoff`.
    classes
        Number of classes.
    """

    def __init__(self, parts: Parts, classes: int) -> None:
        self._parts = parts
        self._upper = np.zeros((classes, _VALUES), dtype=np.int64)
        for part in parts():
            for upper, confidence in zip(self._upper, part, strict=True):
                upper += _counts(_bits(confidence) >> _HALF)
        self._found: dict[tuple[int, float], float] = {}

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of the pixels predicted as each class, (class,)."""
        return np.asarray(self._upper.sum(axis=1))

    def cutoff(self, value: int, share: float) -> float:
        """Return the confidence of the last pixel within a share of a class's most confident ones.

        Returns
        -------
        float
            Infinity where that is no pixel, and minus infinity where it is all.
        """
        if (value, share) not in self._found:
            self._found[value, share] = self._cutoff(value, share)
        return self._found[value, share]

    def _cutoff(self, value: int, share: float) -> float:
        size = int(self.counts[value])
        place = int(np.floor(share * size))
        if place >= size:
            return -np.inf
        if place == 0:
            return np.inf
        upper, place = _at(self._upper[value], place)
        lower = np.zeros(_VALUES, dtype=np.int64)
        for part in self._parts():
            bits = _bits(part[value])
            lower += _counts(bits[bits >> _HALF == upper] & (_VALUES - 1))
        found = np.uint32(upper << _HALF | _at(lower, place)[0])
        return float(found.view(np.float32))


def _bits(confidence: Floats) -> NDArray[np.uint32]:
    return np.ascontiguousarray(confidence, dtype=np.float32).view(np.uint32)


def _counts(halves: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.bincount(halves, minlength=_VALUES)


def _at(counts: NDArray[np.int64], place: int) -> tuple[int, int]:
    """Return which value is at a place from the greatest, 1 the first, and at which of its own."""
    downwards = np.cumsum(counts[::-1])
    index = int(np.searchsorted(downwards, place))
    before = int(downwards[index] - counts[::-1][index])
    return len(counts) - 1 - index, place - before
