"""Where a grid lies in longitude and latitude, also across 180° and over a pole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from shapely.geometry import MultiPolygon, box, mapping

from floodloom.raster.places import transformer

Coordinates = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

TURN = 360.0
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
        x = middle + (x - middle + TURN / 2) % TURN - TURN / 2
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
    steps = (np.diff(edge) + TURN / 2) % TURN - TURN / 2
    return bool(abs(steps.sum()) > TURN / 2)


def _wrapped(longitude: float) -> float:
    """The same longitude between -180 and 180, which both stay as they are."""
    if -TURN / 2 <= longitude <= TURN / 2:
        return longitude
    return (longitude + TURN / 2) % TURN - TURN / 2


def footprint(bounds: Bounds) -> dict[str, Any]:
    """Return the GeoJSON geometry of bounds, cut in two at 180° (RFC 7946, section 3.1.9)."""
    west, south, east, north = bounds
    whole = box(west, south, east, north)
    if west > east:
        whole = MultiPolygon(
            [box(west, south, TURN / 2, north), box(-TURN / 2, south, east, north)]
        )
    geometry: dict[str, Any] = mapping(whole)
    return geometry
