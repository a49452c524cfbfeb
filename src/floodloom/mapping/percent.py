"""Reading the probability of water, floodloom's own or that of others, as percent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from floodloom.arrays import Bytes, Floats
from floodloom.errors import InputError
from floodloom.raster.budget import require_pixels
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.masks import require_no_mask, strips
from floodloom.raster.nodata import NODATA
from floodloom.raster.placing import place_raster
from floodloom.raster.product import PROBABILITY, PRODUCT, require_product

TAGS = (
    "FLOODLOOM_RECIPE", "FLOODLOOM_EVENT", "FLOODLOOM_SCENE", "FLOODLOOM_CHECKPOINT",
    "FLOODLOOM_BACKEND", "FLOODLOOM_PRECISION", "FLOODLOOM_SEAM_RATIO", ACQUIRED, "PLATFORM",
    "INSTRUMENT_MODE", "PRODUCT_TYPE", "ORBIT_DIRECTION", "RELATIVE_ORBIT",
)  # fmt: skip
"""Tags of a probability mosaic that those of its products are made of."""
_OF_PREDICTION = ("FLOODLOOM_OPTICAL", "FLOODLOOM_OPTICAL_CLEAR", "FLOODLOOM_OPTICAL_REFUSED")
_LONGEST = 1000

_PERCENT = Kind("probability mosaic", low=0, high=100, unknown=(NODATA,))
_FRACTION = replace(_PERCENT, high=1)
_ROUNDING = 1e-3
_CLASSES = 3  # up to here whole numbers may be those of a flood map
_BEYOND, _MOST_CODES = 101, 16  # beyond 100 a few numbers are codes, many another scale
_GIVE_PERCENT = "give the probability of water in percent, 0-100"


@dataclass(frozen=True)
class Probability:
    """Percent of water, (y, x) uint8 with 255 = no data, its grid, and its `presentable_tags`."""

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
        If it can't be read, is another product of floodloom's, no pixel is a percentage, or it may
        as well hold fractions, classes, a mask or numbers of another scale.
    """
    raster = open_foreign(path, _PERCENT)
    height, width = raster.geobox.shape.yx
    require_pixels(height, width, raster.path)
    product = require_product(raster, (PROBABILITY,), "the probability of water that it is from")
    factor = 1.0 if product else _percent_of_unit(raster)
    if factor != 1.0:
        raster = replace(raster, kind=_FRACTION)
    percent = place_raster(raster, raster.geobox, partial(_rounded, factor), nodata=NODATA)
    if (percent == NODATA).all():
        _require_no_other(raster)
    return Probability(percent, raster.geobox, presentable_tags(raster.tags))


def presentable_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a probability mosaic that products may repeat.

    Rasters of others hold whatever their programs wrote, such as where on whose machine they were
    made. Only floodloom's own tags are repeated, as far as they are short, readable and no path;
    the time is checked where it is used.
    """
    known = {name: tags[name] for name in (*TAGS, *_OF_PREDICTION) if name in tags}
    return {
        name: text
        for name, text in known.items()
        if name == ACQUIRED
        or (len(text) <= _LONGEST and text.isprintable() and not set(text) & set("/\\"))
    }


def _percent_of_unit(raster: ForeignRaster) -> float:
    """Return what a raster's 1 is in percent."""
    highest, whole = -1.0, True  # below 0: nothing is known
    beyond: set[float] = set()
    for numbers in strips(raster):
        beyond |= set(np.unique(np.rint(numbers[numbers >= _BEYOND])).tolist())
        if len(beyond) > _MOST_CODES:
            raise InputError(
                f"{raster.path}: holds many numbers beyond 100, up to {max(beyond):g} and more; "
                f"{_GIVE_PERCENT}"
            )
        known = numbers[~(raster.kind.impossible(numbers) | np.isnan(numbers))]
        highest = max(highest, float(known.max(initial=-1.0)))
        whole &= bool((known == np.rint(known)).all())
    if highest == 0.0:
        require_no_mask(raster)
    scaled = raster.is_scaled(1)
    doubtful = _CLASSES if whole and not scaled else 1.0
    if highest > doubtful + _ROUNDING or highest <= 0.0:
        return 1.0
    if scaled:
        return 100.0
    if highest > 1.0 + _ROUNDING:
        may_be = f"0 to {highest:g} alone, so they may be classes"
    elif whole:
        may_be = "0 and 1 alone, so it may be a mask"
    else:
        may_be = "fractions, or less than 1 percent"
    raise InputError(
        f"{raster.path}: holds {may_be}; {_GIVE_PERCENT}, and if it is that, declare it "
        f"(gdal_edit -mo {PRODUCT}={PROBABILITY})"
    )


def _require_no_other(raster: ForeignRaster) -> None:
    """Refuse a raster in which nothing is a percentage, but something else is there."""
    for numbers in strips(raster):
        other = numbers[np.isfinite(numbers)]
        if other.size:
            raise InputError(
                f"{raster.path}: no pixel is a percentage, they are such as {other[0]:g}; "
                f"{_GIVE_PERCENT}"
            )


def _rounded(factor: float, numbers: Floats) -> Bytes:
    percent = np.rint(numbers * np.float32(factor))
    return np.where(np.isnan(percent), NODATA, percent).astype(np.uint8)
