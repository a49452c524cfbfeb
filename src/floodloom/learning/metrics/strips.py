"""A probability and its truth, read together by strips of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Bytes
from floodloom.raster.rows import STRIP, RememberedRows, Rows, around, by_strips

REACH = 256
"""Rows that are read above and below a strip."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Strip:
    """Some rows of a probability and its truth, with those around them.

    Attributes
    ----------
    probability
        (row, x) uint8 or float64, foreground probability times `scale`; foreground from one half.
    label
        (row, x) uint8: 0 background, 1 foreground, 255 ignored.
    scale
        What probability 1 is.
    start
        First row of the strip on the map.
    own
        Where its rows are among those that were read.
    """

    probability: NDArray[Any]
    label: Bytes
    scale: float
    start: int
    own: slice

    def within(self, reach: int) -> Strip:
        """Return the same strip with fewer rows around it."""
        top = max(self.own.start - reach, 0)
        rows = slice(top, self.own.stop + reach)
        own = slice(self.own.start - top, self.own.stop - top)
        return replace(self, probability=self.probability[rows], label=self.label[rows], own=own)


def each_strip(
    make: Callable[[Strip], Made],
    probability: Rows,
    label: Rows,
    scale: float = 1.0,
    *,
    rows: int = STRIP,
    threads: int = 1,
) -> Iterator[Made]:
    """Give what is made of each strip, from top to bottom.

    Parameters
    ----------
    make
        Is called from several threads at once.
    probability, label, scale
        See `Strip`; (y, x) each.
    rows, threads
        Rows of a strip, and strips that are worked on at once.
    """
    layers = RememberedRows(probability), RememberedRows(label)

    def made(start: int, stop: int) -> Made:
        (values, own), (truth, _) = (around(layer, start, stop, REACH) for layer in layers)
        dtype = np.uint8 if values.dtype in (bool, np.uint8) else np.float64
        return make(
            Strip(
                np.ascontiguousarray(values, dtype),
                np.ascontiguousarray(truth, np.uint8),
                float(scale),
                start,
                own,
            )
        )

    return (part for _, part in by_strips(made, label.shape[0], rows=rows, threads=threads))
