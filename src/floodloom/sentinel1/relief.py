"""Elevation, slope and height above the nearest drainage, on the grid of a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.raster.align import onto_grid, part_of
from floodloom.raster.areas import pixel_size
from floodloom.raster.drainage import OUTLET, accumulate, fill_depressions, steepest_receivers
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
    filled, order = fill_depressions(np.asarray(elevation, dtype=np.float64))
    receiver = steepest_receivers(filled, order, spacing[0], spacing[1])
    upstream = accumulate(receiver, order)
    channel = upstream * (spacing[0] * spacing[1]) >= channel_area
    if water is not None:
        channel |= water.ravel()
    height = _heights(np.asarray(elevation, np.float64).ravel(), receiver, order, channel)
    return np.asarray(height.reshape(elevation.shape), dtype=np.float32)


@jit()
def _heights(elevation, receiver, order, channel):  # type: ignore[no-untyped-def]
    base = np.full(elevation.size, np.nan)
    height = np.full(elevation.size, np.nan)
    for place in order:
        drains = receiver[place] != OUTLET and not channel[place]
        base[place] = base[receiver[place]] if drains else elevation[place]
        height[place] = max(elevation[place] - base[place], 0.0)
    return height


_MARGIN = 200  # px of the elevation raster around the map, so that water can come from there
_CHANNEL_AREA = 1e6  # m² that drain into a channel: brooks count, furrows and ditches don't


@dataclass(frozen=True)
class Elevation:
    """Elevation, m, (y, x) float32 with NaN = no data, on its own grid, and its file's name."""

    values: Floats
    geobox: GeoBox
    name: str

    @property
    def spacing(self) -> tuple[float, float]:
        """Width and height of a pixel, m; those of the grid's own units without a CRS."""
        affine = self.geobox.affine
        return pixel_size(self.geobox) or (abs(affine.a), abs(affine.e))

    def on(self, grid: GeoBox) -> Floats:
        """Return the elevation on a map's grid, (y, x) float32, m."""
        return self._moved(self.values, grid)

    def slope_on(self, grid: GeoBox) -> Floats:
        """Return the slope on a map's grid, (y, x) float32, degrees."""
        return self._moved(slope_degrees(self.values, self.spacing), grid)

    def height_on(self, grid: GeoBox) -> Floats:
        """Return the height above the nearest drainage on a map's grid, (y, x) float32, m."""
        height = height_above_drainage(self.values, self.spacing, channel_area=_CHANNEL_AREA)
        return self._moved(height, grid)

    def _moved(self, values: Floats, grid: GeoBox) -> Floats:
        return onto_grid(
            values, self.geobox, grid, np.nan, self.name, resampling=Resampling.bilinear
        )


def read_elevation(path: str | Path, grid: GeoBox) -> Elevation:
    """Read the part of an elevation raster that a map needs.

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
    values = raster.read(part) * np.float32(metres)
    return Elevation(values, raster.geobox[part.slices], str(path))
