"""A foreign raster on the grid of a scene or map, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from floodloom.arrays import Floats
from floodloom.log import get_logger
from floodloom.raster.align import require_relation, resample_onto, whole_shift
from floodloom.raster.foreign import ForeignRaster
from floodloom.raster.parts import part_of
from floodloom.raster.windows import Window

_MOST_PX = 1 << 26  # read at once

Code = Callable[[Floats], NDArray[Any]]


def place_raster(
    raster: ForeignRaster,
    grid: GeoBox,
    code: Code | None = None,
    *,
    nodata: float = math.nan,
    resampling: Resampling = Resampling.nearest,
    band: int = 1,
    log: bool = True,
) -> NDArray[Any]:
    """Bring a band of a foreign raster onto a grid.

    Parameters
    ----------
    raster
        Where it comes from.
    grid
        Where it is wanted; without a CRS, the raster must have none either and be of its size.
    code
        From numbers (y, x) float32, NaN = unknown, to what is wanted of them, such as classes; the
        numbers themselves by default.
    nodata
        What stands for unknown in what `code` gives, also outside the raster.
    resampling
        How values are found between pixels.
    band
        Number of the band, from 1.
    log
        Log that it was resampled, and how many of its numbers couldn't be of its kind; without,
        for one who asks piece by piece.

    Returns
    -------
    ndarray
        (y, x), of the dtype that `code` gives. Numbers that can't be of the raster's kind are
        unknown.

    Raises
    ------
    InputError
        If the raster can't be related to the grid, or a file is damaged.
    """
    require_relation(raster.geobox, grid, raster.path)
    placing = _Placing(raster, code or _as_they_are, nodata, resampling, band)
    found = placing.onto(grid)
    if log:
        placing.report(grid)
    return found


@dataclass
class _Placing:
    """What is brought, how, and what was met on the way: `impossible` numbers, and one of them."""

    raster: ForeignRaster
    code: Code
    nodata: float
    resampling: Resampling
    band: int
    impossible: int = 0
    example: float = field(default=math.nan)

    def onto(self, grid: GeoBox) -> NDArray[Any]:
        """Bring the raster onto a piece, in quarters where that needs too much of it at once."""
        if grid.crs is None:
            return self._coded(None)
        part = part_of(self.raster.geobox, grid)
        if part is None:
            return np.full(tuple(grid.shape.yx), self.nodata, dtype=self._dtype())
        if part.height * part.width > _MOST_PX and max(grid.shape.yx) > 1:
            result = np.empty(tuple(grid.shape.yx), dtype=self._dtype())
            for quarter in _quarters(*grid.shape.yx):
                result[quarter] = self.onto(grid[quarter])
            return result
        whole = self.raster.geobox
        source = whole[part.slices]
        return resample_onto(self._coded(part), source, grid, self.nodata, self.resampling, whole)

    def _coded(self, part: Window | None) -> NDArray[Any]:
        numbers = self.raster.numbers(part, self.band)
        impossible = self.raster.kind.impossible(numbers)
        if impossible.any():
            self.impossible += int(impossible.sum())
            self.example = float(numbers[impossible][0])
            numbers[impossible] = np.nan
        return self.code(numbers)

    def _dtype(self) -> np.dtype[Any]:
        return self.code(np.full((1, 1), np.nan, dtype=np.float32)).dtype

    def report(self, grid: GeoBox) -> None:
        """Log what was met."""
        if self.impossible:
            get_logger(__name__).warning(
                "%s: %d px can't be %s, such as %g; taken as unknown",
                self.raster.path, self.impossible, self.raster.kind.what, self.example,
            )  # fmt: skip
        if grid.crs is not None and whole_shift(self.raster.geobox, grid) is None:
            get_logger(__name__).warning(
                "%s: on another grid; reprojected, %s", self.raster.path, self.resampling.name
            )


def _as_they_are(numbers: Floats) -> Floats:
    return numbers


def _quarters(height: int, width: int) -> list[tuple[slice, slice]]:
    rows, cols = (
        [slice(0, (n + 1) // 2), slice((n + 1) // 2, n)] if n > 1 else [slice(0, n)]
        for n in (height, width)
    )
    return [(row, col) for row in rows for col in cols]
