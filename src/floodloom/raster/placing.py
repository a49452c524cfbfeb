"""Foreign rasters on a grid, placed by what they state of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.enums import Resampling

from floodloom.arrays import NODATA, Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.align import (
    join_grids,
    onto_grid,
    part_of,
    reproject_layer,
    require_relation,
    resample_onto,
    whole_shift,
)
from floodloom.raster.foreign import ForeignRaster, Kind
from floodloom.raster.grid import geobox_of
from floodloom.raster.windows import Window, require_pixels

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


_FULL = 255
_STRIP = 1024


def require_no_mask(raster: ForeignRaster) -> None:
    """Refuse a raster of 0 and 255 that doesn't declare whether 255 is water or no data.

    Parameters
    ----------
    raster
        In which all that is known is 0, where it was looked at.

    Raises
    ------
    InputError
        If it holds 255 beside 0 and nothing else, and doesn't declare it as no data.
    """
    if raster.nodata == _FULL:
        return
    full = False
    for numbers in strips(replace(raster, kind=Kind(raster.kind.what))):
        known = numbers[np.isfinite(numbers)]
        if ((known != 0) & (known != _FULL)).any():
            return
        full = full or bool((known == _FULL).any())
    if full:
        raise InputError(
            f"{raster.path}: holds 0 and 255 alone; is 255 water, or no data? Declare it as no "
            "data (gdal_edit -a_nodata 255), or write water as 1 or as 100 percent"
        )


def strips(raster: ForeignRaster) -> Iterator[Floats]:
    """Give the first band of a raster from top to bottom, (y, x) float32 as `numbers` gives it."""
    height, width = raster.geobox.shape.yx
    for row in range(0, height, _STRIP):
        yield raster.numbers(Window(row, 0, min(_STRIP, height - row), width))


def mosaic_percent(
    percents: Sequence[NDArray[np.uint8]], grids: Sequence[GeoBox], names: Sequence[str]
) -> tuple[NDArray[np.uint8], GeoBox]:
    """Put probabilities of one date together, before any threshold.

    Parameters
    ----------
    percents
        (y, x) uint8 percent each, 255 = no data.
    grids, names
        Their grids, and names for messages; where pixels differ, those of the first count.

    Returns
    -------
    percent, grid
        (y, x) uint8 on the smallest grid that holds all: the mean where several have data.
    """
    if len(percents) == 1:
        return percents[0], grids[0]
    grid = join_grids(grids, ", ".join(names))
    height, width = grid.shape.yx
    require_pixels(height, width, ", ".join(names))
    placed = (
        onto_grid(percent, source, grid, NODATA, name)
        for percent, source, name in zip(percents, grids, names, strict=True)
    )
    return mean_percent(placed), grid


def mean_percent(percents: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return the mean of one percent or more on one grid, (y, x) uint8, of those with data."""
    total, count = (np.zeros((1, 1), dtype=np.uint16) for _ in range(2))
    for percent in percents:
        known = percent != NODATA
        total = total + np.where(known, percent, np.uint16(0))
        count = count + known
    mean = np.rint(total / np.maximum(count, 1))
    return np.where(count > 0, mean, NODATA).astype(np.uint8)


def before_on_grid(
    before: xr.Dataset, scene: xr.Dataset, *, name: str, mixed_orbits: bool = False
) -> xr.Dataset:
    """Return a scene before the flood on the grid of the scene after it.

    Parameters
    ----------
    before, scene
        Scene stores before and after the flood.
    name
        Name of the scene before, for messages.
    mixed_orbits
        Accept scenes of the other orbit direction.

    Returns
    -------
    xr.Dataset
        `before`, where the grids are the same; else reprojected, backscatter bilinearly, which the
        log reports.

    Raises
    ------
    InputError
        If one was taken ascending and the other descending, or the grids can't be related.
    """
    require_orbits(before.attrs, scene.attrs, name=name, mixed_orbits=mixed_orbits)
    source, target = geobox_of(before), geobox_of(scene)
    if source == target:
        return before
    if source.crs is None or target.crs is None:
        raise InputError(f"{name}: has no CRS in common with the scene; give scenes on one grid")
    get_logger(__name__).warning("%s: on another grid; reprojected bilinearly", name)
    bands = {
        str(name): (("y", "x"), reproject_layer(layer.chunk(), target, "bilinear", np.nan))
        for name, layer in before.data_vars.items()
        if layer.dtype.kind == "f"
    }
    return xr.Dataset(bands, coords=xr_coords(target, always_yx=True), attrs=before.attrs)


def require_orbits(
    before: Mapping[str, object],
    scene: Mapping[str, object],
    *,
    name: str,
    mixed_orbits: bool = False,
) -> None:
    """Check that two scenes look at the ground from the same side.

    Parameters
    ----------
    before, scene
        Attributes of the scenes: `orbit_direction`, `relative_orbit`; what isn't there isn't
        checked.
    name
        Name of the scene before, for messages.
    mixed_orbits
        Accept the other orbit direction.

    Raises
    ------
    InputError
        If one was taken ascending and the other descending. Another orbit of the same direction
        is logged.
    """
    directions = [str(a.get("orbit_direction", "")).lower() for a in (before, scene)]
    if all(directions) and directions[0] != directions[1]:
        message = f"{name}: taken {directions[0]}, but the scene after the flood {directions[1]}"
        if not mixed_orbits:
            raise InputError(
                f"{message}; slopes and shadows differ, so give a scene of the same direction or "
                "set mixed_orbits"
            )
        get_logger(__name__).warning("%s; slopes and shadows differ", message)
    orbits = [str(a.get("relative_orbit", "")) for a in (before, scene)]
    if all(orbits) and orbits[0] != orbits[1]:
        get_logger(__name__).warning("%s: relative orbit %s, but %s after the flood", name, *orbits)
