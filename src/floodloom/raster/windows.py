"""Windows of rasters, sums over neighbourhoods, and how much memory they may take."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # whose parts are imported when they are used
from numpy.typing import NDArray

from floodloom.errors import InputError

SETTING = "FLOODLOOM_MAXIMUM_PIXELS"
"""Variable of the environment that sets the limits."""

MOST_PLANNED = 10_000_000_000
"""Pixels of the largest grid that is worked through by blocks: ten scenes of one pass at 10 m in
their north-up rectangle, of which the lattices of geocoding alone take some GB."""

_MOST_HELD = 2_000_000_000
_BYTES_PER_PIXEL = 8  # of a map, with what is found out about it
_CONTROL_GROUP = Path("/sys/fs/cgroup/memory.max")


def most_planned() -> int:
    """Return how many pixels a grid may have that is worked through by blocks."""
    return _set() or MOST_PLANNED


def most_held() -> int:
    """Return how many pixels a raster may have that is held in memory at once."""
    return _set() or min(_MOST_HELD, _memory() // _BYTES_PER_PIXEL)


def require_pixels(height: int, width: int, name: str, most: int | None = None) -> None:
    """Check that a raster may be held in memory, or worked through.

    Parameters
    ----------
    height, width
        Its size, px.
    name
        Of the raster, for messages.
    most
        Pixels that it may have; `most_held` by default.

    Raises
    ------
    InputError
        If it has more.
    """
    limit = most_held() if most is None else most
    if height * width > limit:
        raise InputError(
            f"{name}: {height:,} x {width:,} px are more than the {limit:,} that this machine "
            f"should hold; give the part that is needed, or set {SETTING} to a greater number"
        )


def _set() -> int | None:
    text = os.environ.get(SETTING, "").strip()
    if not text:
        return None
    digits = text.replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and 0 < len(digits) < 19 and int(digits)):
        raise InputError(f"{SETTING} is {text[:40]!r}; give a number of pixels, such as 5000000000")
    return int(digits)


def _memory() -> int:
    """Return the memory that this process may ever have, bytes."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        found.append(limit)
    with suppress(OSError, ValueError):  # "max", or no control group
        found.append(int(_CONTROL_GROUP.read_text()))
    return min(found)


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


def weighted_sum(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return the sum around each pixel, weighted by its distance in rows and that in columns.

    Parameters
    ----------
    values
        (y, x), finite.
    weights
        (offset,), of an odd number of rows or columns, the middle one being the pixel's own.

    Returns
    -------
    ndarray
        (y, x), of the type of `values`.
    """
    along = scipy.ndimage.correlate1d(values, weights, axis=0, mode="constant")
    return np.asarray(scipy.ndimage.correlate1d(along, weights, axis=1, mode="constant"))


def box_sum(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Return the sum over a square of `side` px around each pixel, of the type of `values`."""
    return weighted_sum(values, np.ones(side))
