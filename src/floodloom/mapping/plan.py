"""Where the windows of a scene lie, and how much each counts at every pixel.

A network with pooling gives the same value for a pixel from two windows if both start on a multiple
of the network's coarsest stride and both see the pixel's whole receptive field. So windows start on
multiples of `ALIGNMENT`, or of a larger stride, and a rim of half the receptive field isn't used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.log import get_logger

ALIGNMENT = 32
"""Stride of nearly all networks, px, or a multiple of it."""

LARGEST = {"float32": 1024, "bfloat16": 1408, "int8": 1408}
"""Sides of windows, px, with which U-Net of width 16 takes some .5 GB in each number format."""

_FAINTEST = 1e-3


@dataclass(frozen=True)
class WindowPlan:
    """Windows of one size that cover a scene.

    Attributes
    ----------
    shape
        Height and width of the scene, px.
    padded
        The same, rounded up to multiples of the stride.
    size
        Height and width of every window.
    rows, cols
        First rows and columns of the windows, ascending; every pair is a window.
    rim
        Pixels at a window's border that aren't used, except where it is the scene's border.
    """

    shape: tuple[int, int]
    padded: tuple[int, int]
    size: tuple[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    rim: int

    @property
    def predicted_pixels(self) -> int:
        """Pixels of all windows."""
        return len(self.rows) * len(self.cols) * self.size[0] * self.size[1]

    def row_rims(self, index: int) -> tuple[int, int]:
        """Return the rows of a window that aren't used, at its top and at its bottom."""
        return self._rims(self.rows, index)

    def col_rims(self, index: int) -> tuple[int, int]:
        """Return the columns of a window that aren't used, on its left and on its right."""
        return self._rims(self.cols, index)

    def _rims(self, starts: tuple[int, ...], index: int) -> tuple[int, int]:
        last = len(starts) - 1
        return self.rim if index > 0 else 0, self.rim if index < last else 0

    def as_dict(self) -> dict[str, object]:
        """Return where the windows' borders are, as plain values."""
        return {"size": self.size, "rows": self.rows, "cols": self.cols, "rim": self.rim}

    def row_weights(self) -> NDArray[np.float32]:
        """Return the weights along each window's rows, (window row, y) float32."""
        return axis_weights(self.rows, self.size[0], self.padded[0], self.rim)

    def col_weights(self) -> NDArray[np.float32]:
        """Return the weights along each window's columns, (window column, x) float32."""
        return axis_weights(self.cols, self.size[1], self.padded[1], self.rim)


def plan_scene(
    height: int,
    width: int,
    *,
    tile: int,
    field: int,
    stride: int = ALIGNMENT,
    overlap: int | None = None,
    rim: int | None = None,
) -> WindowPlan:
    """Plan the windows of a scene.

    Parameters
    ----------
    height, width
        Size of the scene, px.
    tile
        Largest side of a window, px, a multiple of `ALIGNMENT`; rounded down to one of the stride.
        Windows are spread evenly, so they may be smaller.
    field
        Receptive field of the network, px.
    stride
        Stride of its coarsest map, px, a power of two; from `ALIGNMENT` on windows begin on its
        multiples and are multiples of it.
    overlap
        Least number of pixels that neighbours share; rounded up to a multiple of the stride; None
        for twice the rim.
    rim
        Pixels at a window's border that aren't used; None for half the receptive field, which makes
        the result independent of the windows, or, where the field doesn't fit into the window,
        for overlaps of half a window and a little less than half of that.

    Raises
    ------
    InputError
        If tile, overlap and rim don't fit together.
    """
    step = max(stride, ALIGNMENT)
    if tile < 2 * step or tile % ALIGNMENT:
        raise InputError(f"predict: tile {tile} must be a multiple of {step} from {2 * step} on")
    tile -= tile % step
    needed = math.ceil(field / 2)
    if rim is None and overlap is None and _aligned(2 * needed, step) >= tile:
        overlap = _aligned(tile // 2, step)
        rim = overlap // 2 - ALIGNMENT // 2
    elif rim is None:
        rim = needed if overlap is None else min(needed, overlap // 2)
    shared = _aligned(2 * rim if overlap is None else overlap, step)
    if not 2 * rim <= shared < tile:
        raise InputError(
            f"predict: overlap {shared} must be at least twice the rim ({rim}) and below tile "
            f"({tile}); overlaps are multiples of {step}"
        )
    padded = _aligned(height, step), _aligned(width, step)
    rows, tall = _spread(padded[0], tile, shared, step)
    cols, wide = _spread(padded[1], tile, shared, step)
    plan = WindowPlan((height, width), padded, (tall, wide), rows, cols, rim)
    _warn(plan, tile, field)
    return plan


def _warn(plan: WindowPlan, tile: int, field: int) -> None:
    several = len(plan.rows) * len(plan.cols) > 1
    if several and 2 * plan.rim < field - 1:
        get_logger(__name__).warning(
            "windows of %d px with a rim of %d px don't hold the network's receptive field of "
            "%d px; values near their borders depend on the windows",
            tile, plan.rim, field,
        )  # fmt: skip
    repeated = plan.predicted_pixels / (plan.shape[0] * plan.shape[1])
    if several and repeated > 4:
        get_logger(__name__).warning(
            "windows of %d px predict every pixel %.1f times; a larger tile is faster",
            tile, repeated,
        )  # fmt: skip


def _aligned(length: int, step: int) -> int:
    return math.ceil(length / step) * step


def _spread(length: int, tile: int, overlap: int, step: int) -> tuple[tuple[int, ...], int]:
    """First pixels and size of the fewest aligned windows that cover a length."""
    if length <= tile:
        return (0,), length
    number = math.ceil((length - overlap) / (tile - overlap))
    size = _aligned(math.ceil((length - overlap) / number) + overlap, step)
    last = length - size
    starts = (last * index // (number - 1) // step * step for index in range(number))
    return tuple(starts), size


def axis_weights(starts: tuple[int, ...], size: int, length: int, rim: int) -> NDArray[np.float32]:
    """Return the weights of windows along one axis, which sum to 1 at every pixel.

    Parameters
    ----------
    starts
        First pixel of each window.
    size
        Pixels of a window.
    length
        Pixels of the axis.
    rim
        Pixels at the windows' borders that get no weight; kept at both ends of the axis.

    Returns
    -------
    ndarray
        (window, pixel) float32: a Hann bell over what is left of the window, divided by the sum of
        all windows' bells. The weight of a window is the product of its two axes' weights, and so
        is the sum of the weights, so that dividing along each axis normalises both.
    """
    bells = np.stack([_bell(size, rim, start == 0, start + size == length) for start in starts])
    total = np.zeros(length)
    for start, bell in zip(starts, bells, strict=True):
        total[start : start + size] += bell
    for start, bell in zip(starts, bells, strict=True):
        bell /= total[start : start + size]
    return bells.astype(np.float32)


def _bell(size: int, rim: int, at_start: bool, at_end: bool) -> NDArray[np.float64]:
    inner = size - 2 * rim
    bell = np.zeros(size)
    phase = (np.arange(inner) + 0.5) / inner
    bell[rim : size - rim] = np.maximum(np.sin(np.pi * phase) ** 2, _FAINTEST)
    half = size // 2
    if at_start:
        bell[:half] = 1
    if at_end:
        bell[size - half :] = 1
    return bell
