"""Elevation on a map grid and its points in the Earth-fixed frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from floodloom.errors import InputError

Floats = NDArray[np.float64]


def elevation_on_grid(path: str | Path, geobox: GeoBox) -> NDArray[np.float32]:
    """Read elevations onto a grid by bilinear interpolation.

    Parameters
    ----------
    path
        Elevation raster, m.
    geobox
        Grid of the scene.

    Returns
    -------
    ndarray
        (y, x) float32, m; NaN where the raster has none.

    Raises
    ------
    InputError
        If the raster can't be opened or has no CRS.
    """
    height, width = geobox.shape.yx
    with (
        _opened(path) as raster,
        WarpedVRT(
            raster,
            crs=geobox.crs.to_wkt(),
            transform=geobox.affine,
            height=height,
            width=width,
            resampling=Resampling.bilinear,
            nodata=np.nan,
            dtype="float32",
        ) as warped,
    ):
        elevation: NDArray[np.float32] = warped.read(1)
    return elevation


def elevation_footprint(path: str | Path, epsg: int) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of an elevation raster in a CRS."""
    with _opened(path) as raster:
        bounds: tuple[float, float, float, float] = transform_bounds(
            raster.crs, f"EPSG:{epsg}", *raster.bounds
        )
    return bounds


def _opened(path: str | Path) -> rasterio.DatasetReader:
    try:
        raster = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable elevation raster ({error})") from error
    if raster.crs is None:
        raster.close()
        raise InputError(f"{path}: has no CRS; assign one, for example with gdal_edit -a_srs")
    return raster


def earth_fixed(geobox: GeoBox, elevation: NDArray[np.floating]) -> Floats:
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


def geodetic_to_earth_fixed(longitude: Floats, latitude: Floats, height: Floats) -> Floats:
    """Convert degrees and metres above WGS 84 to Earth-fixed coordinates (..., 3), m."""
    semi_major, flattening = 6378137.0, 1 / 298.257223563
    eccentricity = flattening * (2 - flattening)
    sine, cosine = np.sin(np.radians(latitude)), np.cos(np.radians(latitude))
    curvature = semi_major / np.sqrt(1 - eccentricity * sine**2)
    around = np.radians(longitude)
    return np.stack(
        [
            (curvature + height) * cosine * np.cos(around),
            (curvature + height) * cosine * np.sin(around),
            (curvature * (1 - eccentricity) + height) * sine,
        ],
        axis=-1,
    )


def surface_normals(points: Floats) -> Floats:
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


def elevation_centre(path: str | Path) -> tuple[float, float]:
    """Return longitude and latitude of the centre of an elevation raster, degrees."""
    left, bottom, right, top = elevation_footprint(path, 4326)
    return (left + right) / 2, (bottom + top) / 2
