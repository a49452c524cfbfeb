"""The map grid of an event, from where its scenes lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of, grid_from_bounds, utm_epsg
from floodloom.sentinel1.elevation import METRES_PER_DEGREE, elevation_bounds

_MARGIN_DEG = 0.01
Bounds = tuple[float, float, float, float]


def event_grid(
    footprints: Sequence[Sequence[float]],
    epsg: int | None,
    resolution: float,
    bounds: Sequence[float] | None,
    dem: str | Path | None,
    source: str,
) -> GeoBox:
    """Return the grid that covers scenes as far as there are elevations.

    Parameters
    ----------
    footprints
        West, south, east, north of each scene, degrees.
    epsg
        EPSG code of the grid; the UTM zone of the first scene's centre when None.
    resolution
        Pixel spacing, in the units of the CRS.
    bounds
        Left, bottom, right, top that the grid is kept to, in the units of the CRS.
    dem
        Elevation raster that the grid is kept to.
    source
        Name of the first scene, for messages.

    Returns
    -------
    GeoBox
        Its edges are multiples of the resolution.

    Raises
    ------
    InputError
        If the bounds or the elevations lie elsewhere.
    """
    west, south, east, north = footprints[0]
    code = utm_epsg((west + east) / 2, (south + north) / 2) if epsg is None else epsg
    covered = _union([_projected(footprint, code) for footprint in footprints])
    if dem is not None:
        known = _within(covered, elevation_bounds(dem, f"EPSG:{code}"))
        if known is None:
            raise InputError(f"{dem}: doesn't cover {source}; give elevations of its place")
        covered = known
    if bounds is not None:
        left, bottom, right, top = bounds
        kept = _within(covered, (left, bottom, right, top))
        if kept is None:
            raise InputError(
                f"bounds {tuple(bounds)}: nothing of {source} lies there (EPSG:{code})"
            )
        covered = kept
    return grid_from_bounds(covered, code, resolution)


def footprint_of(scene: xr.Dataset) -> Sequence[float]:
    """Return west, south, east and north of a calibrated or terrain-corrected scene, degrees."""
    if "footprint" in scene.attrs:
        footprint: Sequence[float] = scene.attrs["footprint"]
        return footprint
    box = geobox_of(scene).geographic_extent.boundingbox
    return [box.left, box.bottom, box.right, box.top]


def metres_per_pixel(grid: GeoBox) -> float:
    """Return the spacing of a grid from north to south, m."""
    unit = METRES_PER_DEGREE if grid.crs.geographic else 1.0
    return float(abs(grid.resolution.y)) * unit


def _projected(footprint: Sequence[float], epsg: int) -> Bounds:
    west, south, east, north = footprint
    m = _MARGIN_DEG
    projected: Bounds = transform_bounds(
        "EPSG:4326", f"EPSG:{epsg}", west - m, south - m, east + m, north + m, densify_pts=21
    )
    return projected


def _union(bounds: Sequence[Bounds]) -> Bounds:
    lefts, bottoms, rights, tops = zip(*bounds, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def _within(one: Bounds, other: Bounds) -> Bounds | None:
    left, bottom = max(one[0], other[0]), max(one[1], other[1])
    right, top = min(one[2], other[2]), min(one[3], other[3])
    return (left, bottom, right, top) if left < right and bottom < top else None
