"""Places on the Earth: transformations between reference systems, and longitudes, which wrap."""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from floodloom.arrays import Doubles
from floodloom.errors import InputError

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


def map_crs(epsg: int) -> CRS:
    """Return the reference system of a map.

    Raises
    ------
    InputError
        If the code is unknown, or not that of a map: geocentric, vertical or local.
    """
    try:
        crs = CRS.from_epsg(epsg)
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
    if CRS(target).is_geographic:
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
