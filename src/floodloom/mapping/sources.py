"""What a map is made from: probabilities, change, reference water, land cover."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import (
    PlacedRows,
    mean_rows,
    mosaic_grid,
    require_no_mask,
    rows_onto_grid,
    strips,
)
from floodloom.raster.product import PROBABILITY, PRODUCT, require_product
from floodloom.raster.rows import ReadRows, RememberedRows, Rows, by_strips
from floodloom.raster.store import open_store, recipe_of
from floodloom.raster.windows import most_held, most_planned, require_pixels
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.tiles.inputs import to_decibel

TAGS = (
    "FLOODLOOM_RECIPE", "FLOODLOOM_EVENT", "FLOODLOOM_SCENE", "FLOODLOOM_CHECKPOINT",
    "FLOODLOOM_BACKEND", "FLOODLOOM_PRECISION", "FLOODLOOM_SEAM_RATIO", ACQUIRED, "PLATFORM",
    "INSTRUMENT_MODE", "PRODUCT_TYPE", "ORBIT_DIRECTION", "RELATIVE_ORBIT",
)  # fmt: skip
"""Tags of a probability mosaic that those of its products are made of."""
DATES_BEFORE = "FLOODLOOM_DATES_BEFORE"
"""Tag of a map's rasters: when the dates before the flood were, where there are several."""
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

    percent: Rows
    grid: GeoBox
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Percent:
    """A file of the probability of water; see `open_percent`."""

    raster: ForeignRaster
    factor: float

    @property
    def tags(self) -> dict[str, str]:
        """What of the file's tags products may repeat."""
        return presentable_tags(self.raster.tags)

    def on(self, grid: GeoBox) -> Rows:
        """Return it on a grid, (y, x) uint8 percent, 255 = no data."""
        return PlacedRows(self.raster, grid, partial(_rounded, self.factor), nodata=NODATA)


def read_percent(path: str | Path) -> Probability:
    """Read a probability mosaic into memory; see `open_percent`.

    Raises
    ------
    InputError
        Also if it is too large for that.
    """
    found = open_percent(path, most=most_held())
    grid = found.raster.geobox
    return Probability(found.on(grid)[:], grid, found.tags)


def open_percent(path: str | Path, *, most: int | None = None) -> Percent:
    """Open a probability mosaic.

    Parameters
    ----------
    path
        Raster of percent, 0-100; what isn't one is no data. One whose band declares a scale may
        come to fractions, 0-1.
    most
        Pixels that it may have; `floodloom.raster.windows.most_planned` by default.

    Raises
    ------
    InputError
        If it can't be read, is too large, is another product of floodloom's, no pixel is a
        percentage, or it may as well hold fractions, classes, a mask or numbers of another scale.
    """
    raster = open_foreign(path, _PERCENT)
    height, width = raster.geobox.shape.yx
    require_pixels(height, width, raster.path, most or most_planned())
    product = require_product(raster, (PROBABILITY,), "the probability of water that it is from")
    factor = 1.0 if product else _percent_of_unit(raster)
    if factor != 1.0:
        raster = replace(raster, kind=_FRACTION)
    _require_percentages(raster)
    return Percent(raster, factor)


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


def _require_percentages(raster: ForeignRaster) -> None:
    """Refuse a raster in which nothing is a percentage, but something else is there."""
    other = None
    for numbers in strips(raster):
        known = np.isfinite(numbers)
        if (known & ~raster.kind.impossible(numbers)).any():
            return
        if other is None and known.any():
            other = numbers[known][0]
    if other is not None:
        raise InputError(
            f"{raster.path}: no pixel is a percentage, they are such as {other:g}; {_GIVE_PERCENT}"
        )


def _rounded(factor: float, numbers: Floats) -> Bytes:
    percent = np.rint(numbers * np.float32(factor))
    return np.where(np.isnan(percent), NODATA, percent).astype(np.uint8)


_NO_COVER = -1
_NO_NUMBER = 65535
_MONTHS = 12  # numbers up to here may as well be months, or codes of classes
_HIGHEST_OCCURRENCE, _USUAL = 100, 50
_log = get_logger(__name__)


def open_probability(paths: Sequence[Path]) -> Probability:
    """Open the probability mosaics of one date and put them together, before any threshold.

    Returns
    -------
    Probability
        Of several the mean where they have data, on the smallest grid that holds all.

    Raises
    ------
    InputError
        If one can't be read, or they can't be related to one another.
    """
    found = [open_percent(path) for path in paths]
    grid = found[0].raster.geobox
    if len(found) > 1:
        grid = mosaic_grid([one.raster.geobox for one in found], [str(path) for path in paths])
    tags = [one.tags for one in found]
    scenes = ", ".join(own["FLOODLOOM_SCENE"] for own in tags if "FLOODLOOM_SCENE" in own)
    return Probability(
        RememberedRows(mean_rows([one.on(grid) for one in found])),
        grid,
        {**tags[0], **({"FLOODLOOM_SCENE": scenes} if scenes else {})},
    )


