"""One raster on the grid of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.warp import rio_reproject
from odc.geo.xr import xr_reproject
from rasterio.enums import Resampling
from rasterio.warp import reproject

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.grid import centre_longitude, geobox_of, transformer, wrap_longitude
from floodloom.raster.windows import Window

Places = NDArray[np.float64]

_STEPS = 16  # places looked at along a side of a grid
_SAME_PX = 1e-3


def join_grids(grids: Sequence[GeoBox], name: str) -> GeoBox:
    """Return the pixels of the first grid over all of them.

    Parameters
    ----------
    grids
        Grids, each with a CRS. Longitudes may go round.
    name
        What they are, for messages.

    Raises
    ------
    InputError
        If one has no CRS, or lies where the first's has no place for it.
    """
    first = grids[0]
    if len(grids) == 1:
        return first
    if any(grid.crs is None for grid in grids):
        raise InputError(f"{name}: several rasters, but not all have a CRS; give each one")
    found = [_seen_from(first, grid) for grid in grids]
    if any(places.size == 0 for places in found):
        raise InputError(f"{name}: lie too far from one another for one grid; give them apart")
    places = np.concatenate(found, axis=1)
    left, top = np.floor(places.min(axis=1) + _SAME_PX).astype(int)
    right, bottom = np.ceil(places.max(axis=1) - _SAME_PX).astype(int)
    shift = Affine.translation(int(left), int(top))
    return GeoBox((int(bottom - top), int(right - left)), first.affine @ shift, first.crs)


def part_of(source: GeoBox, target: GeoBox, *, margin: int = 0) -> Window | None:
    """Return the part of a raster that another grid looks at.

    Parameters
    ----------
    source, target
        Grids of the raster and of what looks at it, both with a CRS. Longitudes may go round.
    margin
        Further pixels of the raster around that part.

    Returns
    -------
    Window or None
        With some pixels around for interpolation; None where the grid lies elsewhere.
    """
    col, row = _seen_from(source, target)
    if col.size == 0:
        return None
    left, right = _reach(col, target.shape.x, source.shape.x, margin)
    top, bottom = _reach(row, target.shape.y, source.shape.y, margin)
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None


def _seen_from(source: GeoBox, target: GeoBox) -> Places:
    """Return (2, n): columns and rows of the source at places all over the target."""
    x, y = _lattice(target, _STEPS)
    if source.crs != target.crs:
        x, y = transformer(target.crs.to_wkt(), source.crs.to_wkt()).transform(x, y)
    known = np.isfinite(x) & np.isfinite(y)
    if source.crs.geographic:
        middle, _ = source.affine @ (source.shape.x / 2, source.shape.y / 2)
        x = x + 360.0 * np.round((middle - x) / 360.0)
    return np.stack((~source.affine) @ (x[known], y[known]))


def _reach(positions: Places, pixels: int, size: int, margin: int) -> tuple[int, int]:
    """Return first and last pixel, with room for interpolation and for what bends between nodes."""
    low, high = float(positions.min()), float(positions.max())
    room = 3.0 * max((high - low) / pixels, 1.0) + 0.02 * (high - low) + margin
    return max(math.floor(low - room), 0), min(math.ceil(high + room), size)


def _lattice(grid: GeoBox, steps: int) -> tuple[Places, Places]:
    """Return x and y of (steps + 1)² places all over a grid, its corners among them."""
    rows, cols = (np.linspace(0.0, n, steps + 1) for n in grid.shape.yx)
    col, row = (values.ravel() for values in np.meshgrid(cols, rows))
    x, y = grid.affine @ (col, row)
    return x, y


Value = TypeVar("Value", bound=np.generic)

_TOLERANCE_PX = 1e-3
_NO_REDUCTION = 0.95
_WARP_MIB = 2048  # else GDAL parts a strip, and where it does shows in the approximated places


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
        # Without values to look out for, GDAL takes a fifth of the time: where there are none, and
        # where a value is copied or not.
        plain = resampling is Resampling.nearest or bool(
            resampling is Resampling.bilinear and np.isnan(nodata) and np.isfinite(values).all()
        )
        reproject(
            values,
            result,
            src_transform=source.affine,
            src_crs=source.crs.to_wkt(),
            dst_transform=target.affine,
            dst_crs=target.crs.to_wkt(),
            src_nodata=None if plain else nodata,
            dst_nodata=None if plain else nodata,
            init_dest_nodata=not plain,
            resampling=resampling,
            warp_mem_limit=_WARP_MIB,
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


def window_of(source: GeoBox, target: GeoBox) -> Window | None:
    """Return the part of a raster that is resampled onto a grid; see `part_of` and `whole_shift`.

    Where both share their pixels it is what they have in common, and no more.
    """
    shift = whole_shift(source, target)
    if shift is None:
        return part_of(source, target)
    top, left = (max(-first, 0) for first in shift)
    bottom, right = (
        min(size - first, own)
        for size, first, own in zip(target.shape.yx, shift, source.shape.yx, strict=True)
    )
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None


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
    part = _source_window(target, source)
    if part is None:
        blank: da.Array = da.full(shape, nodata, dtype=layer.dtype)  # type: ignore[no-untyped-call]
        return blank
    warped = delayed(_warped)(
        layer.data[part.slices], source[part.slices], target, resampling, nodata
    )
    made: da.Array = da.from_delayed(warped, shape, layer.dtype)  # type: ignore[no-untyped-call]
    return made


def _source_window(target: GeoBox, source: GeoBox) -> Window | None:
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
