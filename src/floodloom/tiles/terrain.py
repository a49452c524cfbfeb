"""Bands that come from an elevation raster, laid beside those of a scene."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.sentinel1.bands import TERRAIN

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from floodloom.raster.rows import Rows
    from floodloom.sentinel1.relief import Elevation

_ATTRIBUTES = {
    "elevation": {"units": "m", "long_name": "elevation"},
    "slope": {"units": "degree", "long_name": "slope"},
    "height_above_drainage": {"units": "m", "long_name": "height above the nearest drainage"},
}


def sees_terrain(bands: Collection[str]) -> bool:
    """Return whether some bands may come from an elevation raster."""
    return not set(TERRAIN).isdisjoint(bands)


def with_terrain(scene: xr.Dataset, bands: Collection[str], dem: Path | None) -> xr.Dataset:
    """Return a scene with the bands that come from an elevation raster.

    Parameters
    ----------
    scene
        Scene store; what it has itself is left as it is.
    bands
        Bands that are wanted; `elevation` (m), `slope` (degrees) and `height_above_drainage` (m)
        are made, float32 with NaN = no data.
    dem
        Elevation raster, or a folder of its tiles, on any grid.

    Raises
    ------
    InputError
        If one is wanted and there is no raster, or it can't be read or doesn't cover the scene.
    """
    wanted = [name for name in TERRAIN if name in bands and name not in scene]
    if not wanted:
        return scene
    if dem is None:
        raise InputError(
            f"band {wanted[0]}: neither in the scene nor is there an elevation raster; give `dem`"
        )
    from floodloom.sentinel1.relief import Elevation, read_elevation  # compiles, and seldom is

    grid = geobox_of(scene)
    relief = read_elevation(dem, grid)
    made: dict[str, Callable[[Elevation, GeoBox], Rows]] = {
        "elevation": Elevation.on,
        "slope": Elevation.slope_on,
        "height_above_drainage": Elevation.height_on,
    }
    chunks = {side: scene.chunksizes[side] for side in ("y", "x") if side in scene.chunksizes}
    layers = {}
    for name in wanted:
        values = made[name](relief, grid)[:].astype(np.float32, copy=False)
        layer = xr.DataArray(values, dims=("y", "x"), attrs=_ATTRIBUTES[name])
        layers[name] = layer.chunk(chunks) if chunks else layer
    return scene.assign(layers)