def read_reference(path: Path, grid: GeoBox, minimum: int | None) -> Rows:
    """Read reference water onto the grid of a map.

    Parameters
    ----------
    path
        Raster: 1 is permanent water and 0 land, or everything from `minimum` on is water, such as
        a percentage of occurrence. Negative numbers are unknown, in rasters of bytes 255 as well,
        and above 100 where `minimum` is a percentage.
    grid
        Grid of the map.
    minimum
        See `path`. Without it, numbers that can only be percentages are water from 50 on, which
        the log reports.

    Returns
    -------
    ndarray
        (y, x) uint8: 1 permanent water, 0 land, 255 unknown.

    Raises
    ------
    InputError
        If it can't be read or placed, covers nothing of the map, or can't be understood without
        `minimum`.
    """
    highest = (
        _HIGHEST_OCCURRENCE if minimum is not None and minimum <= _HIGHEST_OCCURRENCE else math.inf
    )
    raster = _of_classes(path, Kind("reference water", low=0, high=highest))
    numbers = PlacedRows(raster, grid, partial(_floored, path), nodata=_NO_NUMBER)
    height, width = numbers.shape
    known, highest_known = 0, 0
    for _, part in by_strips(lambda a, b: numbers[a:b], height):
        is_known = part != _NO_NUMBER
        known += int(is_known.sum())
        highest_known = max(highest_known, int(part[is_known].max(initial=0)))
    missing = 1 - known / (height * width)
    if missing > 0 and highest_known == 0:
        require_no_mask(raster)
    if missing == 1:
        raise InputError(f"{path}: covers nothing of the map; give reference water of its ground")
    if missing > 0:
        _log.warning("%s: has no data for %.1f %% of the map", path, 100 * missing)
    least = _understood(path, highest_known) if minimum is None else minimum

    def read(start: int, stop: int) -> Bytes:
        part = numbers[start:stop]
        return np.where(part != _NO_NUMBER, part >= least, NODATA).astype(np.uint8)

    return ReadRows((height, width), read)


def _floored(path: Path, numbers: Floats) -> NDArray[np.uint16]:
    fractions = numbers[(numbers > 0) & (numbers < 1)]
    if fractions.size:
        raise InputError(
            f"{path}: reference water holds fractions such as {fractions[0]:g}; give 0 and 1, or "
            "percent and reference_minimum"
        )
    whole = np.minimum(np.floor(numbers), _NO_NUMBER - 1)
    return np.where(np.isnan(numbers), _NO_NUMBER, whole).astype(np.uint16)


def _understood(path: Path, highest: int) -> int:
    """Return the number from which water is permanent, of a raster with this highest number."""
    if highest <= 1:
        return 1
    if _MONTHS < highest <= _HIGHEST_OCCURRENCE:
        _log.warning(
            "%s: holds numbers up to %d, so it is taken as the occurrence of water in percent, "
            "permanent from %d on; set reference_minimum to choose", path, highest, _USUAL,
        )  # fmt: skip
        return _USUAL
    raise InputError(
        f"{path}: reference water is 0 or 1, but it holds {highest}; set reference_minimum to the "
        "number from which water is permanent, such as 50 for an occurrence in percent"
    )


def read_land_cover(path: Path, grid: GeoBox) -> Rows:
    """Read land cover onto the grid of a map, (y, x) int32, -1 = unknown."""
    raster = _of_classes(path, Kind("land cover", low=0, whole=True))
    return PlacedRows(raster, grid, _covers, nodata=_NO_COVER)


def _covers(numbers: Floats) -> NDArray[np.int32]:
    return np.where(np.isnan(numbers), _NO_COVER, numbers).astype(np.int32)


def _of_classes(path: Path, kind: Kind) -> ForeignRaster:
    """Open a raster of classes; 255 is unknown in rasters of bytes."""
    raster = open_foreign(path, kind)
    if raster.dtypes[0] != "uint8":
        return raster
    return replace(raster, kind=replace(kind, unknown=(NODATA,)))


def read_flags(path: Path, grid: GeoBox) -> Rows | None:
    """Read the flags of a scene store onto the grid of a map, (y, x) uint8; None without any."""
    store = open_store(path, whole_rows=True)
    if "flags" not in store:
        return None
    return rows_onto_grid(rows_of(store["flags"]), geobox_of(store), grid, 0, str(path))


def rows_of(layer: xr.DataArray) -> Rows:
    """Return the values of a layer, (y, x), by rows."""
    height, width = layer.shape
    return ReadRows((height, width), lambda start, stop: layer[start:stop].values)


def read_decibel(path: Path, grid: GeoBox) -> Rows:
    """Read the co-polarised backscatter of a scene onto the grid of a map, (y, x) float32, dB.

    Raises
    ------
    InputError
        If the scene has no backscatter.
    """
    store = open_store(path, whole_rows=True)
    band = require_bands(store, path)[0]
    levels = rows_of(to_decibel(store[band]))
    return rows_onto_grid(levels, geobox_of(store), grid, np.nan, str(path))


def polarisations(path: Path) -> tuple[str, ...]:
    """Return the polarisations of a scene store."""
    store = open_store(path)
    return tuple(band for band in POLARISATIONS if band in store)


def require_bands(store: xr.Dataset, path: Path) -> list[str]:
    """Return the polarisations of a scene, or refuse one without backscatter."""
    bands = [band for band in POLARISATIONS if band in store]
    if not bands or recipe_of(store).quantity == "display":
        raise InputError(f"{path}: has no backscatter, so neither change nor edges can be seen")
    return bands
