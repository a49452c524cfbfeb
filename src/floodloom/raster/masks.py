"""Masks of 0 and 255 that don't declare whether 255 is something or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster, Kind
from floodloom.raster.windows import Window

_FULL = 255
_STRIP = 1024


def require_no_mask(raster: ForeignRaster) -> None:
    """Refuse a raster of 0 and 255 that doesn't declare whether 255 is water or no data.

    Parameters
    ----------
    raster
        In which all that is known is 0, where it was looked at.

    Raises
    ------
    InputError
        If it holds 255 beside 0 and nothing else, and doesn't declare it as no data.
    """
    if raster.nodata == _FULL:
        return
    full = False
    for numbers in strips(replace(raster, kind=Kind(raster.kind.what))):
        known = numbers[np.isfinite(numbers)]
        if ((known != 0) & (known != _FULL)).any():
            return
        full = full or bool((known == _FULL).any())
    if full:
        raise InputError(
            f"{raster.path}: holds 0 and 255 alone; is 255 water, or no data? Declare it as no "
            "data (gdal_edit -a_nodata 255), or write water as 1 or as 100 percent"
        )


def strips(raster: ForeignRaster) -> Iterator[Floats]:
    """Give the first band of a raster from top to bottom, (y, x) float32 as `numbers` gives it."""
    height, width = raster.geobox.shape.yx
    for row in range(0, height, _STRIP):
        yield raster.numbers(Window(row, 0, min(_STRIP, height - row), width))
