"""What ground products cover, and which of them are of one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from floodloom.dates import LONGEST_PASS_S
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.grid import (
    COARSEST_M,
    Bounds,
    common_bounds,
    enclosing_arc,
    geobox_of,
    grid_from_bounds,
    map_crs,
    metres_per_unit,
    projected_outline,
    transformer,
    unit_of,
    united_bounds,
    utm_epsg,
)
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel1.elevation import elevation_bounds

_DEGREES = "EPSG:4326"
MARGIN_DEG = 0.01
"""Around products, whose footprints are those of a level surface."""
_POINTS = 21
_TORN = 0.5


def event_grid(
    footprints: Sequence[Sequence[float]],
    epsg: int | None,
    resolution: float,
    bounds: Sequence[float] | None,
    dem: str | Path | None,
    source: str,
    *,
    margin: float = MARGIN_DEG,
) -> GeoBox:
    """Return the grid that covers scenes as far as there are elevations.

    Parameters
    ----------
    footprints
        West, south, east, north of each scene of every date, degrees; east is over 180 across the
        antimeridian. Their order doesn't matter.
    epsg
        EPSG code of the grid; when None, the UTM zone of the middle of all footprints, or UPS near
        the poles.
    resolution
        Pixel spacing, in the units of the CRS.
    bounds
        Left, bottom, right, top that the grid is kept to, in the units of the CRS.
    dem
        Elevation raster that the grid is kept to.
    source
        Name of the first scene, for messages.
    margin
        Degrees around each footprint; scenes that lie on a map need none.

    Returns
    -------
    GeoBox
        Its edges are multiples of the resolution.

    Raises
    ------
    InputError
        If the CRS is unknown or can't show the scenes in one piece, the bounds or the elevations
        lie elsewhere, or the grid would be absurdly large or its pixels absurdly coarse.
    """
    region = united_footprint(footprints)
    west, south, east, north = region
    code = utm_epsg(_before_180((west + east) / 2), (south + north) / 2) if epsg is None else epsg
    _require_scale(code, resolution)
    covered = united_bounds([_projected(part, region, code, margin) for part in footprints])
    if dem is not None:
        known = elevation_bounds(dem, f"EPSG:{code}", region)
        known = known and common_bounds(covered, known)
        if known is None:
            raise InputError(f"{dem}: doesn't cover {source}; give elevations of its place")
        covered = known
    if bounds is not None:
        left, bottom, right, top = bounds
        kept = common_bounds(covered, (left, bottom, right, top))
        if kept is None:
            raise InputError(
                f"bounds {tuple(bounds)}: nothing of {source} lies there (EPSG:{code}, in "
                f"{unit_of(CRS(code))}s)"
            )
        covered = kept
    return grid_from_bounds(covered, code, resolution)


def footprint_of(scene: xr.Dataset) -> Sequence[float]:
    """Return west, south, east and north of a calibrated or terrain-corrected scene, degrees.

    West lies from −180 to below 180; east is over 180 where the scene crosses the antimeridian.
    """
    if "footprint" in scene.attrs:
        return united_footprint([scene.attrs["footprint"]])
    grid = geobox_of(scene)
    longitude, latitude = np.array(grid.geographic_extent.exterior.coords).T
    west, east = enclosing_arc(longitude, longitude)
    south, north = float(latitude.min()), float(latitude.max())
    if _holds_pole(grid, 90.0):
        return (-180.0, south, 180.0, 90.0)
    if _holds_pole(grid, -90.0):
        return (-180.0, -90.0, 180.0, north)
    return (west, south, east, north)


def united_footprint(footprints: Sequence[Sequence[float]]) -> Bounds:
    """Return west, south, east and north of what holds all footprints, whatever their order."""
    wests, souths, easts, norths = zip(*footprints, strict=True)
    west, east = enclosing_arc(wests, easts)
    return west, min(souths), east, max(norths)


def _holds_pole(grid: GeoBox, latitude: float) -> bool:
    """Whether a pole lies within a grid; in degrees a pole isn't a point but an edge."""
    if grid.crs.geographic:
        return False
    x, y = transformer(_DEGREES, grid.crs.to_wkt()).transform(0.0, latitude)
    if not np.isfinite([x, y]).all():
        return False
    col, row = ~grid.affine @ (x, y)
    height, width = grid.shape.yx
    return bool(0 <= col <= width and 0 <= row <= height)


def _before_180(longitude: float) -> float:
    return longitude - 360.0 if longitude > 180.0 else longitude


def _require_scale(epsg: int, resolution: float) -> None:
    """Refuse pixels of a size that comes of mixing up degrees and metres."""
    map_crs(epsg)
    crs = CRS(epsg)
    metres = resolution * metres_per_unit(crs)
    if metres > COARSEST_M:
        coarsest = round(COARSEST_M / metres_per_unit(crs), 2)
        raise InputError(
            f"resolution {resolution:g} is in {unit_of(crs)}s in EPSG:{epsg}, which makes pixels "
            f"of {metres / 1000:,.0f} km; give one below {coarsest:g}"
        )


