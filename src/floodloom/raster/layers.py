"""Bands of rasters of others, whatever the format of their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import ProjError

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.raster.content import format_of
from floodloom.raster.foreign import FILL, ForeignRaster, Kind, is_one_of, open_foreign
from floodloom.raster.foreign_grid import placed_grid
from floodloom.raster.foreign_zarr import open_zarr
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.opener import netcdf_variables
from floodloom.raster.points import ControlPoints
from floodloom.raster.vrt import Piece, Virtual, VirtualBand, read_vrt
from floodloom.raster.windows import Window, require_pixels
from floodloom.texts import brief


class Raster(Protocol):
    """What can be asked of a raster of any format; see `ForeignRaster`."""

    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def geobox(self) -> GeoBox: ...
    @property
    def descriptions(self) -> tuple[str | None, ...]: ...
    @property
    def units(self) -> tuple[str | None, ...]: ...
    @property
    def dtypes(self) -> tuple[str, ...]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def nodata(self) -> float | None: ...
    @property
    def block(self) -> tuple[int, int]: ...
    @property
    def points(self) -> ControlPoints | None: ...

    def of_kind(self, kind: Kind) -> Raster:
        """Return the same raster, its numbers taken for those of another kind."""

    def is_scaled(self, band: int) -> bool:
        """Whether a band's numbers aren't taken as they are stored."""

    def numbers(self, window: Window | None = None, band: int = 1) -> Floats:
        """Read a part, (y, x) float32 with NaN = no data."""


@dataclass(frozen=True)
class VirtualRaster:
    """A band of a VRT; attributes as those of `ForeignRaster`."""

    path: str
    kind: Kind
    geobox: GeoBox
    band: VirtualBand
    sources: Mapping[Path, ForeignRaster] = field(repr=False)
    points: None = None

    @property
    def descriptions(self) -> tuple[str | None, ...]:
        files = {piece.file for piece in self.band.pieces}
        named_by_file = next(iter(files)).stem if len(files) == 1 else None
        return (self.band.description or named_by_file,)

    @property
    def units(self) -> tuple[str | None, ...]:
        return (self.band.unit,)

    @property
    def dtypes(self) -> tuple[str, ...]:
        first = self.band.pieces[0]
        return (self.sources[first.file].dtypes[first.band - 1],)

    @property
    def tags(self) -> Mapping[str, str]:
        return self.sources[self.band.pieces[0].file].tags

    @property
    def nodata(self) -> float | None:
        return self.band.nodata

    @property
    def block(self) -> tuple[int, int]:
        return self.sources[self.band.pieces[0].file].block

    def of_kind(self, kind: Kind) -> VirtualRaster:
        """Return the same raster, its numbers taken for those of another kind."""
        return replace(self, kind=kind)

    def is_scaled(self, band: int = 1) -> bool:
        """Whether the numbers aren't taken as they are stored."""
        return (self.band.scale, self.band.offset) != (1.0, 0.0)

    def numbers(self, window: Window | None = None, band: int = 1) -> Floats:
        """Read a part; see `floodloom.raster.foreign.ForeignRaster.numbers`."""
        height, width = self.geobox.shape.yx
        window = window or Window(0, 0, height, width)
        require_pixels(window.height, window.width, self.path)
        stored = np.full((window.height, window.width), np.nan, dtype=np.float32)
        for piece in self.band.pieces:
            self._put(piece, window, stored)
        fill = () if self.nodata is None else (self.nodata,)
        missing = is_one_of(stored, (*self.kind.unknown, *fill))
        numbers = stored * np.float32(self.band.scale) + np.float32(self.band.offset)
        numbers[missing | ~(np.abs(numbers) < FILL)] = np.nan
        return numbers

    def _put(self, piece: Piece, window: Window, stored: Floats) -> None:
        """Put what a window sees of a piece into the numbers of the window."""
        top, left = max(piece.top, window.row), max(piece.left, window.col)
        bottom = min(piece.top + piece.height, window.row + window.height)
        right = min(piece.left + piece.width, window.col + window.width)
        if bottom <= top or right <= left:
            return
        row, col = piece.row + top - piece.top, piece.col + left - piece.left
        source = self.sources[piece.file]
        part = source.numbers(Window(row, col, bottom - top, right - left), piece.band)
        place = Window(top - window.row, left - window.col, *part.shape).slices
        if piece.nodata is not None:
            seen = ~(np.isnan(part) | is_one_of(part, (piece.nodata,)))
        else:
            seen = np.ones(part.shape, dtype=bool)
        scaled = part * np.float32(piece.ratio) + np.float32(piece.offset)
        stored[place] = np.where(seen, scaled, stored[place])


