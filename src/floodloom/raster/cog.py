"""Cloud-optimised GeoTIFFs."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetWriter
from rasterio.shutil import copy

from floodloom.errors import InputError
from floodloom.files import atomic_path, part_beside, remove_part, require_replaceable
from floodloom.raster.grid import geobox_of
from floodloom.raster.opener import is_whole, quiet_about_georeference, read_through
from floodloom.raster.styles import (
    Colours,
    Meanings,
    Ramp,
    companions,
    write_legend,
    write_ramp,
)

_EXTRA_SAMPLES = 338
_SHORT = 2  # bytes of a value of the tag
_ORDERS = {b"II": "<", b"MM": ">"}


@dataclass(frozen=True)
class _Layout:
    """How a directory is stored: its count of entries, an entry, and an offset."""

    count: struct.Struct
    entry: struct.Struct
    offset: struct.Struct
    first: int  # where the offset of the first directory stands


def _layout(file: BinaryIO, path: Path) -> _Layout:
    file.seek(0)
    order = _ORDERS.get(file.read(2))
    version = struct.unpack(f"{order}H", file.read(2))[0] if order else 0
    if version == 42:
        formats, first = ("H", "HHI4s", "I"), 4
    elif version == 43:
        formats, first = ("Q", "HHQ8s", "Q"), 8
    else:
        raise InputError(f"{path}: not a TIFF; give a GeoTIFF")
    count, entry, offset = (struct.Struct(f"{order}{fields}") for fields in formats)
    return _Layout(count, entry, offset, first)


def _extra_samples(file: BinaryIO, layout: _Layout) -> Iterator[tuple[int, int]]:
    """Yield where the values of the tag stand in each directory, and how many there are."""
    file.seek(layout.first)
    (directory,) = layout.offset.unpack(file.read(layout.offset.size))
    while directory:
        file.seek(directory)
        (entries,) = layout.count.unpack(file.read(layout.count.size))
        start = directory + layout.count.size
        for place in range(start, start + entries * layout.entry.size, layout.entry.size):
            file.seek(place)
            tag, _, values, inline = layout.entry.unpack(file.read(layout.entry.size))
            if tag == _EXTRA_SAMPLES:
                at = place + layout.entry.size - layout.offset.size
                fits = values * _SHORT <= layout.offset.size
                yield (at if fits else layout.offset.unpack(inline)[0]), values
        file.seek(start + entries * layout.entry.size)
        (directory,) = layout.offset.unpack(file.read(layout.offset.size))


def without_alpha(path: str | Path) -> None:
    """Declare that no band of a TIFF and its overviews is alpha.

    Raises
    ------
    InputError
        If the file isn't a TIFF.
    """
    with Path(path).open("r+b") as file:
        layout = _layout(file, Path(path))
        for place, values in list(_extra_samples(file, layout)):
            file.seek(place)
            file.write(bytes(values * _SHORT))  # 0: unspecified


ACQUIRED = "ACQUISITION_TIME"
"""Tag of a raster's date."""

_CACHE_MIB = 64  # GDAL would take a share of the machine's memory
_COG_BLOCK = 512  # px
_DEFLATE = 1  # 12 % larger than level 6 and six times as fast


