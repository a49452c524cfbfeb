"""Reading what a flood map is made from onto the grid of the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.mapping.align import before_on_grid, mosaicked, onto_grid, require_orbits
from floodloom.mapping.change import backscatter_change
from floodloom.raster.grid import geobox_of, quiet_about_georeference
from floodloom.raster.store import open_store, read_raster, recipe_of
from floodloom.tiles.inputs import POLARISATIONS, to_decibel

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_UNKNOWN = 255
_log = get_logger(__name__)


@dataclass(frozen=True)
class Probability:
    """Percent of water, (y, x) uint8 with 255 = no data, its grid, and its files' tags."""

    percent: Bytes
    grid: GeoBox
    tags: Mapping[str, str]


def read_probability(paths: Sequence[Path]) -> Probability:
    """Read the probability mosaics of one date and put them together.

    Raises
    ------
    InputError
        If one can't be read, or they can't be related to one another.
    """
    read = [read_raster(path, "probability mosaic") for path in paths]
    percents, grids = [percent for percent, _ in read], [grid for _, grid in read]
    percent, grid = mosaicked(percents, grids, [str(path) for path in paths])
    return Probability(percent, grid, _tags(paths))


def _tags(paths: Sequence[Path]) -> dict[str, str]:
    found: list[dict[str, str]] = []
    for path in paths:
        with quiet_about_georeference(), rasterio.open(path) as raster:
            found.append(raster.tags())
    scenes = ", ".join(tags["FLOODLOOM_SCENE"] for tags in found if "FLOODLOOM_SCENE" in tags)
    return {**found[0], **({"FLOODLOOM_SCENE": scenes} if scenes else {})}


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
    placed = []
    for path in paths:
        before = read_probability([path])
        require_orbits(
            _orbit(before.tags), _orbit(after.tags), name=str(path), mixed_orbits=mixed_orbits
        )
        placed.append(onto_grid(before.percent, before.grid, after.grid, _UNKNOWN, str(path)))
    return mosaicked(placed, [after.grid] * len(placed), [str(path) for path in paths])[0]


def _orbit(tags: Mapping[str, str]) -> dict[str, object]:
    return {name: tags.get(name.upper(), "") for name in ("orbit_direction", "relative_orbit")}


def read_reference(path: Path, grid: GeoBox, minimum: int | None) -> Bytes:
    """Read reference water onto the grid of a map.

    Parameters
    ----------
    path
        Raster: 1 is permanent water, or everything from `minimum` on.
    grid
        Grid of the map.
    minimum
        See `path`.

    Returns
    -------
    ndarray
        (y, x) uint8: 1 permanent water, 0 land, 255 unknown.

    Raises
    ------
    InputError
        If it can't be read or placed, or covers nothing of the map.
    """
    values, known, source = _masked(path, "reference water")
    wet = values == 1 if minimum is None else values >= minimum
    coded = np.where(known, wet, _UNKNOWN).astype(np.uint8)
    placed = onto_grid(coded, source, grid, _UNKNOWN, str(path))
    missing = float((placed == _UNKNOWN).mean())
    if missing == 1:
        raise InputError(f"{path}: covers nothing of the map; give reference water of its ground")
    if missing > 0:
        _log.warning("%s: says nothing about %.1f %% of the map", path, 100 * missing)
    return placed


def read_land_cover(path: Path, grid: GeoBox) -> Bytes:
    """Read land cover onto the grid of a map, (y, x) uint8, 255 = unknown."""
    values, known, source = _masked(path, "land cover")
    coded = np.where(known, values, _UNKNOWN).astype(np.uint8)
    return onto_grid(coded, source, grid, _UNKNOWN, str(path))


def _masked(path: Path, what: str) -> tuple[NDArray[Any], NDArray[np.bool_], GeoBox]:
    """Values, where they are known, and grid; 255 is unknown in rasters of bytes."""
    values, source = read_raster(path, what)
    with quiet_about_georeference(), rasterio.open(path) as raster:
        known = raster.read_masks(1) > 0
    if values.dtype == np.uint8:
        known &= values != _UNKNOWN
    return values, known, source


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
