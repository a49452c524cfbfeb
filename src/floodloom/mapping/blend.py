"""Blending overlapping predictions without seams.

Each window is weighted by a Hann bell whose rim is cut off, and the sum is divided by the sum of
the weights. Only a strip of rows is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from floodloom.raster.windows import Window

Floats = NDArray[np.float32]


def window_weights(window: Window, shape: tuple[int, int], rim: int) -> Floats:
    """Return the weights of a window's pixels.

    Parameters
    ----------
    window
        Window inside the raster.
    shape
        Height and width of the raster.
    rim
        Pixels at the window's border that are not trusted; kept where the window's border is the
        raster's.

    Returns
    -------
    ndarray
        (y, x) float32, above 0 inside, 0 on the rim.
    """
    rows = _bell(window.height, rim, window.row == 0, window.row + window.height == shape[0])
    cols = _bell(window.width, rim, window.col == 0, window.col + window.width == shape[1])
    return np.outer(rows, cols).astype(np.float32)


def _bell(length: int, rim: int, at_start: bool, at_end: bool) -> Floats:
    centre = (length - 1) / 2
    bell = 0.5 + 0.5 * np.cos(np.pi * (np.arange(length) - centre) / (length / 2 + 1))
    bell = np.maximum(bell, 1e-3)
    if rim and not at_start:
        bell[:rim] = 0
    if rim and not at_end:
        bell[length - rim :] = 0
    half = length // 2
    if at_start:
        bell[:half] = np.maximum(bell[:half], bell.max())
    if at_end:
        bell[half:] = np.maximum(bell[half:], bell.max())
    return np.asarray(bell, dtype=np.float32)


class StripBlender:
    """Sums weighted windows in a buffer of rows and hands out the rows that are finished.

    Parameters
    ----------
    shape
        Height and width of the raster.
    rim
        See `window_weights`.
    """

    def __init__(self, shape: tuple[int, int], rim: int) -> None:
        self._shape = shape
        self._rim = rim
        self._top = 0
        self._total: Floats = np.zeros((0, shape[1]), dtype=np.float32)
        self._weight: Floats = np.zeros((0, shape[1]), dtype=np.float32)

    def add(self, window: Window, values: Floats) -> None:
        """Add a window's values (y, x) float32; windows come ordered by row."""
        self._grow(window.row + window.height)
        weight = window_weights(window, self._shape, self._rim)
        weight[~np.isfinite(values)] = 0
        rows = slice(window.row - self._top, window.row - self._top + window.height)
        cols = slice(window.col, window.col + window.width)
        self._total[rows, cols] += weight * np.where(weight > 0, values, 0)
        self._weight[rows, cols] += weight

    def finished(self, before: int) -> tuple[int, Floats] | None:
        """Hand out the blended rows above row `before`: their first row and (y, x) values.

        Pixels that no window gave a value are NaN.
        """
        count = min(before, self._top + len(self._total)) - self._top
        if count <= 0:
            return None
        weight = self._weight[:count]
        blended = np.where(
            weight > 0, self._total[:count] / np.where(weight > 0, weight, 1), np.nan
        ).astype(np.float32)
        first = self._top
        self._total, self._weight = self._total[count:], self._weight[count:]
        self._top += count
        return first, blended

    def _grow(self, bottom: int) -> None:
        missing = bottom - (self._top + len(self._total))
        if missing > 0:
            blank = np.zeros((missing, self._shape[1]), dtype=np.float32)
            self._total = np.concatenate([self._total, blank])
            self._weight = np.concatenate([self._weight, blank])


def blend_rows(
    predicted: Iterable[tuple[Window, Floats | None]], shape: tuple[int, int], rim: int
) -> Iterator[tuple[int, Floats]]:
    """Blend predicted windows and yield finished rows from top to bottom.

    Parameters
    ----------
    predicted
        Windows ordered by row, each with its values (y, x) float32, or None where there is none.
    shape
        Height and width of the raster.
    rim
        See `window_weights`.

    Yields
    ------
    row, values
        First row, and (y, x) float32 values of the rows from there; NaN where nothing was
        predicted. Together they are the whole raster.
    """
    blender = StripBlender(shape, rim)
    for window, values in predicted:
        rows = blender.finished(window.row)
        if rows is not None:
            yield rows
        blank = np.full((window.height, window.width), np.nan, dtype=np.float32)
        blender.add(window, blank if values is None else values)
    rows = blender.finished(shape[0])
    if rows is not None:
        yield rows
