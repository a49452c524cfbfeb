"""How rasters are opened."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from floodloom.errors import InputError, library_text
from floodloom.files import regular_file
from floodloom.raster.content import TIFF
from floodloom.raster.hdf5 import SIGNATURE, require_alone
from floodloom.raster.netcdf3 import CLASSIC, require_whole

VARIABLE = "NETCDF_VARNAME"
"""Tag of a band that holds the name of its variable."""

_AFTER_NAME = (".aux.xml", ".msk")
_INSTEAD_OF_SUFFIX = (".aux", ".tfw", ".tifw", ".tiffw", ".wld", ".tab")
_MOST_BLOCK = 1 << 30
_REFERENCES = (b"<VRTDataset", b"<GDAL_WMS", b"<WMS", b"<GDALTileIndexDataset", b"<OGRVRT")
_UNREADABLE = (rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError, UnicodeDecodeError)
_CLOSED = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}", "GTIFF_REPORT_COMPD_CS": True}


@contextmanager
def open_raster(
    path: str | Path, what: str, *, within: Path | None = None, level: int | None = None
) -> Iterator[rasterio.DatasetReader]:
    """Open a GeoTIFF; what goes wrong with it is one line that names `what` it is.

    Parameters
    ----------
    path
        The file.
    what
        Such as "elevation raster", for messages.
    within
        Folder in which it was found, if that was given: links may not lead out of it.
    level
        Overview to open instead, from 0.

    Raises
    ------
    InputError
        If it isn't a regular file or no GeoTIFF, names other files, is damaged, or stored in
        blocks that nobody could read; when leaving the context, if reading it failed.
    """
    file = regular_file(path, what, within=within)
    require_tiff(file, what, str(path))
    beside = _companions(file)
    for companion in beside:
        regular_file(companion, "companion of a GeoTIFF", within=within)
        if companion.suffix.lower() == ".msk":
            require_tiff(companion, "mask", str(companion))
    with open_tiff(str(file), what, str(path), alone=not beside, level=level) as raster:
        yield raster


@contextmanager
def open_tiff(
    path: str,
    what: str,
    name: str,
    *,
    alone: bool = True,
    level: int | None = None,
    opener: Callable[..., Any] | None = None,
) -> Iterator[rasterio.DatasetReader]:
    """Open what GDAL finds under a path, as a GeoTIFF and nothing else; see `open_raster`.

    `name` is what it is called in messages; `alone`: nothing beside it is read; `opener` gives the
    file in place of the disk.
    """
    settings = {**_CLOSED, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR" if alone else "FALSE"}
    options: dict[str, Any] = {} if level is None else {"overview_level": level}
    options |= {} if opener is None else {"opener": opener}
    try:
        with (
            quiet_about_georeference(),
            rasterio.Env(**settings),
            rasterio.open(path, driver="GTiff", **options) as raster,
        ):
            _require_readable(raster, name)
            yield raster
    except _UNREADABLE as error:
        raise _unreadable(name, what, error) from error


def netcdf_variables(path: str | Path, what: str, *, within: Path | None = None) -> tuple[str, ...]:
    """Return the names of the variables of a NetCDF file that are images.

    Parameters
    ----------
    path, what, within
        As for `open_raster`.

    Raises
    ------
    InputError
        If it isn't a regular file, names other files, or is damaged: the library would take as
        much memory as a header asks for.
    """
    file = regular_file(path, what, within=within)
    with file.open("rb") as content:
        head = content.read(len(SIGNATURE))
    if head == SIGNATURE:
        require_alone(file, str(path))
    elif head[:4] in CLASSIC:
        require_whole(file, str(path))
    with _opened_netcdf(str(file), what, str(path)) as raster:
        names = [place.rpartition(":")[2] for place in raster.subdatasets]
        if not names and raster.count:
            names = [raster.tags(1).get(VARIABLE, "")]
    return tuple(filter(None, names))


@contextmanager
def open_variable(path: str, variable: str, what: str) -> Iterator[rasterio.DatasetReader]:
    """Open a variable that `netcdf_variables` has found in a NetCDF file.

    Raises
    ------
    InputError
        If it is damaged, or stored in blocks that nobody could read.
    """
    place = f'NETCDF:"{Path(path).absolute()}":{variable}'
    with _opened_netcdf(place, what, f"{path}: {variable}") as raster:
        _require_readable(raster, f"{path}: {variable}")
        yield raster


@contextmanager
def _opened_netcdf(place: str, what: str, name: str) -> Iterator[rasterio.DatasetReader]:
    settings = {**_CLOSED, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": False}
    try:
        with (
            quiet_about_georeference(),
            rasterio.Env(**settings),
            rasterio.open(place, driver="netCDF") as raster,
        ):
            yield raster
    except _UNREADABLE as error:
        raise _unreadable(name, what, error) from error


def _unreadable(name: str, what: str, error: Exception) -> InputError:
    if isinstance(error, UnicodeDecodeError):
        return InputError(
            f"{name}: a text in it isn't UTF-8 ({error.object[:40]!r}); write it again, with "
            "`gdal_translate -a_srs EPSG:... -co COPY_SRC_MDD=NO`"
        )
    reason = library_text(error.__cause__ or error)
    return InputError(f"{name}: not a readable {what} ({reason}); fetch it again")


def require_tiff(file: Path, what: str, name: str) -> None:
    """Check that a file begins as a TIFF does.

    Raises
    ------
    InputError
        If it doesn't; one that names other files is called what it is.
    """
    try:
        with file.open("rb") as content:
            head = content.read(512)
    except OSError as error:
        raise InputError(
            f"{name}: not a readable {what} ({error.strerror}); check the path"
        ) from error
    if head.startswith(TIFF):
        return
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_REFERENCES):
        raise InputError(
            f"{name}: names other files or services instead of being a {what}; give these, or make "
            "a GeoTIFF of it with `gdal_translate`"
        )
    raise InputError(
        f"{name}: not a readable {what} (no GeoTIFF); fetch it again, or convert it with "
        "`gdal_translate`"
    )


def _companions(file: Path) -> list[Path]:
    """Return the files beside a GeoTIFF that GDAL reads for its place, its values or its mask."""
    names = [file.name + ending for ending in _AFTER_NAME]
    names += [file.stem + ending for ending in _INSTEAD_OF_SUFFIX]
    spelled = (spelling for name in names for spelling in (name, *_upper(name)))
    candidates = (file.with_name(name) for name in dict.fromkeys(spelled))
    return [path for path in candidates if path.is_symlink() or path.exists()]


def _upper(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return name.upper(), stem + dot + ending.upper()


def _require_readable(raster: rasterio.DatasetReader, name: str) -> None:
    if raster.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
        raise InputError(
            f"{name}: its metadata name another file for its overviews; make a copy without, with "
            "`gdal_translate`"
        )
    if raster.count == 0:
        return
    layout = raster.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE", "")
    together = raster.count if layout == "PIXEL" else 1
    height, width = raster.block_shapes[0]
    size = math.prod((height, width, together)) * np.dtype(raster.dtypes[0]).itemsize
    if size > _MOST_BLOCK:
        raise InputError(
            f"{name}: stored in blocks of {height:,} x {width:,} px and {together:,} bands, too "
            "large to read; make a copy in tiles, with `gdal_translate -co TILED=YES`"
        )


def is_whole(path: str | Path, *, sparse: bool = False) -> bool:
    """Return whether all of a GeoTIFF is there: its bands and their overviews.

    Parameters
    ----------
    path
        The file.
    sparse
        Allow blocks that were never written, which are read as no data.

    Returns
    -------
    bool
        False also if the file can't be opened.
    """
    length = Path(path).stat().st_size
    try:
        ranges = sorted({block for level in _levels(path) for block in _blocks(path, level)})
    except InputError:
        return False
    if sparse:
        return all(start + size <= length for start, size in ranges)
    ends = [start + size for start, size in ranges]
    written = all(start > 0 and size > 0 for start, size in ranges) and max(ends) <= length
    # A block that could be written in part alone lies where the next one begins.
    return written and all(end <= start for end, (start, _) in zip(ends, ranges[1:], strict=False))


def read_through(path: str | Path, *, threads: int = 1) -> None:
    """Read all of a GeoTIFF of floodloom's own, with its overviews, and keep nothing of it.

    Raises
    ------
    RasterioIOError
        If a block can't be read, as when its checksum differs.
    """
    for level in _levels(path):
        options = {"num_threads": threads} | ({} if level is None else {"overview_level": level})
        with quiet_about_georeference(), rasterio.open(path, **options) as raster:
            height = raster.block_shapes[0][0]
            for row in range(0, raster.height, height):
                raster.read(window=Window(0, row, raster.width, min(height, raster.height - row)))


def _levels(path: str | Path) -> tuple[int | None, ...]:
    with open_raster(path, "GeoTIFF") as raster:
        return (None, *range(len(raster.overviews(1))))


def _blocks(path: str | Path, level: int | None) -> Iterator[tuple[int, int]]:
    """Yield where each block of an overview (None: the image) begins and its length, bytes."""
    with open_raster(path, "GeoTIFF", level=level) as reduced:
        height, width = reduced.block_shapes[0]
        rows, columns = -(-reduced.height // height), -(-reduced.width // width)

    with open_raster(path, "GeoTIFF") as raster:
        for band, row, column in product(raster.indexes, range(rows), range(columns)):
            place = f"{column}_{row}"
            start = raster.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band, ovr=level)
            size = raster.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band, ovr=level)
            yield int(start or 0), int(size or 0)


@contextmanager
def quiet_about_georeference() -> Iterator[None]:
    """Silence rasterio's warning about files without georeference, where none is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