@dataclass(frozen=True)
class CogProfile:
    """What a cloud-optimised GeoTIFF is, besides its pixels.

    Attributes
    ----------
    geobox
        Grid; without a CRS the file has none either.
    dtype
        Any dtype of GeoTIFF.
    nodata
        Value that means no data.
    count
        Number of bands.
    descriptions
        One per band.
    unit
        Unit of all bands, as programs show it; "" for none.
    colormap
        Colours of the values of the first band, RGBA 0-255; a TIFF holds no alpha but that of
        `nodata`.
    meanings
        Meanings of the values of each band; written beside the file with the colours.
    patches
        Column of polygons beside the file, of the same name, that holds the values of the first
        band.
    ramp
        Colours of a quantity; styles with them are written beside the file.
    tags
        Metadata of the file.
    """

    geobox: GeoBox
    dtype: str
    nodata: float
    count: int = 1
    descriptions: Sequence[str] = ()
    unit: str = ""
    colormap: Colours = field(default_factory=dict)
    meanings: Sequence[Meanings] = ()
    patches: str | None = None
    ramp: Ramp | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def cog_writer(
    path: str | Path, profile: CogProfile, *, threads: int = 1
) -> Iterator[DatasetWriter]:
    """Give a raster to write windows into, which becomes a cloud-optimised GeoTIFF at the end.

    Its bands are numbers, never red, green, blue or alpha.

    Parameters
    ----------
    path
        Where the file goes, whole or not at all.
    profile
        What the file is.
    threads
        Threads that compress.

    Yields
    ------
    DatasetWriter
        Open for writing by windows, in any order; best from top to bottom.

    Raises
    ------
    InputError
        If it can't be written, as when the disk is full.
    """
    path = Path(path)
    require_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = part_beside(path)
    crs = None if profile.geobox.crs is None else profile.geobox.crs.to_wkt()
    try:
        gdal = rasterio.Env(GDAL_CACHEMAX=_CACHE_MIB)
        with _refusals_named(path), gdal, quiet_about_georeference():
            with rasterio.open(
                plain, "w", driver="GTiff", count=profile.count, dtype=profile.dtype,
                height=profile.geobox.shape.y, width=profile.geobox.shape.x, crs=crs,
                transform=profile.geobox.affine, nodata=profile.nodata, BIGTIFF="IF_SAFER",
                tiled=True, blockxsize=_COG_BLOCK, blockysize=_COG_BLOCK, photometric="MINISBLACK",
            ) as raster:  # fmt: skip
                raster.descriptions = tuple(profile.descriptions) or (None,) * profile.count
                if profile.unit:
                    raster.units = (profile.unit,) * profile.count
                raster.update_tags(**profile.tags)
                if profile.colormap:
                    raster.write_colormap(1, dict(profile.colormap))
                raster.colorinterp = _interpretations(profile)
                yield raster

            if reductions := _overviews(profile.geobox.shape.yx):
                with rasterio.open(plain, "r+") as raster:
                    raster.build_overviews(reductions, Resampling.nearest)
            if not is_whole(plain):  # GDAL may not report a disk that was full as it closed
                raise _unwritten(path, "blocks are missing")

            # A COG can't be written in strips: GDAL copies it of a finished raster.
            with rasterio.open(plain) as raster, atomic_path(path) as temporary:
                copy(
                    raster, temporary, driver="COG", compress="DEFLATE", level=_DEFLATE,
                    blocksize=_COG_BLOCK, num_threads=threads,
                )  # fmt: skip
                if not is_whole(temporary):
                    raise _unwritten(path, "blocks are missing")
                without_alpha(temporary)
                _require_readable(temporary, path, threads)
                for stale in companions(path):
                    stale.unlink(missing_ok=True)

            if profile.meanings:
                write_legend(path, profile.meanings, profile.colormap, profile.patches)
            if profile.ramp is not None:
                write_ramp(path, profile.ramp)
    finally:
        remove_part(plain)


def _interpretations(profile: CogProfile) -> list[ColorInterp]:
    """Bands are numbers: GDAL would make red, green, blue and alpha of several bytes."""
    first = ColorInterp.palette if profile.colormap else ColorInterp.gray
    return [first, *[ColorInterp.undefined] * (profile.count - 1)]


@contextmanager
def _refusals_named(path: Path) -> Iterator[None]:
    """Name the raster where GDAL reports of a full disk only that a write has failed."""
    try:
        yield
    except CPLE_BaseError as error:
        raise _unwritten(path, error.errmsg) from error
    except rasterio.errors.RasterioIOError as error:
        if "Write failed" not in str(error):
            raise
        raise _unwritten(path, getattr(error.__cause__, "errmsg", str(error))) from error


def _require_readable(temporary: Path, path: Path, threads: int) -> None:
    try:
        read_through(temporary, threads=threads)
    except rasterio.errors.RasterioIOError as error:
        raise _unwritten(path, f"what was written can't be read: {error}") from error


def _unwritten(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: can't be written ({reason}); is the disk full, or the quota?")


def _overviews(shape: tuple[int, int]) -> list[int]:
    """Return the reductions until the whole is one tile; GDAL's COG driver takes thrice as long."""
    steps = math.ceil(math.log2(max(max(shape) / _COG_BLOCK, 1)))
    return [2**step for step in range(1, steps + 1)]


def write_cog(
    data: NDArray[Any],
    path: str | Path,
    *,
    geobox: GeoBox,
    nodata: float,
    descriptions: Sequence[str] = (),
    colormap: Colours | None = None,
    meanings: Sequence[Meanings] = (),
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Write an array as a cloud-optimised GeoTIFF with overviews, whole or not at all.

    Parameters
    ----------
    data
        (band, y, x) or (y, x), any GeoTIFF dtype.
    path
        Where the file goes.
    geobox, nodata, descriptions, colormap, meanings, tags
        See `CogProfile`.

    Returns
    -------
    Path
        `path`.
    """
    bands = data[np.newaxis] if data.ndim == 2 else data
    profile = CogProfile(
        geobox=geobox, dtype=str(bands.dtype), nodata=nodata, count=len(bands),
        descriptions=descriptions, colormap=colormap or {}, meanings=meanings, tags=tags or {},
    )  # fmt: skip
    with cog_writer(path, profile) as raster:
        raster.write(bands)
    return Path(path)


def read_raster(path: str | Path, what: str = "raster") -> tuple[NDArray[Any], GeoBox]:
    """Read the first band of a raster file and its grid.

    Raises
    ------
    InputError
        If the file can't be opened; `what` names what it should have been.
    """
    try:
        with quiet_about_georeference(), rasterio.open(path) as raster:
            return raster.read(1), geobox_of(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable {what} ({error})") from error
