"""Rasters of others: what they hold, and where they lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window as RasterWindow

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.raster.align import join_grids, part_of, resample_onto
from floodloom.raster.foreign_grid import control_points_of, grid_of, vertical_of
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.opener import open_raster, open_variable
from floodloom.raster.points import ControlPoints
from floodloom.raster.vertical import Vertical
from floodloom.raster.windows import Window, require_pixels

FILL = 1e30
"""Beyond it lie the fill values of floating-point rasters (3.4e38, 9.97e36)."""
_NOWHERE = pixel_geobox(1, 1)
_SUFFIXES = (".tif", ".tiff", ".TIF", ".TIFF")


@dataclass(frozen=True)
class Kind:
    """What a raster's numbers are.

    Attributes
    ----------
    what
        Name for messages, such as "elevation raster".
    low, high
        Least and greatest number that can be one, after scale and offset.
    whole
        Whether they are classes: whole numbers.
    unknown
        Numbers that stand for "unknown", as they are stored, whether the file declares them or not.
    masked
        Obey the file's no-data value; not where one value for all bands is a class of this one.
    """

    what: str
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    unknown: tuple[float, ...] = ()
    masked: bool = True

    def impossible(self, numbers: Floats) -> NDArray[np.bool_]:
        """Return where (y, x) numbers can't be of this kind; NaN can."""
        found = (numbers < self.low) | (numbers > self.high)
        return found | (numbers != np.rint(numbers)) & ~np.isnan(numbers) if self.whole else found


@dataclass(frozen=True)
class _File:
    """One file, the folder that holds it, if that was given, its grid, and how its bands count.

    `variable` is the part of a NetCDF file.
    """

    path: str
    within: Path | None
    geobox: GeoBox
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    variable: str | None = None

    def open(self, what: str) -> AbstractContextManager[rasterio.DatasetReader]:
        """Open it; see `floodloom.raster.opener`."""
        if self.variable is None:
            return open_raster(self.path, what, within=self.within)
        return open_variable(self.path, self.variable, what)


@dataclass(frozen=True)
class ForeignRaster:
    """A raster of one file, or of several that lie side by side.

    Attributes
    ----------
    path
        File or folder, for messages.
    kind
        What its numbers are.
    geobox
        Its grid, in whatever orientation; without a CRS in pixels.
    descriptions, units, dtypes
        Of each band.
    tags
        Metadata of the first file.
    vertical
        What heights are measured from, where the CRS states it.
    nodata
        Declared no-data value of the first band, or None.
    block
        Height and width of the pieces in which the first file is stored, px.
    points
        Ground control points, which are all that places it; its grid is in pixels then.
    """

    path: str
    kind: Kind
    geobox: GeoBox
    files: tuple[_File, ...] = field(repr=False)
    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    dtypes: tuple[str, ...]
    tags: Mapping[str, str] = field(repr=False)
    vertical: Vertical | None
    nodata: float | None
    block: tuple[int, int]
    points: ControlPoints | None = None

    def is_scaled(self, band: int) -> bool:
        """Whether a band's numbers aren't taken as they are stored."""
        return any((f.scales[band - 1], f.offsets[band - 1]) != (1.0, 0.0) for f in self.files)

    def read(self, window: Window | None = None, band: int = 1) -> Floats:
        """Read a part as it lies.

        Parameters
        ----------
        window
            Part of the raster, inside it; all by default.
        band
            Number of the band, from 1.

        Returns
        -------
        ndarray
            (y, x) float32, scale and offset applied; NaN where the file has no data or masks them,
            and where a number can't be one of its kind.

        Raises
        ------
        InputError
            If a file is damaged.
        """
        numbers = self.numbers(window, band)
        numbers[self.kind.impossible(numbers)] = np.nan
        return numbers

    def numbers(self, window: Window | None = None, band: int = 1) -> Floats:
        """Read a part as `read` does, but for numbers that can't be of its kind: they stay."""
        height, width = self.geobox.shape.yx
        window = window or Window(0, 0, height, width)
        require_pixels(window.height, window.width, self.path)
        if len(self.files) == 1:
            return self._stored(self.files[0], window, band)
        merged = np.full((window.height, window.width), np.nan, dtype=np.float32)
        target = self.geobox[window.slices]
        for file in self.files:
            part = part_of(file.geobox, target)
            if part is None:
                continue
            values, source = self._stored(file, part, band), file.geobox[part.slices]
            placed = resample_onto(values, source, target, np.nan, Resampling.bilinear, file.geobox)
            merged = np.where(np.isnan(merged), placed, merged)
        return merged

    def table(self, window: Window, band: int = 1) -> tuple[Bytes, Floats] | None:
        """Read a part as it is stored in bytes, and the number that each byte stands for.

        Returns
        -------
        tuple or None
            (y, x) uint8, and (256,) float32 as `numbers` gives them, NaN also for bytes that don't
            occur; None of several files, other types, and where a mask marks what is unknown.
        """
        if len(self.files) > 1 or self.dtypes[band - 1] != "uint8":
            return None
        require_pixels(window.height, window.width, self.path)
        file = self.files[0]
        place = RasterWindow(window.col, window.row, window.width, window.height)
        with file.open(self.kind.what) as raster:
            masks = {flag.name for flag in raster.mask_flag_enums[band - 1]}
            if self.kind.masked and not masks <= {"nodata", "all_valid"}:
                return None
            stored: Bytes = raster.read(band, window=place)
            nodata = raster.nodatavals[band - 1] if self.kind.masked else None
        values = np.arange(256, dtype=np.uint8)
        missing = count_bytes(stored) == 0
        if nodata is not None:
            missing |= values == nodata
        return stored, self._as_numbers(values, missing, file, band)

    def of_kind(self, kind: Kind) -> ForeignRaster:
        """Return the same raster, its numbers taken for those of another kind."""
        return replace(self, kind=kind)

    def as_stored(self) -> ForeignRaster:
        """Return the raster without the scales and offsets of its bands."""
        ones, zeros = (1.0,) * len(self.dtypes), (0.0,) * len(self.dtypes)
        files = tuple(replace(file, scales=ones, offsets=zeros) for file in self.files)
        return replace(self, files=files)

    def _stored(self, file: _File, window: Window, band: int) -> Floats:
        place = RasterWindow(window.col, window.row, window.width, window.height)
        with file.open(self.kind.what) as raster:
            stored = raster.read(band, window=place, masked=self.kind.masked)
        return self._as_numbers(np.ma.getdata(stored), np.ma.getmaskarray(stored), file, band)

    def _as_numbers(self, values: NDArray[Any], missing: Mask, file: _File, band: int) -> Floats:
        scale, offset = file.scales[band - 1], file.offsets[band - 1]
        plain = scale == 1.0 and offset == 0.0
        numbers: Floats = (values if plain else values * np.float64(scale) + offset).astype("f4")
        numbers[missing | ~(np.abs(numbers) < FILL)] = np.nan
        numbers[is_one_of(values, self.kind.unknown)] = np.nan
        return numbers


