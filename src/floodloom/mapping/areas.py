"""How large a pixel is on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS

Metres = NDArray[np.float64]


def pixel_sides(geobox: GeoBox) -> tuple[Metres, Metres] | None:
    """Return width and height of the pixels of each row.

    Parameters
    ----------
    geobox
        North-up grid.

    Returns
    -------
    tuple of ndarray, or None
        (y,) float64 each, m: the spacings where the grid is projected, arcs of parallel and
        meridian on the ellipsoid where it is in degrees; None without a CRS.
    """
    if geobox.crs is None:
        return None
    crs = CRS.from_wkt(geobox.crs.to_wkt())
    unit = float(crs.axis_info[0].unit_conversion_factor)
    rows = int(geobox.shape.y)
    width, height = abs(geobox.affine.a) * unit, abs(geobox.affine.e) * unit
    if not crs.is_geographic:
        return np.full(rows, width), np.full(rows, height)
    latitude = (geobox.affine.f + (np.arange(rows) + 0.5) * geobox.affine.e) * unit
    major, minor = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
    squared = 1 - (minor / major) ** 2
    inner = 1 - squared * np.sin(latitude) ** 2
    prime_vertical = major / np.sqrt(inner)
    meridional = major * (1 - squared) / inner**1.5
    return prime_vertical * np.cos(latitude) * width, meridional * height


def pixel_areas(geobox: GeoBox) -> Metres | None:
    """Return the area of the pixels of each row, (y,) float64, m²; None without a CRS."""
    sides = pixel_sides(geobox)
    return None if sides is None else sides[0] * sides[1]


def pixel_size(geobox: GeoBox) -> tuple[float, float] | None:
    """Return width and height of a pixel in the middle of the grid, m; None without a CRS."""
    sides = pixel_sides(geobox)
    if sides is None:
        return None
    middle = len(sides[0]) // 2
    return float(sides[0][middle]), float(sides[1][middle])


def crs_name(geobox: GeoBox) -> str | None:
    """Return `EPSG:<code>`, the CRS as WKT where it has no code, or None without one."""
    if geobox.crs is None:
        return None
    code = geobox.crs.to_epsg()
    return f"EPSG:{code}" if code else str(geobox.crs.to_wkt())


def row_areas(geobox: GeoBox) -> Metres:
    """Return the area of the pixels of each row, (y,) float64: m², or px² without a CRS."""
    areas = pixel_areas(geobox)
    return np.ones(int(geobox.shape.y)) if areas is None else areas


def area_of(mask: NDArray[np.bool_], areas: Metres) -> float:
    """Return the area, m², of a (y, x) mask on rows whose pixels have `areas` (y,), m²."""
    return float(mask.sum(axis=1) @ areas)
