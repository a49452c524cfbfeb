"""Elevation, slope and height above the nearest drainage, on the grid of a map."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.align import part_of
from floodloom.raster.areas import pixel_size
from floodloom.raster.drainage import end_at_channels, flow_directions, heights_above_ends
from floodloom.raster.placing import rows_onto_grid
from floodloom.raster.rows import STRIP, ReadRows, RememberedRows, Rows, around
from floodloom.raster.windows import Window
from floodloom.sentinel1.elevation import elevation_raster


def slope_degrees(elevation: Floats, spacing: tuple[float, float]) -> Floats:
    """Return the slope by central differences.

    Parameters
    ----------
    elevation
        (y, x) float32, m, NaN = no data; at least 2 px along each side.
    spacing
        Width and height of a pixel, m.

    Returns
    -------
    ndarray
        (y, x) float32, degrees; NaN where a neighbour has no data.
    """
    down, across = np.gradient(elevation.astype(np.float64), spacing[1], spacing[0])
    degrees = np.degrees(np.arctan(np.hypot(down, across)))
    return np.asarray(degrees, dtype=np.float32)


def height_above_drainage(
    elevation: Floats,
    spacing: tuple[float, float],
    *,
    channel_area: float,
    water: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the height of each pixel above the channel that it drains to.

    Parameters
    ----------
    elevation
        (y, x) float32, m, NaN = no data.
    spacing
        Width and height of a pixel, m.
    channel_area
        Area from which collected water makes a channel, m².
    water
        (y, x) bool: known water, which counts as channel.

    Returns
    -------
    ndarray
        (y, x) float32, m, 0 or more; NaN where the elevation is. Pixels that drain off the raster
        before they meet a channel are measured from where they leave it.
    """
    directions = flow_directions(elevation, *(float(side) for side in spacing))
    pixels = int(np.ceil(channel_area / (spacing[0] * spacing[1])))
    known = np.zeros((0, 0), dtype=bool) if water is None else np.asarray(water)
    end_at_channels(directions, pixels, known)
    found: Floats = heights_above_ends(elevation, directions)
    return found


_MARGIN = 200  # px of the elevation raster around the map, so that water can come from there
_CHANNEL_AREA = 1e6  # m² that drain into a channel: brooks count, furrows and ditches don't


_MOST_ROUTED = 80_000_000  # px, of 13 bytes: a scene's rectangle and its margin at 30 m
_log = get_logger(__name__)


@dataclass(frozen=True)
class Elevation:
    """Elevation, m, (y, x) float32 with NaN = no data, on its own grid, and its file's name."""

    values: Rows
    geobox: GeoBox
    name: str

    @property
    def spacing(self) -> tuple[float, float]:
        """Width and height of a pixel, m; those of the grid's own units without a CRS."""
        return _spacing(self.geobox)

    def on(self, grid: GeoBox) -> Rows:
        """Return the elevation on a map's grid, (y, x) float32, m."""
        return self._moved(self.values, self.geobox, grid)

    def slope_on(self, grid: GeoBox) -> Rows:
        """Return the slope on a map's grid, (y, x) float32, degrees."""

        def read(start: int, stop: int) -> Floats:
            values, inner = around(self.values, start, stop, 1)
            return slope_degrees(values, self.spacing)[inner]

        height, width = self.values.shape
        return self._moved(RememberedRows(ReadRows((height, width), read)), self.geobox, grid)

    def height_on(self, grid: GeoBox) -> Rows:
        """Return the height above the nearest drainage on a map's grid, (y, x) float32, m.

        Water comes from anywhere, so that is found for all of the elevation at once, on its own
        grid; of a finer raster than 80 million pixels on means of so many in a row and a column
        that it is no finer.
        """
        side = math.ceil(math.sqrt(math.prod(self.values.shape) / _MOST_ROUTED))
        geobox = self.geobox
        if side > 1:
            _log.info("%s: height above drainage on means of %d x %d px", self.name, side, side)
            shape = tuple(-(-pixels // side) for pixels in geobox.shape.yx)
            geobox = GeoBox(shape, geobox.affine @ Affine.scale(side), geobox.crs)

        def routed() -> Floats:
            spacing = _spacing(geobox)
            values = self._mean(side)
            return height_above_drainage(values, spacing, channel_area=_CHANNEL_AREA)

        # It takes a core some time, and is asked for after other things.
        pool = ThreadPoolExecutor(1)
        height = pool.submit(routed)
        pool.shutdown(wait=False)
        rows, cols = geobox.shape.yx
        layer = ReadRows((rows, cols), lambda start, stop: height.result()[start:stop])
        return self._moved(layer, geobox, grid)

    def _mean(self, side: int) -> Floats:
        """Return the mean of squares of so many pixels along a side."""
        if side == 1:
            return self.values[:]
        tall = max(STRIP // side, 1) * side
        starts = range(0, self.values.shape[0], tall)
        return np.concatenate([mean_of_squares(self.values[a : a + tall], side) for a in starts])

    def _moved(self, values: Rows, source: GeoBox, grid: GeoBox) -> Rows:
        return rows_onto_grid(
            values, source, grid, np.nan, self.name, resampling=Resampling.bilinear
        )


def _spacing(geobox: GeoBox) -> tuple[float, float]:
    return pixel_size(geobox) or (abs(geobox.affine.a), abs(geobox.affine.e))


def mean_of_squares(values: Floats, side: int) -> Floats:
    """Return the mean of squares of pixels, of those with data.

    Parameters
    ----------
    values
        (y, x) float32, NaN = no data.
    side
        Of a square, px; those at the lower and right edge may be smaller.
    """
    height, width = (-(-n // side) * side for n in values.shape)
    padded = np.full((height, width), np.nan, dtype=np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    squares = padded.reshape(height // side, side, width // side, side)
    known = np.isfinite(squares)
    total = np.where(known, squares, 0).sum(axis=(1, 3), dtype=np.float64)
    count = known.sum(axis=(1, 3))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.asarray(mean, dtype=np.float32)


def read_elevation(path: str | Path, grid: GeoBox) -> Elevation:
    """Open the part of an elevation raster that a map needs.

    Parameters
    ----------
    path
        Raster of elevation, m.
    grid
        Grid of the map; some ground around it is read, too.

    Raises
    ------
    InputError
        If the raster can't be read or has no pixel on the map.
    """
    raster, metres = elevation_raster(path, place_needed=False)
    part: Window | None = Window(0, 0, *raster.geobox.shape.yx)
    if grid.crs is not None and raster.geobox.crs is not None:
        part = part_of(raster.geobox, grid, margin=_MARGIN)
    if part is None:
        raise InputError(f"{path}: doesn't cover the map; give elevation of its ground")
    row, col, height, width = part.row, part.col, part.height, part.width

    def read(start: int, stop: int) -> Floats:
        window = Window(row + start, col, stop - start, width)
        return raster.read(window) * np.float32(metres)

    return Elevation(ReadRows((height, width), read), raster.geobox[part.slices], str(path))
