"""The part that is mapped: around a place, within a box, or around polygons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from floodloom.errors import InputError
from floodloom.prepare.settings import Area
from floodloom.raster.features import read_features
from floodloom.raster.grid import METRES_PER_DEGREE, Bounds, enclosing_arc
from floodloom.texts import brief

_WORLD = "EPSG:4326"
_LARGEST_KM = 2000.0


def box_of(area: Area) -> Bounds | None:
    """Return west, south, east and north of what is mapped, degrees, or None for all there is.

    Parameters
    ----------
    area
        At most one of its fields may be given.

    Returns
    -------
    tuple or None
        East is over 180 across the antimeridian.

    Raises
    ------
    InputError
        If more than one is given, one isn't numbers that are places, or the file can't be read or
        has no CRS.
    """
    given = [name for name in ("bbox", "aoi", "place") if getattr(area, name) is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: give one of them")
    if area.bbox is not None:
        return _box(area.bbox)
    if area.place is not None:
        return _around(area.place)
    return None if area.aoi is None else _of_polygons(area)


def _box(text: str) -> Bounds:
    west, south, east, north = _numbers(text, "bbox", "W,S,E,N", 4)
    east += 360.0 if east < west else 0.0
    if not (west < east <= west + 360.0 and south < north):
        raise InputError(f"bbox {brief(text)}: no area; give west,south,east,north in degrees")
    _require_places("bbox", text, [west, east - 360.0 if east > 180.0 else east], [south, north])
    return west, south, east, north


def _around(text: str) -> Bounds:
    longitude, latitude, km = _numbers(text, "place", "lon,lat,km", 3)
    _require_places("place", text, [longitude], [latitude])
    if not 0.0 < km <= _LARGEST_KM:
        raise InputError(f"place {brief(text)}: {km:g} km; give more than 0, at most 2000")
    high = 1000.0 * km / METRES_PER_DEGREE
    south, north = max(latitude - high, -90.0), min(latitude + high, 90.0)
    widest = math.cos(math.radians(max(abs(south), abs(north))))
    wide = min(high / widest, 180.0) if widest > 0 else 180.0
    return longitude - wide, south, longitude + wide, north


def _of_polygons(area: Area) -> Bounds:
    shapes = read_features(str(area.aoi), "file of polygons")
    if shapes.crs is None:
        raise InputError(f"{area.aoi}: has no CRS; state one")
    bounds = shapes.geometry.to_crs(_WORLD).bounds.dropna().to_numpy()
    if not len(bounds) or not np.isfinite(bounds).all():
        raise InputError(f"{area.aoi}: holds no place; give polygons")
    west, east = enclosing_arc(bounds[:, 0], bounds[:, 2])
    return west, float(bounds[:, 1].min()), east, float(bounds[:, 3].max())


def _numbers(text: str, name: str, form: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise InputError(f"{name} {brief(text)}: not {count} numbers; give {form}")
    return found


def _require_places(
    name: str, text: str, longitudes: Sequence[float], latitudes: Sequence[float]
) -> None:
    if any(abs(value) > 180.0 for value in longitudes) or any(abs(v) > 90.0 for v in latitudes):
        raise InputError(
            f"{name} {brief(text)}: no place on Earth; longitude comes first, both in degrees"
        )
