"""What a page shows of a map, as pyramids of tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Bytes, Floats
from floodloom.raster.rows import Rows
from floodloom.report.images import NO_GREY, decibel, grey_levels, stretch_limits, to_greys, webp
from floodloom.report.pyramid import Kind, Pyramid, every, mean, pyramid, repeated

_FEW_PIXELS, _FINE, _COARSE = 8e6, 60, 25  # quality of radar images of few and of many pixels
_LOSSLESS = {"lossless": True, "quality": 50, "method": 3}  # more of either saves 2 % of the bytes
_SAMPLES = 12  # strips that give the contrast of a scene
_SAMPLE_ROWS = 32


def values_pyramid(
    classes: Rows,
    reasons: Rows,
    truth: Rows | None,
    factor: int,
    threads: int,
    seen: Callable[[Bytes, Bytes, int], None],
) -> Pyramid:
    """Make the pyramid of the values of a map.

    Parameters
    ----------
    classes, reasons, truth
        (y, x) uint8 each; see `floodloom.raster.product.FloodClass`.
    factor
        See `floodloom.report.pyramid.pyramid`.
    threads
        CPU threads.
    seen
        Is called with classes, reasons and the first row of each strip.

    Returns
    -------
    Pyramid
        Of lossless images: red is the class, green the reason, blue the truth's class. Tiles hold a
        pixel of their neighbours, so that the outlines of classes can be drawn.
    """
    height, width = classes.shape

    def read(start: int, stop: int) -> Bytes:
        bands = [layer[start:stop] for layer in (classes, reasons)]
        seen(bands[0], bands[1], start)
        bands.append(np.zeros_like(bands[0]) if truth is None else truth[start:stop])
        return np.stack([centres(band, factor) for band in bands], axis=-1)

    kind = Kind(every, lambda tile: webp(tile, **_LOSSLESS), overlap=1)
    return pyramid((height, width), factor, read, kind, threads)


def percent_pyramid(percent: Rows, factor: int, threads: int) -> Pyramid:
    """Make the pyramid of a probability, (y, x) uint8 percent, of lossless grey images."""
    height, width = percent.shape

    def read(start: int, stop: int) -> Bytes:
        return centres(percent[start:stop], factor)

    kind = Kind(every, lambda tile: webp(tile, **_LOSSLESS))
    return pyramid((height, width), factor, read, kind, threads)


def backdrop_pyramid(
    brightness: Rows,
    limits: tuple[float, float],
    factor: int,
    threads: int,
    *,
    display: bool,
    events: int = 1,
) -> Pyramid:
    """Make the pyramid of a scene's brightness.

    Parameters
    ----------
    brightness
        (y, x) float32, linear power or display values, NaN = no data.
    limits
        Of the contrast, see `contrast`.
    factor, threads
        See `floodloom.report.pyramid.pyramid`.
    display
        Whether the values are those of a display.
    events
        Number of such layers of a page; the more pixels, the fewer bytes each has.

    Returns
    -------
    Pyramid
        Of lossy grey images, transparent without data; means are those of the power. The overview
        is in grey steps.
    """
    height, width = brightness.shape
    quality = _FINE if events * height * width / factor**2 <= _FEW_PIXELS else _COARSE

    def read(start: int, stop: int) -> Floats:
        return means(brightness[start:stop], factor)

    def steps(values: Floats) -> Bytes:
        return to_greys(values if display else decibel(values), limits)

    def encode(tile: Floats) -> bytes:
        greys = steps(tile)
        known = greys != NO_GREY
        if not known.any():
            return b""
        levels = grey_levels(greys)
        if not known.all():
            levels = np.stack([levels, np.where(known, np.uint8(255), np.uint8(0))], axis=-1)
        return webp(levels, quality=quality)

    made = pyramid((height, width), factor, read, Kind(mean, encode), threads)
    return replace(made, overview=steps(made.overview))


def contrast(brightness: Rows, factor: int, *, display: bool) -> tuple[float, float]:
    """Return what a scene's darkest and brightest grey stand for, by rows from all over it."""
    height = brightness.shape[0]
    rows = max(_SAMPLE_ROWS, factor)
    starts = np.linspace(0, max(height - rows, 0), _SAMPLES if height > rows * _SAMPLES else 1)
    rows = rows if len(starts) > 1 else height
    found: list[NDArray[Any]] = []
    for start in starts.astype(int):
        values = means(brightness[start : start + rows], factor)
        found.append((values if display else decibel(values)).ravel())
    return stretch_limits(np.concatenate(found))


def centres(values: Bytes, factor: int) -> Bytes:
    """Return the (row, x) value at the middle of each block; classes are never mixed."""
    rows, cols = (
        np.minimum(np.arange(0, side, factor) + factor // 2, side - 1) for side in values.shape
    )
    return np.asarray(values[rows][:, cols])


def means(values: Floats, factor: int) -> Floats:
    """Return the mean of each block without its NaN, (row, x) float32."""
    while factor > 1:
        for axis in (0, 1):
            values = repeated(values, axis, values.shape[axis] % 2)
        values, factor = mean(values, 0), factor // 2
    return values
