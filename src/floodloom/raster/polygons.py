"""Polygons of any reference system on a grid, and grids on the globe."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, box, mapping
from shapely.geometry.base import BaseGeometry

from floodloom.raster.grid import transformer

Coordinates = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

_TURN = 360.0
_LATTICE = 101  # points along each side
_WGS84 = "EPSG:4326"


def lattice(geobox: GeoBox, crs: str) -> tuple[Coordinates, Coordinates]:
    """Return x and y of points all over a grid, its edges among them.

    Parameters
    ----------
    geobox
        Grid with a CRS.
    crs
        Reference system of the coordinates; in degrees, x goes on beyond 180° where the grid does.

    Returns
    -------
    tuple of ndarray
        (101, 101) float64 each; infinite where the reference system has no such place.
    """
    height, width = geobox.shape.yx
    cols, rows = np.meshgrid(np.linspace(0, width, _LATTICE), np.linspace(0, height, _LATTICE))
    transformed = transformer(str(geobox.crs.to_wkt()), crs).transform(
        *(geobox.affine @ (cols, rows))
    )
    x, y = (np.asarray(side) for side in transformed)
    if CRS.from_user_input(crs).is_geographic:
        middle = x[_LATTICE // 2, _LATTICE // 2]
        x = middle + (x - middle + _TURN / 2) % _TURN - _TURN / 2
    return x, y


def geographic_bounds(geobox: GeoBox) -> Bounds:
    """Return west, south, east and north of a grid, degrees.

    West is larger than east where the grid crosses 180° (RFC 7946, section 5.2). A grid over a pole
    has all longitudes.
    """
    longitude, latitude = lattice(geobox, _WGS84)
    south, north = float(latitude.min()), float(latitude.max())
    if _goes_around_a_pole(longitude):
        return (-180.0, south, 180.0, 90.0) if north > 0 else (-180.0, -90.0, 180.0, north)
    west, east = float(longitude.min()), float(longitude.max())
    return _wrapped(west), south, _wrapped(east), north


def _goes_around_a_pole(longitude: Coordinates) -> bool:
    edge = np.concatenate(
        [longitude[0], longitude[1:, -1], longitude[-1, -2::-1], longitude[-2::-1, 0]]
    )
    steps = (np.diff(edge) + _TURN / 2) % _TURN - _TURN / 2
    return bool(abs(steps.sum()) > _TURN / 2)


def _wrapped(longitude: float) -> float:
    """The same longitude between -180 and 180, which both stay as they are."""
    if -_TURN / 2 <= longitude <= _TURN / 2:
        return longitude
    return (longitude + _TURN / 2) % _TURN - _TURN / 2


def footprint(bounds: Bounds) -> dict[str, Any]:
    """Return the GeoJSON geometry of bounds, cut in two at 180° (RFC 7946, section 3.1.9)."""
    west, south, east, north = bounds
    whole = box(west, south, east, north)
    if west > east:
        whole = MultiPolygon(
            [box(west, south, _TURN / 2, north), box(-_TURN / 2, south, east, north)]
        )
    geometry: dict[str, Any] = mapping(whole)
    return geometry


_MARGIN = 0.1  # of the map's size, that polygons are cut off beyond
_NEARLY_AROUND = 270.0  # degrees
_FARTHEST = 1e12  # of any unit
_STEPS = 100  # of the map's size, that a straight line is reprojected by


def is_areal(geometry: BaseGeometry | None) -> bool:
    """Whether a geometry is missing, empty or made of polygons, at least in part."""
    return geometry is None or geometry.is_empty or bool(_polygons(geometry))


def has_place(geometry: BaseGeometry | None) -> bool:
    """Whether all corners are numbers, and no larger than operations on them can take."""
    return bool((np.abs(shapely.get_coordinates(geometry)) < _FARTHEST).all())


def repair(geometry: BaseGeometry | None) -> BaseGeometry:
    """Return the ground that a polygon covers, once, as a valid polygon without heights.

    Rings that cross or repeat themselves cover all that they go around, and holes are taken out
    of that; parts that overlap are joined. Points and lines are left out, and what has no area.
    """
    parts = [valid for part in _polygons(geometry) for valid in _valid_parts(part)]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def _valid_parts(polygon: shapely.Polygon) -> list[shapely.Polygon]:
    valid = shapely.make_valid(polygon, method="structure", keep_collapsed=False)
    if valid.is_empty:  # a ring that goes around and back again
        rings = shapely.MultiLineString(list(shapely.get_rings(polygon)))
        valid = shapely.polygonize([shapely.node(rings)])
    return _polygons(valid)


def _polygons(geometry: BaseGeometry | None) -> list[shapely.Polygon]:
    """The polygons of a geometry, also of collections, without heights."""
    parts = shapely.get_parts(shapely.get_parts([shapely.force_2d(geometry)]))
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def on_map(frame: gpd.GeoDataFrame, geobox: GeoBox) -> list[BaseGeometry]:
    """Return polygons in the CRS of a map, cut off beyond it.

    Parameters
    ----------
    frame
        Polygons in any CRS; in degrees they may cross 180° in whatever way that is written.
    geobox
        Grid of the map, with a CRS.

    Returns
    -------
    list
        A valid polygon or multipolygon for each row; empty where it has none on the map.
    """
    source, target = CRS.from_user_input(frame.crs), CRS.from_wkt(geobox.crs.to_wkt())
    window = _window(geobox, source)
    step = float(max(window[2] - window[0], window[3] - window[1])) / _STEPS
    to_map = transformer(source.to_wkt(), target.to_wkt())

    def placed(places: Coordinates) -> Coordinates:
        return np.stack(to_map.transform(places[:, 0], places[:, 1]), axis=1)

    found = []
    for geometry in frame.geometry:
        parts = _polygons(geometry)
        if source.is_geographic:
            parts = [_unwrapped(part) for part in parts]
        near = _cut(repair(shapely.MultiPolygon(parts)), window, turns=source.is_geographic)
        found.append(repair(shapely.transform(shapely.segmentize(near, step), placed)))
    return found


def _window(geobox: GeoBox, crs: CRS) -> Bounds:
    """Bounds of a map in another CRS, with a margin; longitudes go on beyond 180°."""
    x, y = lattice(geobox, crs.to_wkt())
    known = np.isfinite(x) & np.isfinite(y)
    bounds = np.array([x[known].min(), y[known].min(), x[known].max(), y[known].max()])
    margin = _MARGIN * max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    left, bottom, right, top = bounds + np.array([-1, -1, 1, 1]) * margin
    return float(left), float(bottom), float(right), float(top)


def _cut(geometry: BaseGeometry, window: Bounds, *, turns: bool) -> BaseGeometry:
    """Return what of a polygon lies in a window, in degrees also a turn to the west or east."""
    shifts = (-_TURN, 0.0, _TURN) if turns else (0.0,)
    cut = shapely.box(*window)
    parts = [shapely.intersection(translate(geometry, s), cut) for s in shifts]
    return shapely.union_all(parts)


def _unwrapped(polygon: shapely.Polygon) -> shapely.Polygon:
    """Count longitudes from 0 to 360° if an edge goes nearly around the world.

    It is meant to cross 180° the short way; one of a whole turn is the world's, and stays.
    """
    longitudes = shapely.get_coordinates(polygon.exterior)[:, 0]
    if not _NEARLY_AROUND < np.abs(np.diff(longitudes)).max() < _TURN:
        return polygon

    def counted_on(places: Coordinates) -> Coordinates:
        return np.stack([places[:, 0] % _TURN, places[:, 1]], axis=1)

    return shapely.transform(polygon, counted_on)
