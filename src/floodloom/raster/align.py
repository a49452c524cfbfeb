"""Bringing an array onto the grid of another raster."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.places import transformer

Value = TypeVar("Value", bound=np.generic)

_TOLERANCE_PX = 1e-3
_NO_REDUCTION = 0.95


def onto_grid(
    values: NDArray[Value],
    source: GeoBox,
    target: GeoBox,
    nodata: float,
    name: str,
    *,
    resampling: Resampling = Resampling.nearest,
) -> NDArray[Value]:
    """Return a raster on another grid.

    Parameters
    ----------
    values
        (y, x), any dtype.
    source, target
        Grid of the raster, and the one it is wanted on.
    nodata
        What stands for no data, also outside the raster.
    name
        Name of the raster, for messages.
    resampling
        How values are found between pixels.

    Returns
    -------
    ndarray
        (y, x), dtype of `values`: shifted by whole pixels where the grids allow it, else resampled,
        which the log reports.

    Raises
    ------
    InputError
        If one has a CRS and the other hasn't, or neither has and the sizes differ.
    """
    if source == target:
        return values
    require_relation(source, target, name)
    if source.crs is None:
        return values
    if whole_shift(source, target) is None:
        get_logger(__name__).warning("%s: on another grid; reprojected, %s", name, resampling.name)
    return resample_onto(values, source, target, nodata, resampling)


def require_relation(source: GeoBox, target: GeoBox, name: str) -> None:
    """Check that a raster can be placed on a grid: by their CRS, or, without any, by their size.

    Raises
    ------
    InputError
        If one has a CRS and the other hasn't, or neither has and the sizes differ.
    """
    if source.crs is not None and target.crs is not None:
        return
    if source.crs is None and target.crs is None and source.shape == target.shape:
        return
    raise InputError(f"{name}: has no CRS in common with the scene; give rasters on one grid")


def resample_onto(
    values: NDArray[Value],
    source: GeoBox,
    target: GeoBox,
    nodata: float,
    resampling: Resampling,
    whole: GeoBox | None = None,
) -> NDArray[Value]:
    """Return (y, x) on another grid, both with a CRS; see `onto_grid`.

    `whole` is the grid of the raster of which this is a part, so that a part is resampled as the
    whole is.
    """
    result = np.full(tuple(target.shape.yx), nodata, dtype=values.dtype)
    shift = whole_shift(source, target)
    if shift is None:
        reproject(
            values,
            result,
            src_transform=source.affine,
            src_crs=source.crs.to_wkt(),
            dst_transform=target.affine,
            dst_crs=target.crs.to_wkt(),
            src_nodata=nodata,
            dst_nodata=nodata,
            resampling=resampling,
            **_scales(source if whole is None else whole, target),
        )
        return result
    row, col = shift
    top, left = max(row, 0), max(col, 0)
    bottom = min(row + values.shape[0], result.shape[0])
    right = min(col + values.shape[1], result.shape[1])
    if bottom > top and right > left:
        result[top:bottom, left:right] = values[top - row : bottom - row, left - col : right - col]
    return result


def _scales(source: GeoBox, target: GeoBox) -> dict[str, float]:
    """Return how many pixels of the target one in the middle of the source is, right and down.

    GDAL would take it from the sizes of the arrays, and a part would be resampled otherwise than
    the whole.
    """
    col, row = (n / 2 for n in source.shape.xy)
    x, y = source.affine @ (np.array([col, col + 1, col]), np.array([row, row, row + 1]))
    if source.crs != target.crs:
        x, y = transformer(source.crs.to_wkt(), target.crs.to_wkt()).transform(x, y)
    cols, rows = ~target.affine @ (np.asarray(x), np.asarray(y))
    sides = [float(np.hypot(v[1] - v[0], v[2] - v[0])) for v in (cols, rows)]
    if not all(np.isfinite(side) and side > 0 for side in sides):
        return {}
    right, down = (1.0 if side > _NO_REDUCTION else side for side in sides)
    return {"XSCALE": right, "YSCALE": down}


def whole_shift(source: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Row and column of the target at which the source begins, if both share their pixels."""
    one, other = source.affine, target.affine
    if source.crs != target.crs or (one.a, one.b, one.d, one.e) != (
        other.a,
        other.b,
        other.d,
        other.e,
    ):
        return None
    col, row = ~target.affine @ (source.affine.c, source.affine.f)
    if max(abs(col - round(col)), abs(row - round(row))) > _TOLERANCE_PX:
        return None
    return round(row), round(col)
