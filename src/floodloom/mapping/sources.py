"""Reading what a flood map is made from onto the grid of the map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Bytes, Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.mapping.align import before_on_grid, mosaic_percent, require_orbits
from floodloom.mapping.change import backscatter_change
from floodloom.mapping.percent import Probability, read_percent
from floodloom.raster.align import onto_grid
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import geobox_of
from floodloom.raster.masks import require_no_mask
from floodloom.raster.nodata import NODATA
from floodloom.raster.placing import place_raster
from floodloom.raster.store import open_store, recipe_of
from floodloom.sentinel1.polarisations import POLARISATIONS
from floodloom.tiles.inputs import to_decibel

_NO_COVER = -1
_NO_NUMBER = 65535
_MONTHS = 12  # numbers up to here may as well be months, or codes of classes
_PERCENT, _USUAL = 100, 50
_log = get_logger(__name__)


def read_probability(paths: Sequence[Path]) -> Probability:
    """Read the probability mosaics of one date and put them together.

    Raises
    ------
    InputError
        If one can't be read, or they can't be related to one another.
    """
    read = [read_percent(path) for path in paths]
    percents, grids = [one.percent for one in read], [one.grid for one in read]
    percent, grid = mosaic_percent(percents, grids, [str(path) for path in paths])
    tags = [one.tags for one in read]
    scenes = ", ".join(own["FLOODLOOM_SCENE"] for own in tags if "FLOODLOOM_SCENE" in own)
    return Probability(
        percent, grid, {**tags[0], **({"FLOODLOOM_SCENE": scenes} if scenes else {})}
    )


def read_before(paths: Sequence[Path], after: Probability, *, mixed_orbits: bool) -> Bytes:
    """Read the probability mosaics before the flood onto the grid of the one after it.

    Returns
    -------
    ndarray
        (y, x) uint8 percent of water, 255 = no data: the mean where several have data.

    Raises
    ------
    InputError
        If one can't be read or placed, or was taken in the other orbit direction.
    """
    on_grid = []
    for path in paths:
        before = read_probability([path])
        require_orbits(
            _orbit(before.tags), _orbit(after.tags), name=str(path), mixed_orbits=mixed_orbits
        )
        on_grid.append(onto_grid(before.percent, before.grid, after.grid, NODATA, str(path)))
    return mosaic_percent(on_grid, [after.grid] * len(on_grid), [str(path) for path in paths])[0]


def _orbit(tags: Mapping[str, str]) -> dict[str, object]:
    return {name: tags.get(name.upper(), "") for name in ("orbit_direction", "relative_orbit")}


def read_reference(path: Path, grid: GeoBox, minimum: int | None) -> Bytes:
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
    highest = _PERCENT if minimum is not None and minimum <= _PERCENT else math.inf
    raster = _of_classes(path, Kind("reference water", low=0, high=highest))
    numbers = place_raster(raster, grid, partial(_floored, path), nodata=_NO_NUMBER)
    known = numbers != _NO_NUMBER
    missing = 1 - float(known.mean())
    if missing > 0 and not numbers[known].any():
        require_no_mask(raster)
    if missing == 1:
        raise InputError(f"{path}: covers nothing of the map; give reference water of its ground")
    if missing > 0:
        _log.warning("%s: has no data for %.1f %% of the map", path, 100 * missing)
    if minimum is None:
        minimum = _understood(path, int(numbers[known].max()))
    return np.where(known, numbers >= minimum, NODATA).astype(np.uint8)


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
    if _MONTHS < highest <= _PERCENT:
        _log.warning(
            "%s: holds numbers up to %d, so it is taken as the occurrence of water in percent, "
            "permanent from %d on; set reference_minimum to choose", path, highest, _USUAL,
        )  # fmt: skip
        return _USUAL
    raise InputError(
        f"{path}: reference water is 0 or 1, but it holds {highest}; set reference_minimum to the "
        "number from which water is permanent, such as 50 for an occurrence in percent"
    )


def read_land_cover(path: Path, grid: GeoBox) -> NDArray[np.int32]:
    """Read land cover onto the grid of a map, (y, x) int32, -1 = unknown."""
    raster = _of_classes(path, Kind("land cover", low=0, whole=True))
    return place_raster(raster, grid, _covers, nodata=_NO_COVER)


def _covers(numbers: Floats) -> NDArray[np.int32]:
    return np.where(np.isnan(numbers), _NO_COVER, numbers).astype(np.int32)


def _of_classes(path: Path, kind: Kind) -> ForeignRaster:
    """Open a raster of classes; 255 is unknown in rasters of bytes."""
    raster = open_foreign(path, kind)
    if raster.dtypes[0] != "uint8":
        return raster
    return replace(raster, kind=replace(kind, unknown=(NODATA,)))


def read_flags(path: Path, grid: GeoBox) -> Bytes | None:
    """Read the flags of a scene store onto the grid of a map, (y, x) uint8; None without any."""
    store = open_store(path)
    if "flags" not in store:
        return None
    return onto_grid(store["flags"].values, geobox_of(store), grid, 0, str(path))


def read_decibel(path: Path, grid: GeoBox) -> Floats:
    """Read the co-polarised backscatter of a scene onto the grid of a map, (y, x) float32, dB.

    Raises
    ------
    InputError
        If the scene has no backscatter.
    """
    store = open_store(path)
    band = _bands(store, path)[0]
    values = to_decibel(store[band]).values
    return onto_grid(values, geobox_of(store), grid, np.nan, str(path))


def read_change(scene: Path, before: Path, grid: GeoBox, *, mixed_orbits: bool) -> Floats:
    """Return the change of backscatter between two scenes on the grid of a map.

    Returns
    -------
    ndarray
        (y, x) float32, dB: of the polarisation that has changed most; NaN where there is no data.

    Raises
    ------
    InputError
        If a scene has no backscatter, they have no polarisation in common, or one was taken in the
        other orbit direction.
    """
    after = open_store(scene)
    earlier = before_on_grid(open_store(before), after, name=str(before), mixed_orbits=mixed_orbits)
    bands = [band for band in _bands(after, scene) if band in _bands(earlier, before)]
    if not bands:
        raise InputError(f"{before}: no polarisation in common with {scene}; give another scene")
    changes = np.stack([backscatter_change(after[b].values, earlier[b].values) for b in bands])
    largest = np.abs(np.nan_to_num(changes)).argmax(axis=0)
    change = np.take_along_axis(changes, largest[np.newaxis], axis=0)[0]
    return onto_grid(change, geobox_of(after), grid, np.nan, str(scene))


def polarisations(path: Path) -> tuple[str, ...]:
    """Return the polarisations of a scene store."""
    store = open_store(path)
    return tuple(band for band in POLARISATIONS if band in store)


def _bands(store: xr.Dataset, path: Path) -> list[str]:
    bands = [band for band in POLARISATIONS if band in store]
    if not bands or recipe_of(store).quantity == "display":
        raise InputError(f"{path}: has no backscatter, so neither change nor edges can be seen")
    return bands
