"""An elevation raster and what follows from it, on the grid of a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.mapping.areas import pixel_size
from floodloom.mapping.hand import height_above_drainage
from floodloom.mapping.terrain import slope_degrees
from floodloom.raster.align import onto_grid
from floodloom.raster.parts import part_of
from floodloom.raster.windows import Window
from floodloom.sentinel1.elevation_source import elevation_raster

_MARGIN = 200  # px of the elevation raster around the map, so that water can come from there


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

    def height_on(self, grid: GeoBox, channel_area: float) -> Floats:
        """Return the height above the nearest drainage on a map's grid, (y, x) float32, m.

        `channel_area` is the area, m², from which collected water makes a channel.
        """
        height = height_above_drainage(self.values, self.spacing, channel_area=channel_area)
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