@dataclass(frozen=True)
class Layer:
    """One band of a raster.

    Attributes
    ----------
    raster
        Where it lies.
    band
        Its number there, from 1.
    file
        The file, or the folder of a store, that holds it.
    number
        Its number in the file, from 1.
    """

    raster: Raster
    band: int
    file: Path
    number: int

    @property
    def description(self) -> str:
        """What it is called: by its file, its variable, or its long name; empty if by none."""
        given = self.raster.descriptions[min(self.band, len(self.raster.descriptions)) - 1]
        return given or ""

    @property
    def texts(self) -> tuple[str, ...]:
        """What its file states of what it is: description, unit and long name."""
        unit = self.raster.units[self.band - 1]
        names = (f"{prefix}long_name" for prefix in ("", f"{self.description}#"))
        long = (self.raster.tags.get(name) for name in names)
        return tuple(text for text in (self.description, unit, *long) if text)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        described = f" ({brief(self.description)})" if self.description else ""
        return f"band {self.number} of {self.file.name}{described}"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of its numbers, as they are stored."""
        return np.dtype(self.raster.dtypes[self.band - 1])

    @property
    def is_scaled(self) -> bool:
        """Whether its file states a scale or an offset."""
        return self.raster.is_scaled(self.band)


def open_layers(path: Path, kind: Kind, *, within: Path | None = None) -> list[Layer]:
    """Open the bands of a GeoTIFF, a VRT, a NetCDF file or a Zarr store.

    Parameters
    ----------
    path
        The file, or the folder of a store.
    kind
        What its numbers are.
    within
        Folder of a product that was given and in which `path` was found.

    Returns
    -------
    list
        In the order of the file; of NetCDF and Zarr those variables that are images.

    Raises
    ------
    InputError
        If it can't be opened, has no grid, or names files that weren't given.
    """
    found = format_of(path)
    if found == "zarr":
        rasters: list[Raster] = list(open_zarr(path, kind))
    elif found == "netcdf":
        rasters = list(_variables(path, kind, within))
    elif found == "vrt":
        rasters = list(_virtual(path, kind, within))
    else:
        rasters = [open_foreign(path, kind, bands=None, within=within, points=True)]
    bands = [(raster, band + 1) for raster in rasters for band in range(len(raster.dtypes))]
    layers = [Layer(*band, path, number) for number, band in enumerate(bands, start=1)]
    if not layers:
        raise InputError(f"{path}: holds no image; give a {kind.what}")
    return layers


def _variables(path: Path, kind: Kind, within: Path | None) -> list[ForeignRaster]:
    found = []
    for name in netcdf_variables(path, kind.what, within=within):
        raster = open_foreign(path, kind, bands=None, within=within, variable=name)
        called = (
            [name]
            if len(raster.dtypes) == 1
            else [f"{name} {n + 1}" for n in range(len(raster.dtypes))]
        )
        found.append(replace(raster, descriptions=tuple(called)))
    return found


def _virtual(path: Path, kind: Kind, within: Path | None) -> list[VirtualRaster]:
    virtual = read_vrt(path, within)
    files = {piece.file for band in virtual.bands for piece in band.pieces}
    sources = {
        file: open_foreign(file, Kind(kind.what), bands=None, within=path.parent).as_stored()
        for file in files
    }
    for piece in (piece for band in virtual.bands for piece in band.pieces):
        _require_inside(piece, sources[piece.file], path)
    grid = _grid(virtual, str(path))
    return [VirtualRaster(str(path), kind, grid, band, sources) for band in virtual.bands]


def _grid(virtual: Virtual, name: str) -> GeoBox:
    if virtual.transform is None:
        return pixel_geobox(virtual.height, virtual.width)
    x, right, down, y, right_y, down_y = virtual.transform
    affine = Affine(right, down, x, right_y, down_y, y)
    crs = None
    if virtual.srs is not None and virtual.srs.strip():
        try:
            crs = CRS.from_user_input(virtual.srs.strip()).to_wkt()
        except ProjError as error:
            raise InputError(
                f"{name}: its CRS can't be understood; set it with `gdal_edit -a_srs`"
            ) from error
    return placed_grid((virtual.height, virtual.width), affine, crs, name)


def _require_inside(piece: Piece, source: ForeignRaster, path: Path) -> None:
    height, width = source.geobox.shape.yx
    beyond = piece.row + piece.height > height or piece.col + piece.width > width
    if beyond or piece.band > len(source.dtypes):
        raise InputError(
            f"{path}: takes more of {piece.file.name} than it has ({len(source.dtypes)} bands of "
            f"{height} x {width} px); make the VRT again"
        )
