"""Range-Doppler terrain correction: from the radar's image to a map grid.

Every pixel of the grid, lifted to its elevation, is looked up where the radar imaged it.

Source: Small and Schubert (2008), Guide to ASAR geocoding, RSL-ASAR-GC-AD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.raster.flags import Flag
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.terrain import earth_fixed, surface_normals

LOW_ANGLE_DEG = 20.0
_SHADOW_COSINE = 0.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lookup:
    """Where each pixel of a grid lies on the radar's image, and how it is seen.

    All (y, x): `line` and `pixel` float64, NaN where there is no elevation or no image;
    `incidence_angle` float32 degrees against the vertical of the ellipsoid,
    `local_incidence_angle` float32 degrees against the terrain; `flags` uint8.
    """

    line: Floats
    pixel: Floats
    incidence_angle: NDArray[np.float32]
    local_incidence_angle: NDArray[np.float32]
    flags: NDArray[np.uint8]


def build_lookup(geobox: GeoBox, elevation: NDArray[np.float32], geometry: ImageGeometry) -> Lookup:
    """Look up the pixels of a grid on the radar's image.

    Parameters
    ----------
    geobox
        Grid with a CRS.
    elevation
        (y, x) float32, m above the ellipsoid, NaN where unknown.
    geometry
        Geometry of the image.

    Returns
    -------
    Lookup
    """
    points = earth_fixed(geobox, elevation)
    line, pixel, slant_range = geometry.locate(points)
    sight = geometry.line_of_sight(points, line)
    vertical = points / np.linalg.norm(points, axis=-1, keepdims=True)
    incidence = np.degrees(np.arccos(np.clip((sight * vertical).sum(-1), -1, 1)))
    normal = surface_normals(points)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    facing = (sight * normal).sum(-1)
    outside = ~(
        (line >= 0) & (line <= geometry.lines - 1) & (pixel >= 0) & (pixel <= geometry.samples - 1)
    )
    line[outside], pixel[outside] = np.nan, np.nan
    flags = np.zeros(line.shape, dtype=np.uint8)
    flags[_layover(pixel, slant_range, sight, geobox)] |= Flag.LAYOVER.value
    flags[facing <= _SHADOW_COSINE] |= Flag.SHADOW.value
    flags[incidence < LOW_ANGLE_DEG] |= Flag.LOW_ANGLE.value
    flags[outside] = Flag.NODATA.value
    return Lookup(
        line=line,
        pixel=pixel,
        incidence_angle=incidence.astype(np.float32),
        local_incidence_angle=np.degrees(np.arccos(np.clip(facing, -1, 1))).astype(np.float32),
        flags=flags,
    )


def _layover(
    pixel: Floats, slant_range: Floats, sight: Floats, geobox: GeoBox
) -> NDArray[np.bool_]:
    """Active layover: away from the radar on the map, but nearer in slant range."""
    rows, cols = np.gradient(slant_range)
    away_row, away_col = np.gradient(np.nan_to_num(_flat_range(sight, geobox)))
    growth = rows * away_row + cols * away_col
    return np.asarray(growth < 0) & np.isfinite(pixel)


def _flat_range(sight: Floats, geobox: GeoBox) -> Floats:
    """Distance on the map away from the radar, from the mean direction of sight."""
    height, width = geobox.shape.yx
    mean = np.nanmean(sight.reshape(-1, 3), axis=0)
    corner = earth_fixed(geobox[:2, :2], np.zeros((2, 2)))
    per_row, per_col = corner[1, 0] - corner[0, 0], corner[0, 1] - corner[0, 0]
    rows, cols = np.mgrid[:height, :width]
    away = rows * float(per_row @ -mean) + cols * float(per_col @ -mean)
    return np.asarray(away)


def sample_bilinear(
    image: NDArray[np.floating], line: Floats, pixel: Floats
) -> NDArray[np.float32]:
    """Sample an image between its pixels.

    Parameters
    ----------
    image
        (line, pixel) floating, NaN = no data.
    line, pixel
        Any shape, float64; NaN gives NaN.

    Returns
    -------
    ndarray
        float32 of the shape of `line`; NaN where any of the four neighbours is.
    """
    lines, samples = image.shape
    known = np.isfinite(line) & np.isfinite(pixel)
    safe_line, safe_pixel = np.where(known, line, 0.0), np.where(known, pixel, 0.0)
    top = np.clip(safe_line.astype(int), 0, max(lines - 2, 0))
    left = np.clip(safe_pixel.astype(int), 0, max(samples - 2, 0))
    down, right = safe_line - top, safe_pixel - left
    bottom, far = np.minimum(top + 1, lines - 1), np.minimum(left + 1, samples - 1)
    upper = image[top, left] * (1 - right) + image[top, far] * right
    lower = image[bottom, left] * (1 - right) + image[bottom, far] * right
    sampled = upper * (1 - down) + lower * down
    return np.where(known, sampled, np.nan).astype(np.float32)


def sample_flags(flags: NDArray[np.uint8], line: Floats, pixel: Floats) -> NDArray[np.uint8]:
    """Take the flags of the nearest pixel; 0 where line or pixel is NaN."""
    known = np.isfinite(line) & np.isfinite(pixel)
    row = np.rint(np.where(known, line, 0)).astype(int)
    col = np.rint(np.where(known, pixel, 0)).astype(int)
    return np.where(known, flags[row, col], 0).astype(np.uint8)


def window_of(lookup: Lookup) -> tuple[slice, slice] | None:
    """Return the part of the image that a lookup needs, or None if it needs nothing."""
    known = np.isfinite(lookup.line)
    if not known.any():
        return None
    line, pixel = lookup.line[known], lookup.pixel[known]
    return (
        slice(int(line.min()), int(line.max()) + 2),
        slice(int(pixel.min()), int(pixel.max()) + 2),
    )


def geocode_block(
    scene: xr.Dataset, lookup: Lookup, bands: tuple[str, ...]
) -> dict[str, NDArray[np.generic]]:
    """Geocode the bands and flags of a calibrated scene onto the grid of a lookup.

    Parameters
    ----------
    scene
        Calibrated scene with (line, pixel) variables.
    lookup
        Lookup of the grid.
    bands
        Names of the backscatter variables.

    Returns
    -------
    dict
        (y, x) arrays: the bands as float32, `incidence_angle`, `local_incidence_angle`, `flags`.
    """
    layers: dict[str, NDArray[np.generic]] = {
        "incidence_angle": lookup.incidence_angle,
        "local_incidence_angle": lookup.local_incidence_angle,
    }
    flags = lookup.flags.copy()
    window = window_of(lookup)
    if window is None:
        blank = np.full(lookup.line.shape, np.nan, dtype=np.float32)
        return {**dict.fromkeys(bands, blank), **layers, "flags": flags}
    lines, pixels = window
    cut = scene.isel(line=lines, pixel=pixels)
    line, pixel = lookup.line - lines.start, lookup.pixel - pixels.start
    for band in bands:
        layers[band] = sample_bilinear(cut[band].values, line, pixel)
    flags |= sample_flags(cut["flags"].values, line, pixel)
    flags[np.isnan(layers[bands[0]])] |= Flag.NODATA.value
    return {**layers, "flags": flags}