def _projected(footprint: Sequence[float], region: Bounds, epsg: int, m: float) -> Bounds:
    """Return the bounds of a footprint and its margin on a map."""
    west, south, east, north = footprint
    turn = 360.0 * np.ceil((region[0] - west) / 360.0)  # as the region counts its longitudes
    west, east = west + turn, east + turn
    box = (west - m, max(south - m, -90.0), east + m, min(north + m, 90.0))
    found = _in_one_piece(box, epsg)
    if found is None and region[2] <= 180.0:  # the margin alone may reach over the map's edge
        found = _in_one_piece((max(box[0], -180.0), box[1], min(box[2], 180.0), box[3]), epsg)
    if found is None:
        raise InputError(
            f"EPSG:{epsg}: can't show the scenes in one piece, they cross 180 degrees or lie "
            "beyond its map; give the code of a UTM zone there, or leave epsg out"
        )
    return found


def _in_one_piece(box: Bounds, epsg: int) -> Bounds | None:
    """Return the bounds of a box in degrees on a map, unless a seam of the map cuts it."""
    if map_crs(epsg).is_geographic and not -180.0 <= box[0] <= box[2] <= 180.0:
        return None
    x, y = projected_outline(box, _DEGREES, f"EPSG:{epsg}", _POINTS)
    if not np.isfinite([x, y]).all():
        return None
    # Neighbouring points of an outline are a twentieth of its side apart, unless a seam lies
    # between them.
    if any(np.abs(np.diff(v, axis=1)).max() > _TORN * np.ptp(v) for v in (x, y)):
        return None
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


_ORBITS = 175

Facts = Mapping[str, object]


def require_one_pass(scenes: Mapping[str, Facts]) -> None:
    """Check that scenes were taken in one pass.

    Parameters
    ----------
    scenes
        By name, what is known of each: `platform`, `acquisition_time`, `orbit_direction`,
        `relative_orbit`. What isn't there isn't compared.

    Raises
    ------
    InputError
        Naming two scenes, and in what they differ.
    """
    for (one, its), (other, others) in combinations(scenes.items(), 2):
        difference = pass_difference(its, others)
        if difference is not None:
            what, first, second = difference
            raise InputError(
                f"{other}: {what} {second}, but {one} has {first}; scenes of one date must be of "
                "one pass: geocode each pass by itself"
            )


def pass_difference(one: Facts, other: Facts) -> tuple[str, str, str] | None:
    """Return in what two scenes show that they are of different passes.

    Parameters
    ----------
    one, other
        See `require_one_pass`.

    Returns
    -------
    tuple or None
        What differs, and both values; None where they may be of one pass. A pass that crosses the
        equator northward goes on under the next relative orbit.
    """
    for name in ("platform", "orbit_direction"):
        first, second = (str(facts.get(name) or "").lower() for facts in (one, other))
        if first and second and first != second:
            return name.replace("_", " "), str(one[name]), str(other[name])
    gap = _seconds_between(one, other)
    if gap is not None and abs(gap) > LONGEST_PASS_S:
        first, second = (str(facts["acquisition_time"])[:19] for facts in (one, other))
        return "acquisition time", first, second
    orbits = [facts.get("relative_orbit") for facts in (one, other)]
    if all(orbits) and orbits[0] != orbits[1] and not _over_the_node(one, other):
        return "relative orbit", str(orbits[0]), str(orbits[1])
    return None


def _over_the_node(one: Facts, other: Facts) -> bool:
    """Whether the later of two scenes of one ascending pass lies on the next relative orbit."""
    gap = _seconds_between(one, other)
    if gap is None:
        return False
    early, late = (one, other) if gap >= 0 else (other, one)
    ascending = str(early.get("orbit_direction") or "ascending").lower() == "ascending"
    following = int(str(early["relative_orbit"])) % _ORBITS + 1
    return ascending and following == int(str(late["relative_orbit"]))


def _seconds_between(one: Facts, other: Facts) -> float | None:
    times = [facts.get("acquisition_time") for facts in (one, other)]
    if not all(times):
        return None
    start, stop = (np.datetime64(str(time), "ns") for time in times)
    return float((stop - start) / np.timedelta64(1, "s"))


def group_by_pass(scenes: Sequence[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Put scenes together that were taken in one pass.

    Parameters
    ----------
    scenes
        Scenes of several dates; what isn't stated in their attributes isn't compared, and one
        whose time isn't known stays alone.

    Returns
    -------
    list of list
        Passes in the order of their first scenes.
    """
    passes: list[list[xr.Dataset]] = []
    for scene in scenes:
        for taken in passes:
            apart = [pass_difference(scene.attrs, part.attrs) for part in taken]
            timed = _seconds_between(scene.attrs, taken[0].attrs) is not None
            if timed and not any(apart):
                taken.append(scene)
                break
        else:
            passes.append([scene])
    return passes


def common_polarisations(scenes: Mapping[str, xr.Dataset]) -> tuple[str, ...]:
    """Return the polarisations that all scenes have, co-polarised first.

    Parameters
    ----------
    scenes
        By name. Those that not all of them have are named in the log.

    Raises
    ------
    InputError
        If they have none in common.
    """
    have = {name: tuple(p for p in POLARISATIONS if p in scene) for name, scene in scenes.items()}
    common = tuple(p for p in POLARISATIONS if all(p in those for those in have.values()))
    examples: dict[tuple[str, ...], str] = {}
    for name, those in have.items():
        examples.setdefault(those, name)
    listed = "; ".join(
        f"{name} has {', '.join(those) or 'none'}" for those, name in examples.items()
    )
    if not common:
        raise InputError(f"{listed}: no polarisation in common; give scenes that share one")
    if len(examples) > 1:
        get_logger(__name__).warning("%s: only %s is used", listed, ", ".join(common))
    return common
