"""Which of OMBRIA's chips show the same event.

The data set doesn't say. Its chips were cut from scenes row by row and numbered on the way, and
neighbours touch without overlap, so the last column of one correlates with the first column of the
next, in both images of the pair. Chips that touch, and chips whose numbers lie within those of a
group that touches, are taken for one event.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from floodloom.adapters import Chips

ALIKE = 0.8
"""Least correlation of touching borders, in both images."""

ROW = 20
"""A neighbour's number is greater by at most this much: chips in a row of a scene, and some."""


def event_of_chips(chips: Chips) -> NDArray[np.int64]:
    """Return the number of each chip's event, (chip,) int64 from 0 in the order of the numbers."""
    number = np.array([int(name.split("_")[1]) for name in chips.names])
    touching = np.zeros((len(number), len(number)), dtype=np.bool_)
    for last, first in (((..., -1), (..., 0)), ((..., -1, slice(None)), (..., 0, slice(None)))):
        touching |= _neighbours(chips.image[last], chips.image[first], number)
    _, group = connected_components(csr_matrix(touching), directed=False)
    return _events(number, group)


def _neighbours(
    last: NDArray[np.float32], first: NDArray[np.float32], number: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Mark (chip, chip) whose borders are each other's best match; borders are (chip, band, px)."""
    likeness = np.min(
        [_unit(last[:, band]) @ _unit(first[:, band]).T for band in range(last.shape[1])], axis=0
    )
    step = number[None, :] - number[:, None]
    likeness[(step < 1) | (step > ROW)] = 0
    best_of_row = likeness == likeness.max(axis=1, keepdims=True)
    best_of_column = likeness == likeness.max(axis=0, keepdims=True)
    found: NDArray[np.bool_] = best_of_row & best_of_column & (likeness > ALIKE)
    return found


def _unit(border: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = border - border.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: NDArray[np.float32] = centred / np.maximum(length, 1e-6)
    return unit


def _events(number: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join groups whose ranges of numbers overlap."""
    ranges = sorted((number[group == g].min(), number[group == g].max()) for g in np.unique(group))
    ends: list[int] = []
    begins: list[int] = []
    for begin, end in ranges:
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], int(end))
        else:
            begins.append(int(begin))
            ends.append(int(end))
    return np.searchsorted(np.array(begins), number, side="right").astype(np.int64) - 1
