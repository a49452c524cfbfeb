"""The radar's image sampled at the places of map pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.raster.windows import Window, crop


@dataclass(frozen=True)
class Places:
    """Where map pixels lie on the radar's image: `line` and `pixel` (y, x) float64."""

    line: Doubles
    pixel: Doubles

    def crop(self, margin: int) -> Places:
        """Return the places without those of a margin."""
        return Places(crop(self.line, margin), crop(self.pixel, margin))

    def window(self, lines: int, samples: int) -> Window | None:
        """Return the part of the image that bilinear sampling needs, or None if it needs none."""
        first, last = _extent(self.line, self.pixel, lines, samples)
        if last[0] < 0:
            return None
        bottom, right = min(last[0] + 2, lines), min(last[1] + 2, samples)
        return Window(first[0], first[1], bottom - first[0], right - first[1])


@jit()
def _extent(line, pixel, lines, samples):  # type: ignore[no-untyped-def]
    top, left, bottom, right = lines, samples, -1, -1
    for y in range(line.shape[0]):
        for x in range(line.shape[1]):
            row, col = line[y, x], pixel[y, x]
            if 0 <= row <= lines - 1 and 0 <= col <= samples - 1:
                top, bottom = min(top, int(row)), max(bottom, int(row))
                left, right = min(left, int(col)), max(right, int(col))
    return (top, left), (bottom, right)


def sample_bilinear(
    image: NDArray[np.float32], window: Window, places: Places
) -> NDArray[np.float32]:
    """Sample an image between its pixels.

    Parameters
    ----------
    image
        (line, pixel) float32, NaN = no data: a window of the radar's image.
    window
        Which.
    places
        On the whole image.

    Returns
    -------
    ndarray
        (y, x) float32; NaN outside the window and where any of the four neighbours is NaN.
    """
    sampled = np.empty(places.line.shape, dtype=np.float32)
    _bilinear(image, window.row, window.col, places.line, places.pixel, sampled)
    return sampled


@jit()
def _bilinear(image, top, left, line, pixel, sampled):  # type: ignore[no-untyped-def]
    last_row, last_col = image.shape[0] - 1, image.shape[1] - 1
    for y in range(line.shape[0]):
        for x in range(line.shape[1]):
            row, col = line[y, x], pixel[y, x]
            sampled[y, x] = np.nan
            if not (top <= row <= top + last_row and left <= col <= left + last_col):
                continue
            i, j = int(row), int(col)
            down, right = row - i, col - j
            i, j = i - top, j - left
            below, beside = min(i + 1, last_row), min(j + 1, last_col)
            upper = image[i, j] * (1.0 - right) + image[i, beside] * right
            lower = image[below, j] * (1.0 - right) + image[below, beside] * right
            sampled[y, x] = upper * (1.0 - down) + lower * down


def sample_nearest(
    image: NDArray[np.uint8], window: Window, places: Places, outside: int
) -> NDArray[np.uint8]:
    """Take the value of the nearest pixel, or `outside`; parameters as in `sample_bilinear`."""
    sampled = np.empty(places.line.shape, dtype=np.uint8)
    _nearest(image, window.row, window.col, places.line, places.pixel, outside, sampled)
    return sampled


@jit()
def _nearest(image, top, left, line, pixel, outside, sampled):  # type: ignore[no-untyped-def]
    last_row, last_col = image.shape[0] - 1, image.shape[1] - 1
    for y in range(line.shape[0]):
        for x in range(line.shape[1]):
            row, col = line[y, x], pixel[y, x]
            sampled[y, x] = outside
            if top <= row <= top + last_row and left <= col <= left + last_col:
                sampled[y, x] = image[int(row + 0.5) - top, int(col + 0.5) - left]
