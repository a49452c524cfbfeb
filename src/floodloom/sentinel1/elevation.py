"""Elevations above the ellipsoid on any window of a map grid, the same whatever the window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow

from floodloom.errors import InputError
from floodloom.kernels import compiled
from floodloom.raster.places import transformer
from floodloom.raster.windows import Window
from floodloom.sentinel1.heights import geoid_undulation, require_datum
from floodloom.sentinel1.lattice import between_rows, places_of_nodes

METRES_PER_DEGREE = 111_320.0
"""Length of a degree of latitude, about."""

_STRIP = 2048
_FINEST = float(1 << 20)  # a raster that shares the grid's pixels is taken as it is
Floats = NDArray[np.float64]
Elevations = NDArray[np.float32]


@dataclass(frozen=True)
class ConstantHeight:
    """An ellipsoid at one height, where there is no elevation model."""

    height: float

    def read(self, geobox: GeoBox, window: Window, step: int) -> Elevations:
        """Return the height at every pixel of a window, (y, x) float32, m."""
        return np.full((window.height, window.width), self.height, dtype=np.float32)

    def height_range(self, geobox: GeoBox, step: int) -> tuple[float, float]:
        """Return the height twice."""
        return self.height, self.height


@dataclass(frozen=True)
class ElevationModel:
    """A raster of elevations above a vertical datum.

    `average` raster pixels in a row and in a column are averaged before anything else, where the
    raster is finer than the grid; `to_pixels` gives columns and rows of these averages.
    """

    path: str
    height: int
    width: int
    to_pixels: tuple[float, float, float, float, float, float]
    crs: str
    datum: str = "ellipsoid"
    average: int = 1

    def read(self, geobox: GeoBox, window: Window, step: int) -> Elevations:
        """Read elevations at the pixel centres of a window.

        Parameters
        ----------
        geobox
            The whole grid.
        window
            Part of it; may reach beyond its edges.
        step
            Pixels between the nodes at which coordinates are transformed exactly; bilinear between.

        Returns
        -------
        ndarray
            (y, x) float32, m above the ellipsoid, bilinear; NaN where the raster has none.
        """
        rows, cols, places = places_of_nodes(geobox, window, step)
        nodes = self._nodes(*places)
        values, top, left = self._around(nodes)
        elevation = np.empty((window.height, window.width), dtype=np.float32)
        start = window.row - rows[0], window.col - cols[0]
        size = self.height // self.average, self.width // self.average
        _sample(values, top, left, *size, nodes, *start, step, elevation)
        return elevation

    def height_range(self, geobox: GeoBox, step: int) -> tuple[float, float]:
        """Return the least and the greatest elevation on a grid, m above the ellipsoid.

        Raises
        ------
        InputError
            If the raster has no elevation there.
        """
        height, width = geobox.shape.yx
        low, high = np.inf, -np.inf
        for row in range(0, height, _STRIP):
            window = Window(row, 0, min(_STRIP, height - row), width)
            _, _, places = places_of_nodes(geobox, window, step)
            nodes = self._nodes(*places)
            values, _, _ = self._around(nodes)
            known = values[np.isfinite(values)]
            if known.size:
                low = min(low, float(known.min() + nodes[..., 2].min()))
                high = max(high, float(known.max() + nodes[..., 2].max()))
        if low > high:
            raise InputError(f"{self.path}: doesn't cover the scene; give elevations of its place")
        return low, high

    def _nodes(self, longitude: Floats, latitude: Floats) -> Floats:
        """Return raster row, raster column and undulation (m) at places, (y, x, 3)."""
        x, y = transformer("EPSG:4326", self.crs).transform(longitude, latitude)
        a, b, c, d, e, f = self.to_pixels
        col, row = a * x + b * y + c - 0.5, d * x + e * y + f - 0.5
        return np.stack([row, col, geoid_undulation(longitude, latitude, self.datum)], axis=-1)

    def _around(self, nodes: Floats) -> tuple[Elevations, int, int]:
        """Read the part of the raster that a window needs, and where it begins."""
        k = self.average
        top, left = (max(int(np.floor(nodes[..., i].min())) - 1, 0) for i in (0, 1))
        bottom = min(int(np.ceil(nodes[..., 0].max())) + 2, self.height // k)
        right = min(int(np.ceil(nodes[..., 1].max())) + 2, self.width // k)
        if bottom <= top or right <= left:
            return np.full((1, 1), np.nan, dtype=np.float32), 0, 0
        window = RasterWindow(left * k, top * k, (right - left) * k, (bottom - top) * k)
        with rasterio.open(self.path) as raster:
            values = raster.read(1, window=window, masked=True).astype(np.float32)
        filled = np.ma.filled(values, np.nan)
        if k > 1:
            shape = (bottom - top, k, right - left, k)
            filled = filled.reshape(shape).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
        return filled, top, left


def open_elevation(path: str | Path, datum: str, resolution_m: float) -> ElevationModel:
    """Open a raster of elevations.

    Parameters
    ----------
    path
        Raster, m.
    datum
        What its heights are measured from: ellipsoid, egm96 or egm2008.
    resolution_m
        Spacing of the grid that it is read onto.

    Returns
    -------
    ElevationModel

    Raises
    ------
    InputError
        If the raster can't be opened or has no CRS, or its heights can't be converted.
    """
    require_datum(datum)
    with _opened(path) as raster:
        unit = METRES_PER_DEGREE if raster.crs.is_geographic else raster.crs.linear_units_factor[1]
        average = max(int(resolution_m // (abs(raster.transform.e) * unit * 1.5)), 1)
        scaled = raster.transform @ raster.transform.scale(average)
        return ElevationModel(
            path=str(path),
            height=raster.height,
            width=raster.width,
            to_pixels=tuple(~scaled)[:6],
            crs=raster.crs.to_wkt(),
            datum=datum,
            average=average,
        )


def _opened(path: str | Path) -> rasterio.DatasetReader:
    try:
        raster = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable elevation raster ({error})") from error
    if raster.crs is None:
        raster.close()
        raise InputError(f"{path}: has no CRS; assign one, for example with gdal_edit -a_srs")
    return raster


def elevation_bounds(path: str | Path, crs: str) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of an elevation raster in a CRS.

    Raises
    ------
    InputError
        If the raster can't be opened or has no CRS.
    """
    with _opened(path) as raster:
        bounds: tuple[float, float, float, float] = transform_bounds(
            raster.crs, crs, *raster.bounds, densify_pts=51
        )
    return bounds


