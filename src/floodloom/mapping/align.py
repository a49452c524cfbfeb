"""Bringing a raster onto the grid of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from floodloom.errors import InputError
from floodloom.log import get_logger

_TOLERANCE_PX = 1e-3


def onto_grid(
    values: NDArray[np.uint8], source: GeoBox, target: GeoBox, nodata: int, name: str
) -> NDArray[np.uint8]:
    """Return a raster on another grid.

    Parameters
    ----------
    values
        (y, x) uint8.
    source, target
        Grid of the raster, and the one it is wanted on.
    nodata
        What stands for no data, also outside the raster.
    name
        Name of the raster, for messages.

    Returns
    -------
    ndarray
        (y, x) uint8: shifted by whole pixels where the grids allow it, else by nearest neighbour,
        which the log says.

    Raises
    ------
    InputError
        If one has a CRS and the other hasn't, or neither has and the sizes differ.
    """
    if source == target:
        return values
    if source.crs is None or target.crs is None:
        if source.crs is None and target.crs is None and values.shape == tuple(target.shape.yx):
            return values
        raise InputError(f"{name}: has no CRS in common with the scene; give rasters on one grid")
    result = np.full(tuple(target.shape.yx), nodata, dtype=np.uint8)
    shift = _whole_shift(source, target)
    if shift is None:
        get_logger(__name__).warning("%s: on another grid; reprojected to the nearest pixel", name)
        reproject(
            values,
            result,
            src_transform=source.affine,
            src_crs=source.crs.to_wkt(),
            dst_transform=target.affine,
            dst_crs=target.crs.to_wkt(),
            src_nodata=nodata,
            dst_nodata=nodata,
            resampling=Resampling.nearest,
        )
        return result
    row, col = shift
    top, left = max(row, 0), max(col, 0)
    bottom = min(row + values.shape[0], result.shape[0])
    right = min(col + values.shape[1], result.shape[1])
    if bottom > top and right > left:
        result[top:bottom, left:right] = values[top - row : bottom - row, left - col : right - col]
    return result


def _whole_shift(source: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Row and column of the target at which the source begins, if both share their pixels."""
    if source.crs != target.crs or source.resolution != target.resolution:
        return None
    col, row = ~target.affine @ (source.affine.c, source.affine.f)
    if max(abs(col - round(col)), abs(row - round(row))) > _TOLERANCE_PX:
        return None
    return round(row), round(col)
