"""Reading the probability of water, floodloom's own or that of others, as percent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.raster.foreign import Floats, ForeignRaster, Kind, open_foreign
from floodloom.raster.placing import placed
from floodloom.raster.windows import Window

Bytes = NDArray[np.uint8]

PRODUCT = "FLOODLOOM_PRODUCT"
"""Tag of floodloom's own rasters, which says what they are."""
OWN = "water_probability"

_UNKNOWN = 255
_PERCENT = Kind("probability mosaic", low=0, high=100, unknown=(_UNKNOWN,))
_FRACTION = replace(_PERCENT, high=1)
_STRIP = 1024
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Probability:
    """Percent of water, (y, x) uint8 with 255 = no data, its grid, and its file's tags."""

    percent: Bytes
    grid: GeoBox
    tags: Mapping[str, str]


def read_percent(path: str | Path) -> Probability:
    """Read a probability mosaic.

    Parameters
    ----------
    path
        Raster of percent, 0-100; what isn't one is no data. One whose band declares a scale may
        come to fractions, 0-1.

    Raises
    ------
    InputError
        If it can't be read, no pixel is a percentage, or it may as well hold fractions or a mask.
    """
    raster = open_foreign(path, _PERCENT)
    factor = 1.0 if raster.tags.get(PRODUCT) == OWN else _percent_of_unit(raster)
    if factor != 1.0:
        raster = replace(raster, kind=_FRACTION)
    percent = placed(raster, raster.geobox, partial(_rounded, factor), nodata=_UNKNOWN)
    if (percent == _UNKNOWN).all():
        _require_no_other(raster)
    return Probability(percent, raster.geobox, raster.tags)


def _percent_of_unit(raster: ForeignRaster) -> float:
    """Return what a raster's 1 is in percent."""
    highest, whole = -1.0, True  # below 0: nothing is known
    for numbers in _strips(raster):
        known = numbers[np.isfinite(numbers)]
        highest = max(highest, float(known.max(initial=-1.0)))
        whole &= bool((known == np.rint(known)).all())
    if highest == 0.0:
        require_no_mask(raster)
    if highest > 1.0 + _ROUNDING or highest <= 0.0:
        return 1.0
    if raster.scaled(1):
        return 100.0
    may_be = "0 and 1 alone, so it may be a mask" if whole else "fractions, or less than 1 percent"
    raise InputError(
        f"{raster.path}: holds {may_be}; give the probability of water in percent, 0-100"
    )


def _require_no_other(raster: ForeignRaster) -> None:
    """Refuse a raster in which nothing is a percentage, but something else is there."""
    for numbers in _strips(replace(raster, kind=replace(raster.kind, low=-np.inf, high=np.inf))):
        other = numbers[np.isfinite(numbers)]
        if other.size:
            raise InputError(
                f"{raster.path}: no pixel is a percentage, they are such as {other[0]:g}; give the "
                "probability of water in percent, 0-100"
            )


def require_no_mask(raster: ForeignRaster) -> None:
    """Refuse a raster of 0 and 255 that doesn't say whether 255 is water or no data.

    Parameters
    ----------
    raster
        In which all that is known is 0.

    Raises
    ------
    InputError
        If it holds 255 and doesn't declare it as no data.
    """
    plain = replace(raster, kind=Kind(raster.kind.what))
    if raster.nodata != _UNKNOWN and any((part == _UNKNOWN).any() for part in _strips(plain)):
        raise InputError(
            f"{raster.path}: holds 0 and 255 alone; is 255 water, or no data? Declare it as no "
            "data (gdal_edit -a_nodata 255), or write water as 1 or as 100 percent"
        )


def _strips(raster: ForeignRaster) -> Iterator[Floats]:
    height, width = raster.geobox.shape.yx
    for row in range(0, height, _STRIP):
        yield raster.read(Window(row, 0, min(_STRIP, height - row), width))


def _rounded(factor: float, numbers: Floats) -> Bytes:
    percent = np.rint(numbers * np.float32(factor))
    return np.where(np.isnan(percent), _UNKNOWN, percent).astype(np.uint8)