@jit()
def count_bytes(values):  # type: ignore[no-untyped-def]
    """Count how often each byte occurs, (256,) int64."""
    counts = np.zeros(256, np.int64)
    for value in values.flat:
        counts[value] += 1
    return counts


def is_one_of(values: NDArray[Any], numbers: Sequence[float]) -> NDArray[np.bool_] | np.bool_:
    """Return where values are one of some numbers, as their type holds these."""
    if not numbers:
        return np.bool_(False)
    exact = values.dtype if values.dtype.kind == "f" else np.float64
    return np.isin(values, np.asarray(numbers, dtype=exact))


def open_foreign(
    path: str | Path,
    kind: Kind,
    *,
    bands: int | None = 1,
    within: Path | None = None,
    variable: str | None = None,
    points: bool = False,
) -> ForeignRaster:
    """Open a GeoTIFF, or a folder of those that lie side by side.

    Parameters
    ----------
    path
        File, or a folder whose GeoTIFFs have one CRS; where they overlap, the first by name
        that has data counts, and those with other pixels than the first are brought onto
        its.
    kind
        What its numbers are.
    bands
        Number of bands that are looked for; a picture of red, green and blue has none of one. None
        takes any number.
    within
        Folder of a product that was given and in which `path` was found.
    variable
        Open this part of a NetCDF file instead of a GeoTIFF; see
        `floodloom.raster.opener.netcdf_variables`.
    points
        Take a file that ground control points alone place.

    Raises
    ------
    InputError
        If a file can't be opened, is a picture, has no grid, or is a link out of the folder that
        was given.
    """
    within = Path(path) if Path(path).is_dir() else within
    found = [_File(str(f), within, _NOWHERE, (), (), variable) for f in _paths(Path(path), kind)]
    files = [_described(file, kind, bands, points=points) for file in found]
    with files[0].open(kind.what) as raster:
        placed = points and raster.crs is None and raster.gcps[0]
        return ForeignRaster(
            path=str(path),
            kind=kind,
            geobox=join_grids([file.geobox for file in files], str(path)),
            files=tuple(files),
            descriptions=tuple(raster.descriptions),
            units=tuple(raster.units),
            dtypes=tuple(raster.dtypes),
            tags=dict(raster.tags()),
            vertical=None if raster.crs is None else vertical_of(raster, files[0].path),
            nodata=raster.nodata,
            block=raster.block_shapes[0],
            points=control_points_of(raster, files[0].path) if placed else None,
        )


def _paths(path: Path, kind: Kind) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if not found:
        raise InputError(f"{path}: no {kind.what} (.tif) inside; give a file or a folder of them")
    return found


def _described(file: _File, kind: Kind, bands: int | None, *, points: bool) -> _File:
    path = file.path
    with file.open(kind.what) as raster:
        if raster.count == 0:
            raise InputError(f"{path}: holds no band; give a {kind.what}")
        if bands is not None and raster.colorinterp[0] == ColorInterp.red and raster.count >= 3:
            raise InputError(f"{path}: a picture of {raster.count} bands; give the {kind.what}")
        if any(dtype.startswith("complex") for dtype in raster.dtypes):
            raise InputError(f"{path}: complex numbers; a {kind.what} has real ones")
        factors = np.array([raster.scales, raster.offsets])
        if not np.isfinite(factors).all() or (factors[0] == 0).any():
            raise InputError(
                f"{path}: scales {raster.scales} and offsets {raster.offsets} of its bands leave "
                "no numbers; correct them with `gdal_edit -scale -offset`"
            )
        grid = grid_of(raster, path, points=points)
        return replace(file, geobox=grid, scales=raster.scales, offsets=raster.offsets)
