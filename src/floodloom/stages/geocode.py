"""Backscatter in radar geometry → a scene store on a map grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from floodloom.errors import InputError
from floodloom.log import get_logger, track
from floodloom.raster.flags import FLAG_ATTRS, Flag
from floodloom.raster.grid import grid_from_bounds, utm_epsg
from floodloom.raster.store import open_store, recipe_of, stamp, write_store
from floodloom.sentinel1.flatten import flattening_ratio
from floodloom.sentinel1.geocode import build_lookup, geocode_block
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.speckle import FILTERS
from floodloom.sentinel1.terrain import (
    earth_fixed,
    elevation_centre,
    elevation_footprint,
    elevation_on_grid,
)

_STRIP = 512
_LOOKS = 4.4
_POLARISATIONS = ("vv", "vh", "hh", "hv")


def geocode(
    *,
    scene: Path,
    dem: Path,
    out: Path,
    epsg: int | None = None,
    resolution: float = 10.0,
    flatten: bool = False,
    dem_heights: str = "ellipsoid",
    speckle_filter: str = "none",
    speckle_window: int = 5,
) -> Path:
    """Correct a calibrated scene for the terrain and put it on a map grid.

    Parameters
    ----------
    scene
        Calibrated store.
    dem
        Elevation raster that covers the scene, m.
    out
        Scene store to write (.zarr).
    epsg
        EPSG code of the grid; the UTM zone of the elevations' centre when not given.
    resolution
        Pixel spacing, in the units of the CRS.
    flatten
        Flatten the terrain by area projection; needs beta0 and gives gamma0.
    dem_heights
        What the elevations are measured from: ellipsoid.
    speckle_filter
        none, boxcar or lee.
    speckle_window
        Side of the filter's window, px.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the elevations don't cover the scene, have no CRS or other heights, or the scene isn't
        calibrated to what flattening needs.
    """
    calibrated = open_store(scene)
    if "geometry" not in calibrated.attrs:
        raise InputError(f"{scene}: not a calibrated store; make one with `floodloom calibrate`")
    if dem_heights != "ellipsoid":
        raise InputError(
            f"dem_heights {dem_heights!r} can't be converted; give ellipsoidal heights"
        )
    recipe = recipe_of(calibrated)
    geometry = ImageGeometry.from_json(calibrated.attrs["geometry"])
    grid = _grid(dem, epsg, resolution)
    elevation = elevation_on_grid(dem, grid)
    bands = tuple(name for name in _POLARISATIONS if name in calibrated)
    if flatten:
        if recipe.quantity != "beta0":
            raise InputError(f"{scene}: flattening needs beta0 but this is {recipe.quantity}")
        calibrated = _flattened(calibrated, bands, grid, elevation, geometry)
    layers = _geocoded(calibrated, bands, grid, elevation, geometry)
    if np.isnan(layers[bands[0]]).all():
        raise InputError(f"{dem}: doesn't cover {scene}; give elevations of the scene's place")
    _warn_of_holes(dem, elevation)
    if speckle_filter != "none":
        for band in bands:
            layers[band] = FILTERS[speckle_filter](
                layers[band].astype(np.float32), speckle_window, _LOOKS
            )
    filtered = speckle_filter if speckle_filter == "none" else f"{speckle_filter}-{speckle_window}"
    made = recipe.model_copy(
        update={
            "quantity": "gamma0" if flatten else recipe.quantity,
            "flattened": flatten,
            "speckle_filter": filtered,
            "spacing": resolution,
        }
    )
    return write_store(stamp(_dataset(layers, grid, calibrated), made), out)


def _grid(dem: Path, epsg: int | None, resolution: float) -> GeoBox:
    code = utm_epsg(*elevation_centre(dem)) if epsg is None else epsg
    return grid_from_bounds(elevation_footprint(dem, code), code, resolution)


def _geocoded(
    scene: xr.Dataset,
    bands: tuple[str, ...],
    grid: GeoBox,
    elevation: NDArray[np.float32],
    geometry: ImageGeometry,
) -> dict[str, NDArray[np.generic]]:
    parts = []
    for start in track(range(0, grid.shape.y, _STRIP), "geocoding"):
        top, bottom = max(start - 1, 0), min(start + _STRIP + 1, grid.shape.y)
        lookup = build_lookup(grid[top:bottom, :], elevation[top:bottom], geometry)
        block = geocode_block(scene, lookup, bands)
        inner = slice(start - top, min(start + _STRIP, grid.shape.y) - top)
        parts.append({name: values[inner] for name, values in block.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _flattened(
    scene: xr.Dataset,
    bands: tuple[str, ...],
    grid: GeoBox,
    elevation: NDArray[np.float32],
    geometry: ImageGeometry,
) -> xr.Dataset:
    ratio, shadow = flattening_ratio(earth_fixed(grid, elevation), geometry)
    dims = ("line", "pixel")
    flat = {band: (dims, (scene[band].values / ratio).astype(np.float32)) for band in bands}
    flags = scene.flags.values | np.where(shadow, Flag.SHADOW.value, 0).astype(np.uint8)
    return scene.assign({**flat, "flags": (dims, flags)})


def _warn_of_holes(dem: Path, elevation: NDArray[np.float32]) -> None:
    holes = int(np.isnan(elevation).sum())
    if holes:
        get_logger(__name__).warning("%s: %d px have no elevation and become no data", dem, holes)


def _dataset(
    layers: dict[str, NDArray[np.generic]], grid: GeoBox, calibrated: xr.Dataset
) -> xr.Dataset:
    dataset = xr.Dataset({name: wrap_xr(values, grid) for name, values in layers.items()})
    for name in dataset.data_vars:
        if name in calibrated:
            dataset[name].attrs.update(calibrated[name].attrs)
    dataset["flags"].attrs.update(FLAG_ATTRS)
    for name in ("incidence_angle", "local_incidence_angle"):
        dataset[name].attrs.update(units="degree", long_name=name.replace("_", " "))
    kept = {name: value for name, value in calibrated.attrs.items() if name != "geometry"}
    kept["history"] = f"{kept.get('history', '')}; terrain-corrected"
    return dataset.assign_attrs(kept)
