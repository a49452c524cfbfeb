"""The simulated radar image, summed over the facets of the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.sentinel1.decibel import decibel_to_power
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.orbit import geodetic_to_earth_fixed


def earth_fixed(geobox: GeoBox, elevation: NDArray[np.floating]) -> Doubles:
    """Return the Earth-fixed coordinates of the pixel centres of a grid.

    Parameters
    ----------
    geobox
        Grid with a CRS.
    elevation
        (y, x) heights above the ellipsoid, m.

    Returns
    -------
    ndarray
        (y, x, 3) float64, m; NaN where the elevation is.
    """
    height, width = geobox.shape.yx
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    to_degrees = Transformer.from_crs(geobox.crs.to_wkt(), "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(a * cols + b * rows + c, d * cols + e * rows + f)
    return geodetic_to_earth_fixed(longitude, latitude, np.asarray(elevation, dtype=np.float64))


def surface_normals(points: Doubles) -> Doubles:
    """Return the normals of the surface through a grid of points, their length its area.

    Parameters
    ----------
    points
        (y, x, 3) float64, m, x to the east and y to the south.

    Returns
    -------
    ndarray
        (y, x, 3) float64, m² per pixel, pointing away from the ground.
    """
    east = np.gradient(points, axis=1)
    south = np.gradient(points, axis=0)
    return np.asarray(np.cross(south, east, axis=-1))


def project_facets(
    line: Doubles, pixel: Doubles, weight: Doubles, shape: tuple[int, int], oversampling: int
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


@jit()
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

                    # The part's place on the image, and its share of the facet's weight.
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

                    # It is spread over the four pixels around its place.
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


def illuminated_area(points: Doubles, sight: Doubles) -> Doubles:
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


LOOKS = 4.4
"""Equivalent number of looks of an IW GRDH image."""

CALIBRATION_BETA0 = 474.0
"""Calibration constant of beta0; pixel values are divided by it."""

NESZ_DB = -24.0
"""Noise-equivalent sigma0 in the middle of the swath."""


@dataclass(frozen=True)
class View:
    """How the surface lies to the radar: everything (y, x) that doesn't change between dates.

    `line`, `pixel` float64; `area` float64, illuminated area, m²; `incidence_deg` float64.
    """

    line: Doubles
    pixel: Doubles
    area: Doubles
    incidence_deg: Doubles


def view_surface(points: Doubles, geometry: ImageGeometry) -> View:
    """Look at a surface (y, x, 3), Earth-fixed m, with the geometry of an image."""
    line, pixel, _ = geometry.locate(points)
    sight = geometry.line_of_sight(points, line)
    vertical = points / np.linalg.norm(points, axis=-1, keepdims=True)
    incidence = np.degrees(np.arccos(np.clip((sight * vertical).sum(-1), -1, 1)))
    return View(line, pixel, illuminated_area(points, sight), incidence)


def incidence_of_pixels(view: View, samples: int) -> Doubles:
    """Return the incidence angle of each range sample, degrees: a smooth curve across the swath."""
    known = np.isfinite(view.pixel)
    curve = np.polynomial.Polynomial.fit(
        view.pixel[known][::97], view.incidence_deg[known][::97], 2
    )
    return np.asarray(curve(np.arange(samples)))


def noise_equivalent_sigma0(samples: int) -> Doubles:
    """Return the thermal noise across the swath as sigma0, linear: low in the beam's middle."""
    across = np.linspace(-1, 1, samples)
    return decibel_to_power(NESZ_DB + 2.5 * across**2 - 0.8 * np.cos(5 * across))


def render_sigma0(sigma0: Doubles, view: View, geometry: ImageGeometry) -> Doubles:
    """Return the speckle-free image of a surface's backscatter.

    Parameters
    ----------
    sigma0
        (y, x) float64, linear power on flat ground.
    view
        How the surface lies to the radar.
    geometry
        Geometry of the image.

    Returns
    -------
    ndarray
        (line, pixel) float64, linear power; layover adds up, slopes that face away are dark.
    """
    gamma0 = sigma0 / np.cos(np.radians(view.incidence_deg))
    shape = (geometry.lines, geometry.samples)
    power = project_facets(view.line, view.pixel, gamma0 * view.area, shape, oversampling=3)
    return np.asarray(power / (geometry.range_pixel_spacing * geometry.azimuth_pixel_spacing))


def speckled(sigma0: Doubles, noise: Doubles, seed: int) -> Doubles:
    """Return one date's image: signal and thermal noise, both speckled; linear power."""
    draw = np.random.default_rng(seed)
    return np.asarray((sigma0 + noise) * draw.gamma(LOOKS, 1 / LOOKS, sigma0.shape))


def digital_numbers(power: Doubles, calibration: Doubles) -> NDArray[np.uint16]:
    """Return round(sqrt(power · A²)) as uint16, saturating; A is (pixel,) or of power's shape."""
    dn = np.rint(np.sqrt(power) * calibration)
    return np.clip(dn, 0, 65535).astype(np.uint16)