@compiled()
def _sample(  # type: ignore[no-untyped-def]
    values, top, left, height, width, nodes, row, col, step, elevation
):
    between = np.empty((nodes.shape[1], 3))
    last_row, last_col = values.shape[0] - 1, values.shape[1] - 1
    for y in range(elevation.shape[0]):
        between_rows(nodes, (row + y) / step, between)
        for x in range(elevation.shape[1]):
            position = (col + x) / step
            node = min(int(position), nodes.shape[1] - 2)
            w = position - node
            r = between[node, 0] * (1 - w) + between[node + 1, 0] * w
            c = between[node, 1] * (1 - w) + between[node + 1, 1] * w
            up = between[node, 2] * (1 - w) + between[node + 1, 2] * w
            elevation[y, x] = np.nan
            if not (-0.5 <= r <= height - 0.5 and -0.5 <= c <= width - 0.5):
                continue
            r = np.rint(min(max(r, 0.0), height - 1.0) * _FINEST) / _FINEST
            c = np.rint(min(max(c, 0.0), width - 1.0) * _FINEST) / _FINEST
            down, right = r - np.floor(r), c - np.floor(c)
            i, j = int(r) - top, int(c) - left
            i_next = min(i + 1, last_row) if down > 0.0 else i
            j_next = min(j + 1, last_col) if right > 0.0 else j
            upper = values[i, j] * (1 - right) + values[i, j_next] * right
            lower = values[i_next, j] * (1 - right) + values[i_next, j_next] * right
            elevation[y, x] = upper * (1 - down) + lower * down + up
