"""Plans of windows that cover a raster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from floodloom.errors import InputError


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: its upper left corner and its size."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices that cut this window out of an array."""
        rows = slice(self.row, self.row + self.height)
        return rows, slice(self.col, self.col + self.width)


def crop(values: NDArray[Any], margin: int) -> NDArray[Any]:
    """Return (y, x) without a margin on every side."""
    height, width = values.shape
    return values[margin : height - margin, margin : width - margin]


def plan_windows(height: int, width: int, size: int, overlap: int = 0) -> list[Window]:
    """Cover a raster with windows of one size, row by row.

    Parameters
    ----------
    height, width
        Size of the raster, px.
    size
        Side of a window, px. Where the raster is smaller, the window is as large as the raster.
    overlap
        Least number of pixels that neighbours share.

    Returns
    -------
    list of Window
        Windows inside the raster that together cover every pixel; the last row and column are
        shifted inward instead of reaching over the edge.

    Raises
    ------
    InputError
        If a size isn't positive or the overlap doesn't fit.
    """
    if min(height, width, size) < 1:
        raise InputError(f"window plan: sizes must be positive, got {height}x{width}, {size}")
    if not 0 <= overlap < size:
        raise InputError(f"window plan: overlap {overlap} must be at least 0 and below {size}")
    rows = _starts(height, size, size - overlap)
    cols = _starts(width, size, size - overlap)
    return [Window(r, c, min(size, height), min(size, width)) for r in rows for c in cols]


def _starts(length: int, size: int, stride: int) -> list[int]:
    last = max(length - size, 0)
    return [*range(0, last, stride), last]
