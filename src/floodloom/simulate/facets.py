"""The surface of a landscape as facets, and what they contribute to the radar's image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.sentinel1.ellipsoid import geodetic_to_earth_fixed


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
