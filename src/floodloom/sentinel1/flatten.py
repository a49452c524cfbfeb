"""Radiometric terrain flattening: backscatter per area that the radar really illuminates.

Source: Small (2011), Flattening gamma: radiometric terrain correction for SAR imagery, IEEE TGRS
49(8), section III: the illuminated area of every facet, projected onto the plane perpendicular to
the line of sight, is summed where the radar images it; beta0 divided by that sum is gamma0.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from floodloom.raster.windows import Window
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.resample import Places

SHADOW_SHARE = 0.05
"""Pixels that see less than this share of the area of flat ground are in shadow."""

SUBDIVISION = 3
"""Facets are divided into this many by this many before they are summed, so that the image's
raster doesn't beat with the map's."""

_UNITS_PER_M2 = float(1 << 20)
Floats = NDArray[np.float64]


def flattening_ratio(
    places: Places, area: NDArray[np.float32], window: Window, beta_area: Floats
) -> NDArray[np.float32]:
    """Return by what beta0 is divided to become terrain-flattened gamma0.

    Parameters
    ----------
    places
        Of the facets (y, x), all those that are imaged in the window among them.
    area
        (y, x) float32, what the radar sees of each facet, m², perpendicular to the line of sight.
    window
        Part of the radar's image.
    beta_area
        (sample,) float64, area of the image's pixels in the slant range plane, m².

    Returns
    -------
    ndarray
        (line, pixel) float32 of the window: illuminated area over pixel area. Areas are summed in
        whole units of 2⁻²⁰ m², so that the order of the facets doesn't matter.
    """
    units = np.zeros((window.height, window.width), dtype=np.int64)
    _sum_facets(places.line, places.pixel, area, window.row, window.col, SUBDIVISION, units)
    columns = beta_area[window.col : window.col + window.width]
    return (units / (_UNITS_PER_M2 * columns)).astype(np.float32)


def beta_areas(geometry: ImageGeometry) -> Floats:
    """Return the area of the image's pixels in the slant range plane, (sample,) float64, m².

    The slant range spacing is that of the middle of the image; it changes by less than 0.1 % along
    a scene.
    """
    return np.gradient(geometry.slant_ranges()) * geometry.azimuth_pixel_spacing


def in_shadow(ratio: NDArray[np.float32], incidence_deg: Floats) -> NDArray[np.bool_]:
    """Mark pixels that see less than 5 % of the area of flat ground.

    Parameters
    ----------
    ratio
        (line, pixel) float32, see `flattening_ratio`.
    incidence_deg
        (pixel,) float64, incidence angle of flat ground.
    """
    return np.asarray(ratio < SHADOW_SHARE / np.tan(np.radians(incidence_deg)))


@numba.njit(cache=True, nogil=True)
def _sum_facets(line, pixel, area, first_line, first_pixel, parts, units):  # type: ignore[no-untyped-def]
    """Spread the parts of every facet over the four image pixels around them."""
    lines, samples = units.shape
    for row in range(line.shape[0] - 1):
        for col in range(line.shape[1] - 1):
            if not _near(line, pixel, row, col, first_line, first_pixel, lines, samples):
                continue
            for i in range(parts):
                down = (i + 0.5) / parts
                for j in range(parts):
                    right = (j + 0.5) / parts
                    weight = _inside(area, row, col, down, right) / (parts * parts)
                    y = _inside(line, row, col, down, right)
                    x = _inside(pixel, row, col, down, right)
                    if not weight > 0.0:
                        continue
                    top, left = int(np.floor(y)), int(np.floor(x))
                    below, beside = y - top, x - left
                    top, left = top - first_line, left - first_pixel
                    if top < -1 or left < -1 or top >= lines or left >= samples:
                        continue
                    for a in range(2):
                        share = weight * (below if a else 1.0 - below) * _UNITS_PER_M2
                        if not 0 <= top + a < lines:
                            continue
                        if left >= 0:
                            units[top + a, left] += int(share * (1.0 - beside) + 0.5)
                        if left + 1 < samples:
                            units[top + a, left + 1] += int(share * beside + 0.5)


@numba.njit(cache=True, nogil=True, inline="always")
def _inside(values, row, col, down, right):  # type: ignore[no-untyped-def]
    upper = values[row, col] * (1.0 - right) + values[row, col + 1] * right
    lower = values[row + 1, col] * (1.0 - right) + values[row + 1, col + 1] * right
    return upper * (1.0 - down) + lower * down


@numba.njit(cache=True, nogil=True, inline="always")
def _near(line, pixel, row, col, first_line, first_pixel, lines, samples):  # type: ignore[no-untyped-def]
    """Whether a facet may reach into the window; False where a corner is unknown."""
    y, x = line[row : row + 2, col : col + 2], pixel[row : row + 2, col : col + 2]
    return (
        _span(y, first_line - 1.0, first_line + lines)
        and _span(x, first_pixel - 1.0, first_pixel + samples)
    )  # fmt: skip


@numba.njit(cache=True, nogil=True, inline="always")
def _span(corners, first, last):  # type: ignore[no-untyped-def]
    """Whether four corners are known and their span overlaps an interval."""
    a, b, c, d = corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1]
    if np.isnan(a + b + c + d):
        return False
    return max(a, b, c, d) > first and min(a, b, c, d) < last
