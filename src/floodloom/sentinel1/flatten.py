"""Radiometric terrain flattening: backscatter per area that the radar really illuminates.

Source: Small (2011), Flattening gamma: radiometric terrain correction for SAR imagery, IEEE TGRS
49(8), section III: the illuminated area of every facet, projected onto the plane perpendicular to
the line of sight, is summed where the radar images it; beta0 divided by that sum is gamma0.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.terrain import surface_normals

SHADOW_SHARE = 0.05
"""Pixels that see less than this share of the area of flat ground are in shadow."""

Floats = NDArray[np.float64]


def project_facets(
    line: Floats, pixel: Floats, weight: Floats, shape: tuple[int, int], oversampling: int
) -> NDArray[np.float64]:
    """Sum what the facets of a surface contribute to the pixels of the radar's image.

    Parameters
    ----------
    line, pixel
        (y, x) float64 places of the facets' centres on the image.
    weight
        (y, x) float64, contribution of each facet; NaN contributes nothing.
    shape
        Lines and pixels of the image.
    oversampling
        Facets are divided into this many by this many, places and weights interpolated, so that
        the image's raster doesn't beat with the map's.

    Returns
    -------
    ndarray
        (line, pixel) float64.
    """
    image = np.zeros(shape)
    _splat(line, pixel, weight, image, oversampling)
    return image


@numba.njit(cache=True, nogil=True)
def _splat(line, pixel, weight, image, oversampling):  # type: ignore[no-untyped-def]
    height, width = line.shape
    lines, samples = image.shape
    share = 1.0 / (oversampling * oversampling)
    for row in range(height - 1):
        for col in range(width - 1):
            for i in range(oversampling):
                down = (i + 0.5) / oversampling
                for j in range(oversampling):
                    right = (j + 0.5) / oversampling
                    a = (1 - down) * (1 - right)
                    b = (1 - down) * right
                    c = down * (1 - right)
                    d = down * right
                    y = (
                        a * line[row, col]
                        + b * line[row, col + 1]
                        + c * line[row + 1, col]
                        + d * line[row + 1, col + 1]
                    )
                    x = (
                        a * pixel[row, col]
                        + b * pixel[row, col + 1]
                        + c * pixel[row + 1, col]
                        + d * pixel[row + 1, col + 1]
                    )
                    w = (
                        a * weight[row, col]
                        + b * weight[row, col + 1]
                        + c * weight[row + 1, col]
                        + d * weight[row + 1, col + 1]
                    ) * share
                    if not (w > 0 and y > -1 and y < lines and x > -1 and x < samples):
                        continue
                    top = int(np.floor(y))
                    left = int(np.floor(x))
                    below = y - top
                    beside = x - left
                    if top >= 0 and left >= 0:
                        image[top, left] += w * (1 - below) * (1 - beside)
                    if top >= 0 and left + 1 < samples:
                        image[top, left + 1] += w * (1 - below) * beside
                    if top + 1 < lines and left >= 0:
                        image[top + 1, left] += w * below * (1 - beside)
                    if top + 1 < lines and left + 1 < samples:
                        image[top + 1, left + 1] += w * below * beside


def illuminated_area(points: Floats, sight: Floats) -> Floats:
    """Return the area of each facet that faces the radar, perpendicular to the line of sight, m².

    Parameters
    ----------
    points
        (y, x, 3) float64, Earth-fixed, m.
    sight
        (y, x, 3) float64, unit vectors to the satellite.

    Returns
    -------
    ndarray
        (y, x) float64; 0 where a facet faces away.
    """
    return np.asarray(np.maximum((surface_normals(points) * sight).sum(-1), 0.0))


def beta_area(geometry: ImageGeometry, incidence_deg: float) -> float:
    """Return the area of an image pixel in the slant range plane, m²."""
    slant = geometry.range_pixel_spacing * np.sin(np.radians(incidence_deg))
    return float(slant * geometry.azimuth_pixel_spacing)


def flattening_ratio(
    points: Floats, geometry: ImageGeometry, oversampling: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return by what beta0 is divided to become terrain-flattened gamma0.

    Parameters
    ----------
    points
        (y, x, 3) float64, Earth-fixed surface that covers the image, m.
    geometry
        Geometry of the image.
    oversampling
        See `project_facets`.

    Returns
    -------
    ratio
        (line, pixel) float32: illuminated area over pixel area; NaN where the surface is missing
        or in shadow.
    shadow
        (line, pixel) bool: sees less than 5 % of the area of flat ground.
    """
    line, pixel, _ = geometry.locate(points)
    sight = geometry.line_of_sight(points, line)
    vertical = points / np.linalg.norm(points, axis=-1, keepdims=True)
    incidence = np.degrees(np.arccos((sight * vertical).sum(-1)))
    shape = (geometry.lines, geometry.samples)
    area = project_facets(line, pixel, illuminated_area(points, sight), shape, oversampling)
    mean_incidence = float(np.nanmean(incidence))
    ratio = area / beta_area(geometry, mean_incidence)
    shadow = ratio < SHADOW_SHARE / np.tan(np.radians(mean_incidence))
    return np.where(shadow, np.nan, ratio).astype(np.float32), shadow
