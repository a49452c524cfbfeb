"""A layer on the grid of another, lazily, also across 180 degrees."""

from __future__ import annotations

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.warp import rio_reproject
from odc.geo.xr import xr_reproject

from floodloom.raster.grid import centre_longitude, geobox_of
from floodloom.raster.places import transformer, wrap_longitude
from floodloom.raster.windows import Window

_POINTS = 22
_RIM = 2


def reproject_layer(layer: xr.DataArray, grid: GeoBox, resampling: str, nodata: float) -> da.Array:
    """Return a layer on a grid.

    Parameters
    ----------
    layer
        (y, x) dask array with a CRS.
    grid
        The one that it is wanted on, with a CRS.
    resampling
        Such as nearest or bilinear.
    nodata
        What stands for no data, also outside the layer.

    Returns
    -------
    dask array
        (y, x), dtype of `layer`, in chunks of its size.
    """
    if not _across_180(grid):
        moved: da.Array = xr_reproject(
            layer, grid, resampling=resampling, dst_nodata=nodata, src_nodata=nodata
        ).data
        return moved
    # odc-geo asks in longitudes which blocks meet, and there such a grid reaches around the Earth.
    height, width = grid.shape.yx
    rows, cols = layer.data.chunksize
    blocks = [
        [
            _block(
                layer,
                grid,
                Window(row, col, min(rows, height - row), min(cols, width - col)),
                resampling,
                nodata,
            )
            for col in range(0, width, cols)
        ]
        for row in range(0, height, rows)
    ]
    made: da.Array = da.block(blocks)  # type: ignore[no-untyped-call]
    return made


def _across_180(grid: GeoBox) -> bool:
    longitude, _ = _outline(grid, "EPSG:4326")
    return bool(np.ptp(longitude) > 180.0)


def _outline(grid: GeoBox, crs: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points along the edges of a grid in a reference system."""
    x, y = grid.affine @ tuple(grid.boundary(_POINTS).T)
    moved = transformer(grid.crs.to_wkt(), crs).transform(x, y)
    return np.asarray(moved[0]), np.asarray(moved[1])


def _block(
    layer: xr.DataArray, grid: GeoBox, window: Window, resampling: str, nodata: float
) -> da.Array:
    target, source = grid[window.slices], geobox_of(layer)
    shape = window.height, window.width
    part = _seen_from(target, source)
    if part is None:
        blank: da.Array = da.full(shape, nodata, dtype=layer.dtype)  # type: ignore[no-untyped-call]
        return blank
    warped = delayed(_warped)(
        layer.data[part.slices], source[part.slices], target, resampling, nodata
    )
    made: da.Array = da.from_delayed(warped, shape, layer.dtype)  # type: ignore[no-untyped-call]
    return made


def _seen_from(target: GeoBox, source: GeoBox) -> Window | None:
    """Return the part of a source that a grid needs."""
    x, y = _outline(target, source.crs.to_wkt())
    if source.crs.geographic:
        x = wrap_longitude(x, centre_longitude(source))
    col, row = ~source.affine @ (x, y)
    height, width = source.shape.yx
    if not np.isfinite([col, row]).all():
        return Window(0, 0, height, width)
    top, left = (max(int(np.floor(v.min())) - _RIM, 0) for v in (row, col))
    bottom = min(int(np.ceil(row.max())) + _RIM, height)
    right = min(int(np.ceil(col.max())) + _RIM, width)
    if bottom <= top or right <= left:
        return None
    return Window(top, left, bottom - top, right - left)


def _warped(
    values: NDArray[np.generic], source: GeoBox, target: GeoBox, resampling: str, nodata: float
) -> NDArray[np.generic]:
    made: NDArray[np.generic] = np.full(tuple(target.shape.yx), nodata, dtype=values.dtype)
    rio_reproject(values, made, source, target, resampling, nodata, nodata)
    return made
