"""Grids of maps, and places on the globe."""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from odc.geo.xr import xr_coords  # whose import registers the `.odc` accessor
from pyproj import Transformer
from pyproj.crs import CRS as ProjCRS  # noqa: N811
from pyproj.exceptions import CRSError

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.raster.opener import open_raster
from floodloom.raster.windows import SETTING, most_planned

if TYPE_CHECKING:
    import dask.array as da

Bounds = tuple[float, float, float, float]

_OF_THREAD = threading.local()


def transformer(source: str, target: str) -> Transformer:
    """Return the transformation between two reference systems, x before y.

    Making one takes longer than using it, so it is kept for the next block.

    Parameters
    ----------
    source, target
        Anything that PROJ understands.

    Returns
    -------
    Transformer
        This thread's own: transformers aren't shared between threads.
    """
    made = getattr(_OF_THREAD, "made", None)
    if made is None:
        made = _OF_THREAD.made = lru_cache(maxsize=16)(_make)
    found: Transformer = made(source, target)
    return found


def _make(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def map_crs(epsg: int) -> ProjCRS:
    """Return the reference system of a map.

    Raises
    ------
    InputError
        If the code is unknown, or not that of a map: geocentric, vertical or local.
    """
    try:
        crs = ProjCRS.from_epsg(epsg)
    except CRSError as error:
        raise InputError(f"epsg {epsg}: unknown; give a map's, such as 32633") from error
    if not (crs.is_projected or crs.is_geographic) or crs.is_geocentric:
        raise InputError(f"epsg {epsg}: {crs.name} isn't a map's; give one such as 32633")
    return crs


def wrap_longitude(longitude: Doubles, around: float) -> Doubles:
    """Return longitudes (degrees) as counted around a meridian, from −180 to below +180 beside it.

    A longitude that is counted so already isn't changed by a bit.
    """
    return np.asarray(longitude - 360.0 * np.floor((longitude - around + 180.0) / 360.0))


def enclosing_arc(west: ArrayLike, east: ArrayLike) -> tuple[float, float]:
    """Return the shortest arc of longitudes that holds others.

    Parameters
    ----------
    west, east
        (arc,) each, degrees; `east` is not less than `west`. For single places both are the same.

    Returns
    -------
    west, east
        West from −180 to below 180, east of it by at most 360: over 180 where the arc crosses the
        antimeridian. It doesn't depend on the order of the arcs, nor on the turn that they are
        counted in.
    """
    given, width = np.asarray(west, dtype=np.float64), np.subtract(east, west)
    first = wrap_longitude(given, 0.0)
    last = np.where(first == given, east, first + width)
    order = np.lexsort((last, first))
    first, last = first[order], last[order]
    # The shortest arc begins where one of them does: what lies west of that comes a turn later.
    ends = np.where(first < first[:, np.newaxis], last + 360.0, last).max(axis=1)
    best = int(np.argmin(ends - first))
    if ends[best] - first[best] >= 360.0:
        return -180.0, 180.0
    return float(first[best]), float(ends[best])


def projected_outline(
    bounds: Bounds, source: str, target: str, points: int
) -> tuple[Doubles, Doubles]:
    """Return the outline of a rectangle in another reference system.

    Parameters
    ----------
    bounds
        Left, bottom, right, top.
    source, target
        Reference systems; anything that PROJ understands.
    points
        Points on each side, between the corners.

    Returns
    -------
    x, y
        (side, point) float64, not finite where the target can't show a place. Longitudes are
        counted around that of the middle.
    """
    left, bottom, right, top = bounds
    along = np.arange(points + 2)
    x = left + along * ((right - left) / (points + 1))
    y = bottom + along * ((top - bottom) / (points + 1))
    x[-1], y[-1] = right, top
    sides_x = np.stack([x, x, np.full_like(x, left), np.full_like(x, right)])
    sides_y = np.stack([np.full_like(y, bottom), np.full_like(y, top), y, y])
    to_target = transformer(source, target)
    moved_x, moved_y = (np.asarray(v) for v in to_target.transform(sides_x, sides_y))
    if ProjCRS(target).is_geographic:
        middle, _ = to_target.transform((left + right) / 2, (bottom + top) / 2)
        moved_x = wrap_longitude(moved_x, middle)
    return moved_x, moved_y


def projected_bounds(bounds: Bounds, source: str, target: str, points: int = 21) -> Bounds | None:
    """Return left, bottom, right, top of a rectangle's outline in another reference system.

    See `projected_outline`; None if no point of it can be shown.
    """
    x, y = projected_outline(bounds, source, target, points)
    shown = np.isfinite(x) & np.isfinite(y)
    if not shown.any():
        return None
    x, y = x[shown], y[shown]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def common_bounds(one: Bounds, other: Bounds) -> Bounds | None:
    """Return the rectangle that two rectangles share, if any."""
    left, bottom = max(one[0], other[0]), max(one[1], other[1])
    right, top = min(one[2], other[2]), min(one[3], other[3])
    return (left, bottom, right, top) if left < right and bottom < top else None


def united_bounds(bounds: list[Bounds]) -> Bounds:
    """Return the smallest rectangle that holds rectangles."""
    lefts, bottoms, rights, tops = zip(*bounds, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


METRES_PER_DEGREE = 111_320.0
"""Length of a degree of latitude, about."""

COARSEST_M = 5_000.0
"""Widest pixel: a scene of 250 km in 50 of them. More is metres taken for degrees."""

_NORTHERNMOST, _SOUTHERNMOST = 84.0, -80.0


def utm_epsg(longitude: float, latitude: float) -> int:
    """Return the EPSG code of the UTM zone of a place given in degrees, or of UPS near the poles.

    Beyond 84 degrees north and 80 south, where UTM ends, its sister system UPS (polar
    stereographic) begins.

    Source: NGA.SIG.0012, The Universal Grids and the Transverse Mercator and Polar Stereographic
    Map Projections, sections 3 and 10.
    """
    if latitude > _NORTHERNMOST:
        return 32661
    if latitude < _SOUTHERNMOST:
        return 32761
    zone = min(int((longitude + 180.0) // 6.0) + 1, 60)
    return (32600 if latitude >= 0 else 32700) + zone


def metres_per_unit(crs: CRS) -> float:
    """Return the length of a unit of a reference system, m; a degree is one of latitude."""
    return (
        METRES_PER_DEGREE if crs.geographic else float(crs.proj.axis_info[0].unit_conversion_factor)
    )


def pixel_height(grid: GeoBox) -> float:
    """Return the distance of neighbouring rows of a grid, which may be turned, in its units."""
    return math.hypot(grid.affine.b, grid.affine.e)


def metres_per_pixel(grid: GeoBox) -> float:
    """Return the spacing of a grid from row to row, m."""
    return pixel_height(grid) * metres_per_unit(grid.crs)


def spacing_m(resolution: float, crs: CRS) -> float:
    """Return what a recipe calls the spacing of a grid, m.

    Parameters
    ----------
    resolution
        Pixel spacing in the units of the CRS.
    crs
        Of the grid.

    Returns
    -------
    float
        `resolution` itself where the CRS counts in metres. Else to 0.1 m, of degrees that from
        north to south: scenes of one resolution are of one recipe, whatever their latitude.
    """
    unit = metres_per_unit(crs)
    return resolution if unit == 1.0 else round(resolution * unit, 1)


def grid_from_bounds(
    bounds: tuple[float, float, float, float], epsg: int, resolution: float
) -> GeoBox:
    """Return the north-up grid over `bounds` whose edges are multiples of the resolution.

    Parameters
    ----------
    bounds
        Left, bottom, right, top in the units of the CRS.
    epsg
        EPSG code of the CRS.
    resolution
        Pixel spacing in the units of the CRS.

    Returns
    -------
    GeoBox
        Two grids of one CRS and resolution overlay to the pixel, wherever their bounds lie.

    Raises
    ------
    InputError
        If the bounds are empty, the resolution isn't positive, or there would be more pixels than
        `floodloom.raster.windows.most_planned`.
    """
    left, bottom, right, top = bounds
    if not (right > left and top > bottom and resolution > 0):
        raise InputError(f"grid: bounds {bounds} at resolution {resolution} hold no pixel")
    width, height = (right - left) / resolution, (top - bottom) / resolution
    if not width * height <= most_planned():
        raise InputError(
            f"resolution {resolution:g}: {width:,.0f} x {height:,.0f} px are more than "
            f"{most_planned():,}; the unit of EPSG:{epsg} is the {unit_of(CRS(epsg))}: give a "
            f"greater resolution or smaller bounds, or set {SETTING} to a greater number"
        )
    snapped = BoundingBox(
        math.floor(left / resolution) * resolution,
        math.floor(bottom / resolution) * resolution,
        math.ceil(right / resolution) * resolution,
        math.ceil(top / resolution) * resolution,
        crs=f"EPSG:{epsg}",
    )
    return GeoBox.from_bbox(snapped, resolution=resolution, tight=True)


def unit_of(crs: CRS) -> str:
    """Return the name of the unit of a reference system, such as degree or metre."""
    return str(crs.proj.axis_info[0].unit_name)


def centre_longitude(geobox: GeoBox) -> float:
    """Return the longitude of the middle of a grid, degrees."""
    height, width = geobox.shape.yx
    middle = geobox.affine @ (width / 2, height / 2)
    longitude, _ = transformer(geobox.crs.to_wkt(), "EPSG:4326").transform(*middle)
    return float(longitude)


def unwound(grid: GeoBox) -> GeoBox:
    """Return a grid whose longitudes, if it has any, are counted from −180 to 180 in its middle."""
    if grid.crs is None or not grid.crs.geographic:
        return grid
    height, width = grid.shape.yx
    middle, _ = grid.affine @ (width / 2, height / 2)
    turns = math.floor((middle + 180.0) / 360.0)
    if turns == 0:
        return grid
    return GeoBox(grid.shape, Affine.translation(-360.0 * turns, 0) @ grid.affine, grid.crs)


def pixel_geobox(height: int, width: int) -> GeoBox:
    """Return the grid of a raster without georeference: x to the right, y down, in pixels."""
    return GeoBox((height, width), Affine.identity(), None)


def geobox_of(source: xr.Dataset | xr.DataArray | str | Path) -> GeoBox:
    """Return the grid of a dataset with `y` and `x`, or of a raster file.

    Raises
    ------
    InputError
        If the file can't be opened.
    """
    if isinstance(source, (str, Path)):
        return _geobox_of_file(Path(source))
    geobox = source.odc.geobox
    if geobox is not None and geobox.crs is not None:
        return geobox
    return pixel_geobox(source.sizes["y"], source.sizes["x"])


def _geobox_of_file(path: Path) -> GeoBox:
    with open_raster(path, "raster") as raster:
        if raster.crs is None:
            return pixel_geobox(raster.height, raster.width)
        return GeoBox((raster.height, raster.width), raster.transform, raster.crs)


def on_grid(values: NDArray[Any] | da.Array, grid: GeoBox) -> xr.DataArray:
    """Return (y, x) values with the coordinates of a grid, called y and x in degrees, too."""
    return xr.DataArray(values, dims=("y", "x"), coords=xr_coords(grid, always_yx=True))
