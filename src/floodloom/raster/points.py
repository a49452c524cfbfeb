"""Rasters that ground control points alone place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import scipy
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer

from floodloom.arrays import Doubles, Floats
from floodloom.errors import InputError
from floodloom.raster.grid import enclosing_arc, transformer, wrap_longitude
from floodloom.raster.windows import Window

_LEAST, _MOST = 4, 2_000
_STEP = 4
"""Distance of the nodes at which the spline is solved, px; between them it bends by 10⁻³ px where
points lie 64 px apart, and by less where they lie further."""
_NODES, _BENDS, _RIM = 17, 0.02, 3
_HALF = 0.5
_THINNEST = 1e-6


@dataclass(frozen=True)
class ControlPoints:
    """Places of some pixels of an image, and the smooth surface through them.

    Attributes
    ----------
    crs
        Reference system of x and y, WKT.
    rows, cols
        Where they lie in the image, px from its upper left corner.
    x, y
        Where they lie on the ground; longitudes are counted around that of the first.

    References
    ----------
    Bookstein (1989), Principal warps: thin-plate splines and the decomposition of deformations,
    IEEE TPAMI 11(6): the surface goes through every point.
    """

    crs: str
    rows: tuple[float, ...] = field(repr=False)
    cols: tuple[float, ...] = field(repr=False)
    x: tuple[float, ...] = field(repr=False)
    y: tuple[float, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def footprint(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the points, degrees; east is over 180 across it."""
        longitude, latitude = transformer(self.crs, "EPSG:4326").transform(self.x, self.y)
        west, east = enclosing_arc(longitude, longitude)
        return west, float(np.min(latitude)), east, float(np.max(latitude))

    def places(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Return rows and columns, px from the upper left corner, of places in `crs`."""
        points = zip(self.rows, self.cols, self.x, self.y, strict=True)
        found = [GroundControlPoint(row, col, east, north) for row, col, east, north in points]
        if CRS.from_wkt(self.crs).is_geographic:
            x = wrap_longitude(x, self.x[0])
        with GCPTransformer(found, tps=True) as spline:
            rows, cols = spline.rowcol(x.ravel(), y.ravel(), op=_unrounded)
        return np.reshape(rows, x.shape), np.reshape(cols, x.shape)


def _unrounded(values: Any) -> Any:
    return values


def control_points(points: Sequence[GroundControlPoint], crs: str, name: str) -> ControlPoints:
    """Return the control points of a raster.

    Parameters
    ----------
    points
        Its own.
    crs
        Their reference system, WKT.
    name
        Of the raster, for messages.

    Raises
    ------
    InputError
        If they are too few or too many for a surface, not finite, or lie on one line.
    """
    table = np.array([[p.row, p.col, p.x, p.y] for p in points], dtype=np.float64)
    if not _LEAST <= len(table) <= _MOST:
        raise InputError(
            f"{name}: {len(table)} ground control points; a place takes {_LEAST} to {_MOST:,}: put "
            "it on a grid with `gdalwarp -tps`"
        )
    rows, cols, x, y = table.T
    if CRS.from_wkt(crs).is_geographic:
        x = wrap_longitude(x, float(x[0]))
    made = ControlPoints(crs, *(tuple(map(float, values)) for values in (rows, cols, x, y)))
    try:
        again = (np.inf, np.inf) if _on_a_line(table) else made.places(x, y)
        off = max(np.abs(again[0] - rows).max(), np.abs(again[1] - cols).max())
    except (RasterioError, ValueError):
        off = np.inf
    if not off < _HALF:
        raise InputError(
            f"{name}: its {len(table)} ground control points give no place (on one line, twice or "
            "not finite); put it on a grid with `gdalwarp`"
        )
    return made


def _on_a_line(table: Doubles) -> bool:
    """Whether points, in the image or on the ground, lie on one line, or aren't finite."""
    if not np.isfinite(table).all():
        return True
    for places in (table[:, :2], table[:, 2:]):
        least, most = np.sort(np.linalg.svd(places - places.mean(axis=0), compute_uv=False))
        if not least > _THINNEST * most:
            return True
    return False


def warp_by_points(
    layer: da.Array, points: ControlPoints, grid: GeoBox, nodata: float, *, smooth: bool
) -> da.Array:
    """Return a layer in the image's own pixels on a map grid, lazily.

    Parameters
    ----------
    layer
        (line, pixel).
    points
        Those of the image.
    grid
        The one that it is wanted on.
    nodata
        What stands for no data, also outside the image.
    smooth
        Interpolate bilinearly, for which it must be floating and NaN no data; else the nearest
        pixel counts.

    Returns
    -------
    dask array
        (y, x), dtype of `layer`.
    """
    height, width = grid.shape.yx
    tall, wide = (int(side) for side in layer.chunksize)
    take = _bilinear if smooth else _nearest

    def of(window: Window) -> da.Array:
        return _block(layer, points, grid, window, nodata, take)

    return da.block(  # type: ignore[no-any-return, no-untyped-call]
        [
            [
                of(Window(row, col, min(tall, height - row), min(wide, width - col)))
                for col in range(0, width, wide)
            ]
            for row in range(0, height, tall)
        ]
    )


Take = Callable[[NDArray[Any], Doubles, Doubles, float], NDArray[Any]]


def _block(
    layer: da.Array,
    points: ControlPoints,
    grid: GeoBox,
    window: Window,
    nodata: float,
    take: Take,
) -> da.Array:
    shape = window.height, window.width
    part = _part(points, grid, window, layer.shape)
    if part is None:
        blank: da.Array = da.full(shape, nodata, dtype=layer.dtype)  # type: ignore[no-untyped-call]
        return blank
    warped = delayed(_warped)(layer[part.slices], points, part, grid, window, nodata, take)
    made: da.Array = da.from_delayed(warped, shape, layer.dtype)  # type: ignore[no-untyped-call]
    return made


def _part(
    points: ControlPoints, grid: GeoBox, window: Window, shape: tuple[int, ...]
) -> Window | None:
    """Return the part of an image that a piece of a map looks at, None if that lies elsewhere."""
    found = _at(
        points,
        grid,
        np.linspace(window.row, window.row + window.height, _NODES),
        np.linspace(window.col, window.col + window.width, _NODES),
    )
    sides = []
    for places, size in zip(found, shape, strict=True):
        low, high = float(places.min()), float(places.max())
        room = _RIM + _BENDS * (high - low)
        sides += [max(int(np.floor(low - room)), 0), min(int(np.ceil(high + room)), size)]
    top, bottom, left, right = sides
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None


def _warped(
    values: NDArray[Any],
    points: ControlPoints,
    part: Window,
    grid: GeoBox,
    window: Window,
    nodata: float,
    take: Take,
) -> NDArray[Any]:
    rows, cols = _positions(points, grid, window)
    return take(values, rows - part.row, cols - part.col, nodata)


def _positions(points: ControlPoints, grid: GeoBox, window: Window) -> tuple[Doubles, Doubles]:
    """Return rows and columns (y, x) of the image, px from its corner, at pixels of a map.

    The nodes are those of the whole map, whichever part of it is asked for.
    """
    down = np.arange(window.row // _STEP, (window.row + window.height) // _STEP + 2)
    across = np.arange(window.col // _STEP, (window.col + window.width) // _STEP + 2)
    centres = np.meshgrid(
        (np.arange(window.row, window.row + window.height) + _HALF) / _STEP - down[0],
        (np.arange(window.col, window.col + window.width) + _HALF) / _STEP - across[0],
        indexing="ij",
    )
    nodes = (np.asarray(n * _STEP, dtype=np.float64) for n in (down, across))
    at_nodes = _at(points, grid, *nodes)
    rows, cols = (scipy.ndimage.map_coordinates(values, centres, order=1) for values in at_nodes)
    return rows, cols


def _at(
    points: ControlPoints, grid: GeoBox, down: Doubles, across: Doubles
) -> tuple[Doubles, Doubles]:
    """Return rows and columns of the image at all pairs of rows and columns of a map."""
    x, y = grid.affine @ tuple(np.meshgrid(across, down))
    moved = transformer(grid.crs.to_wkt(), points.crs).transform(x, y)
    return points.places(np.asarray(moved[0]), np.asarray(moved[1]))


def _bilinear(values: Floats, rows: Doubles, cols: Doubles, nodata: float) -> Floats:
    """Interpolate between the pixels that have data, where most of the weight is theirs."""
    known = np.isfinite(values)
    places = np.stack([rows, cols]) - _HALF
    weight = scipy.ndimage.map_coordinates(
        known.astype(np.float32), places, order=1, mode="nearest"
    )
    summed = scipy.ndimage.map_coordinates(
        np.where(known, values, 0), places, order=1, mode="nearest"
    )
    seen = _inside(values, rows, cols) & (weight >= _HALF)
    return np.where(seen, summed / np.maximum(weight, _HALF), nodata).astype(np.float32)


def _nearest(values: NDArray[Any], rows: Doubles, cols: Doubles, nodata: float) -> NDArray[Any]:
    seen = _inside(values, rows, cols)
    found = np.full(rows.shape, nodata, dtype=values.dtype)
    found[seen] = values[rows[seen].astype(int), cols[seen].astype(int)]
    return found


def _inside(values: NDArray[Any], rows: Doubles, cols: Doubles) -> NDArray[np.bool_]:
    height, width = values.shape
    return np.asarray((rows >= 0) & (rows < height) & (cols >= 0) & (cols < width))
