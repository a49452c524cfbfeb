"""Foreign rasters on a grid, placed by what they state of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
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
    reproject_layer,
    require_relation,
    resample_onto,
    whole_shift,
    window_of,
)
from floodloom.raster.foreign import ForeignRaster, Kind
from floodloom.raster.grid import geobox_of
from floodloom.raster.rows import ReadRows, Rows
from floodloom.raster.windows import Window, most_planned, require_pixels

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
    placed = PlacedRows(raster, grid, code, nodata=nodata, resampling=resampling, band=band)
    if not log:
        placed.be_quiet()
    return placed[:]


class PlacedRows:
    """A band of a foreign raster on a grid, of which rows are brought there when asked for.

    What can't be of the raster's kind is logged when all rows have been asked for.

    Parameters
    ----------
    raster, grid, code, nodata, resampling, band
        See `place_raster`.

    Raises
    ------
    InputError
        If the raster can't be related to the grid.
    """

    def __init__(
        self,
        raster: ForeignRaster,
        grid: GeoBox,
        code: Code | None = None,
        *,
        nodata: float = math.nan,
        resampling: Resampling = Resampling.nearest,
        band: int = 1,
    ) -> None:
        require_relation(raster.geobox, grid, raster.path)
        self._raster, self._grid, self._code = raster, grid, code or _as_they_are
        self._nodata, self._resampling, self._band = nodata, resampling, band
        self._impossible = np.zeros(raster.geobox.shape.y, dtype=np.int64)  # px of each row
        self._example = math.nan
        self._left: set[int] | None = set(range(grid.shape.y))
        self._lock = Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid, px."""
        height, width = self._grid.shape.yx
        return height, width

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows, (row, x), of the dtype that the code gives."""
        start, stop, _ = rows.indices(self.shape[0])
        if self._grid.crs is None:
            found = self._coded(Window(start, 0, stop - start, self.shape[1]))
        else:
            found = self._onto(self._grid[start:stop])
        with self._lock:
            if self._left is not None:
                self._left.difference_update(range(start, stop))
                if not self._left:
                    self._report()
                    self._left = None
        return found

    def be_quiet(self) -> None:
        """Log nothing, for one who asks piece by piece."""
        self._left = None

    def _onto(self, grid: GeoBox) -> NDArray[Any]:
        """Bring the raster onto a piece, in halves where that needs too much of it at once."""
        shape = tuple(grid.shape.yx)
        part = window_of(self._raster.geobox, grid)
        if part is None:
            return np.full(shape, self._nodata, dtype=self._dtype())
        if part.height * part.width > _MOST_PX and max(shape) > 1:
            result = np.empty(shape, dtype=self._dtype())
            for half in _halves(*shape):
                result[half] = self._onto(grid[half])
            return result
        whole = self._raster.geobox
        source = whole[part.slices]
        return resample_onto(self._coded(part), source, grid, self._nodata, self._resampling, whole)

    def _coded(self, part: Window) -> NDArray[Any]:
        table = self._raster.table(part, self._band)
        numbers = self._raster.numbers(part, self._band) if table is None else table[1]
        impossible = self._raster.kind.impossible(numbers)
        if impossible.any():
            where = impossible if table is None else impossible[table[0]]
            self._impossible[part.slices[0]] = where.sum(axis=1)
            self._example = float(numbers[impossible][0])
            numbers[impossible] = np.nan
        return (
            self._code(numbers) if table is None else self._code(numbers[np.newaxis])[0][table[0]]
        )

    def _dtype(self) -> np.dtype[Any]:
        return self._code(np.full((1, 1), np.nan, dtype=np.float32)).dtype

    def _report(self) -> None:
        """Log what was met."""
        raster = self._raster
        if count := int(self._impossible.sum()):
            get_logger(__name__).warning(
                "%s: %d px can't be %s, such as %g; taken as unknown",
                raster.path, count, raster.kind.what, self._example,
            )  # fmt: skip
        if self._grid.crs is not None and whole_shift(raster.geobox, self._grid) is None:
            get_logger(__name__).warning(
                "%s: on another grid; reprojected, %s", raster.path, self._resampling.name
            )


def rows_onto_grid(
    layer: Rows,
    source: GeoBox,
    target: GeoBox,
    nodata: float,
    name: str,
    *,
    resampling: Resampling = Resampling.nearest,
) -> Rows:
    """Return a raster on another grid, of which rows are brought there when asked for.

    Parameters and errors are those of `floodloom.raster.align.onto_grid`, but for `layer`, of which
    rows are read.
    """
    if source == target:
        return layer
    require_relation(source, target, name)
    if source.crs is None:
        return layer
    if whole_shift(source, target) is None:
        get_logger(__name__).warning("%s: on another grid; reprojected, %s", name, resampling.name)

    def read(start: int, stop: int) -> NDArray[Any]:
        grid = target[start:stop]
        part = window_of(source, grid)
        if part is None:
            return np.full(tuple(grid.shape.yx), nodata, dtype=layer[:1].dtype)
        values = np.ascontiguousarray(layer[part.slices[0]][:, part.slices[1]])
        return resample_onto(values, source[part.slices], grid, nodata, resampling, source)

    height, width = target.shape.yx
    return ReadRows((height, width), read)


def _as_they_are(numbers: Floats) -> Floats:
    return numbers


def _halves(height: int, width: int) -> list[tuple[slice, slice]]:
    """Halves by rows, and of a single row by columns; see `floodloom.raster.rows`."""
    if height > 1:
        middle = height // 2
        return [(slice(0, middle), slice(0, width)), (slice(middle, height), slice(0, width))]
    middle = width // 2
    return [(slice(0, 1), slice(0, middle)), (slice(0, 1), slice(middle, width))]


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


def mosaic_grid(grids: Sequence[GeoBox], names: Sequence[str]) -> GeoBox:
    """Return the smallest grid that holds probabilities of one date.

    Parameters
    ----------
    grids, names
        Their grids, and names for messages; where pixels differ, those of the first count.

    Raises
    ------
    InputError
        If they can't be related to one another, or there would be more pixels than
        `floodloom.raster.windows.most_planned`.
    """
    grid = join_grids(grids, ", ".join(names))
    height, width = grid.shape.yx
    require_pixels(height, width, ", ".join(names), most_planned())
    return grid


def mean_rows(layers: Sequence[Rows]) -> Rows:
    """Return the mean of percents on one grid, as `mean_percent` does, by rows."""
    if len(layers) == 1:
        return layers[0]
    height, width = layers[0].shape
    return ReadRows((height, width), lambda a, b: mean_percent(part[a:b] for part in layers))


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
