"""Where elevations come from: their raster, its unit, and what ground it covers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.places import Bounds, common_bounds, projected_bounds, united_bounds

LOWEST, HIGHEST = -500.0, 9000.0
"""What an elevation can be on this planet, m: the shore of the Dead Sea lies at -430."""

_ELEVATION = Kind("elevation raster", low=LOWEST, high=HIGHEST)
_UNITS = {
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), 1.0),
    **dict.fromkeys(("dm", "decimetre", "decimeter"), 0.1),
    **dict.fromkeys(("cm", "centimetre", "centimeter"), 0.01),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
    **dict.fromkeys(("us survey foot", "ussft", "us-ft", "ft us"), 1200 / 3937),
}
"""Lengths of the units that elevations are given in, m."""
_AROUND_DEG = 10.0


def elevation_raster(path: str | Path, *, place_needed: bool = True) -> tuple[ForeignRaster, float]:
    """Open a raster of elevations, or a folder of its tiles.

    Parameters
    ----------
    path
        See above; m, or in its band's unit.
    place_needed
        Refuse one without a CRS.

    Returns
    -------
    raster
        What can't be an elevation on this planet is no data in it.
    metres
        Length of its unit, m, by its band's unit or its CRS.

    Raises
    ------
    InputError
        If it can't be opened, has no CRS, or its unit isn't known.
    """
    raster = open_foreign(path, _ELEVATION)
    if place_needed and raster.geobox.crs is None:
        raise InputError(f"{path}: has no CRS; assign one, for example with gdal_edit -a_srs")
    metres = 1.0 if raster.vertical is None else raster.vertical.metres
    unit = (raster.units[0] or "").strip().lower()
    if unit and unit not in _UNITS:
        raise InputError(f"{path}: elevations in {unit!r}; give them in {', '.join(_UNITS)}")
    metres = _UNITS.get(unit, metres)
    limits = replace(_ELEVATION, low=_ELEVATION.low / metres, high=_ELEVATION.high / metres)
    return replace(raster, kind=limits), metres


def elevation_bounds(path: str | Path, crs: str, region: Bounds) -> Bounds | None:
    """Return what an elevation raster covers of a region and 10 degrees around it.

    Parameters
    ----------
    path
        The raster.
    crs
        Reference system of the bounds that are wanted.
    region
        West, south, east and north, degrees; east is over 180 across the antimeridian.

    Returns
    -------
    tuple or None
        Left, bottom, right, top; None if it covers nothing. Beyond the region a raster of the
        whole Earth may not even have a place on the map.

    Raises
    ------
    InputError
        If the raster can't be opened or has no CRS.
    """
    west, south, east, north = region
    around = min(_AROUND_DEG, (360.0 - (east - west)) / 2)
    wide = (
        west - around,
        max(south - _AROUND_DEG, -90.0),
        east + around,
        min(north + _AROUND_DEG, 90.0),
    )
    grid = elevation_raster(path)[0].geobox
    own = grid.crs.to_wkt()
    left, bottom, right, top = grid.boundingbox.bbox
    turns = (-360.0, 0.0, 360.0) if grid.crs.geographic else (0.0,)
    asked = projected_bounds(wide, "EPSG:4326", own)
    if asked is None:
        return None
    shared = [common_bounds((left + turn, bottom, right + turn, top), asked) for turn in turns]
    found = [part for part in shared if part is not None]
    return projected_bounds(united_bounds(found), own, crs, 51) if found else None
