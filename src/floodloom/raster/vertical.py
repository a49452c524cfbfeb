"""From which surface the heights of a raster are measured, as its reference system states."""

from __future__ import annotations

from dataclasses import dataclass

from pyproj import CRS

ELLIPSOID = "ellipsoid"


@dataclass(frozen=True)
class Vertical:
    """What heights are measured from, and in which unit.

    Attributes
    ----------
    name
        `ellipsoid`, or the name of the vertical reference system.
    epsg
        Its code, if it has one.
    metres
        Length of one unit, m.
    """

    name: str
    epsg: int | None
    metres: float


def split(wkt: str) -> tuple[str, Vertical | None]:
    """Return a reference system without heights, and what it states of them.

    Parameters
    ----------
    wkt
        Any reference system: projected or geographic, of two or three dimensions, or compound.

    Returns
    -------
    horizontal
        WKT of the system of x and y; `wkt` itself where it has no heights.
    vertical
        None where it has no heights.
    """
    crs = CRS.from_wkt(wkt)
    if crs.is_compound:
        horizontal, heights = crs.sub_crs_list[:2]
        unit = float(heights.axis_info[0].unit_conversion_factor)
        return horizontal.to_wkt(), Vertical(heights.name, heights.to_epsg(), unit)
    if len(crs.axis_info) == 3:
        unit = float(crs.axis_info[2].unit_conversion_factor)
        return crs.to_2d().to_wkt(), Vertical(ELLIPSOID, None, unit)
    return wkt, None
