"""The part of a remote GeoTIFF that a map needs, as a GeoTIFF of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as RasterWindow

from floodloom.acquire.content import require_start
from floodloom.acquire.download import NoPartsError
from floodloom.acquire.fetch import require_space
from floodloom.acquire.remote import Range, Remote, merged
from floodloom.errors import InputError, library_text
from floodloom.log import get_logger, track
from floodloom.raster.align import part_of
from floodloom.raster.content import TIFF
from floodloom.raster.foreign_grid import grid_of
from floodloom.raster.opener import is_whole, open_tiff, quiet_about_georeference
from floodloom.raster.windows import Window
from floodloom.texts import redact

PART = "FLOODLOOM_PART"
"""Tag that states which part of a file was fetched, and how many bytes of it came."""
SOURCE = "FLOODLOOM_SOURCE"
"""Tag that states where the whole file lies."""

LESS = 0.5
"""Share of a file up to which a part of it is fetched: a whole one can be verified."""
_TALL = 512  # px that are fetched at a time
_MOST_BLOCKS = 1 << 18  # whose places are looked up
_AROUND = 16  # bytes before and after a block, which COGs use for its size
_log = get_logger(__name__)


@dataclass(frozen=True)
class Area:
    """What is needed of a raster: the ground of a grid, and pixels of the raster around it."""

    grid: GeoBox
    margin: int


class Outcome(Enum):
    """What has become of a request for a part."""

    WRITTEN = "written"
    ELSEWHERE = "shows nothing of the area"
    WHOLE = "had better be fetched as a whole"


def fetch_part(source: str, path: Path, area: Area) -> Outcome:
    """Fetch the part of a GeoTIFF that an area needs, where that is less than the whole.

    Parameters
    ----------
    source
        http(s):// address.
    path
        GeoTIFF to write: the same pixels, with the same grid, numbers, no-data value and tags, and
        what was read of which file as `PART` and `SOURCE`. Half of it may be there after an error.
    area
        What is needed.

    Returns
    -------
    Outcome
        `WHOLE` also where the server sends no parts, or the file isn't one that can be read so.

    Raises
    ------
    InputError
        If the file can't be read, is no GeoTIFF or is damaged.
    """
    shown = redact(source)
    try:
        remote = Remote(source)
        require_start(remote.head, shown)
        if not remote.head.startswith(TIFF):
            return Outcome.WHOLE
        return _fetch(remote, shown, path, area)
    except NoPartsError as error:
        _log.info("%s", error)
        path.unlink(missing_ok=True)
        return Outcome.WHOLE


def _fetch(remote: Remote, shown: str, path: Path, area: Area) -> Outcome:
    try:
        with open_tiff("remote.tif", "GeoTIFF", shown, opener=remote.open) as raster:
            if not _can_be_cut(raster):
                return Outcome.WHOLE
            part = part_of(grid_of(raster, shown, points=False), area.grid, margin=area.margin)
            if part is None:
                return Outcome.ELSEWHERE
            if _count(raster, part) > _MOST_BLOCKS:
                return Outcome.WHOLE
            needed = sum(b - a for a, b in merged(_ranges(raster, part), remote.size))
            if remote.failure is None and remote.received + needed > LESS * remote.size:
                return Outcome.WHOLE
            require_space(path.parent, _bytes(raster, part), shown)
            _write(remote, raster, part, path, shown)
    except InputError:
        if remote.failure is not None:
            raise remote.failure from None
        raise
    if remote.failure is not None:
        raise remote.failure
    if not is_whole(path):
        raise _unwritten(shown)
    _log.info(
        "%s: %.1f of %.1f MB, the part that the map needs",
        shown, remote.received / 1e6, remote.size / 1e6,
    )  # fmt: skip
    return Outcome.WRITTEN


def _can_be_cut(raster: rasterio.DatasetReader) -> bool:
    """Whether a part stands for itself: placed by a grid, no data by a number."""
    masks = {flag for flags in raster.mask_flag_enums for flag in flags}
    apart = masks & {MaskFlags.per_dataset, MaskFlags.alpha} - {MaskFlags.nodata}
    return raster.count > 0 and raster.crs is not None and not apart


def _blocks(raster: rasterio.DatasetReader, part: Window) -> tuple[range, range]:
    """Return rows and columns of the blocks that a part of the raster is stored in."""
    height, width = raster.block_shapes[0]
    rows = range(part.row // height, -(-(part.row + part.height) // height))
    return rows, range(part.col // width, -(-(part.col + part.width) // width))


def _count(raster: rasterio.DatasetReader, part: Window) -> int:
    rows, columns = _blocks(raster, part)
    return len(rows) * len(columns) * int(raster.count)


def _ranges(raster: rasterio.DatasetReader, part: Window) -> Iterator[Range]:
    """Yield where these blocks lie in the file."""
    seen: set[int] = set()
    rows, columns = _blocks(raster, part)
    for band in raster.indexes:
        for row in rows:
            for column in columns:
                place = f"{column}_{row}"
                start = raster.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
                size = raster.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
                if start and size and int(start) not in seen:
                    seen.add(int(start))
                    yield max(int(start) - _AROUND, 0), int(start) + int(size) + _AROUND


def _bytes(raster: rasterio.DatasetReader, part: Window) -> int:
    return part.height * part.width * sum(int(np.dtype(dtype).itemsize) for dtype in raster.dtypes)


def _write(
    remote: Remote, raster: rasterio.DatasetReader, part: Window, path: Path, shown: str
) -> None:
    with _target(path, _profile(raster, part), shown) as target:
        _describe(raster, target)
        strips = list(_strips(raster, part))
        for strip in track(strips, f"fetching a part of {shown.rpartition('/')[2]}"):
            remote.expect(_ranges(raster, strip))
            values = _read(raster, strip, shown)
            place = RasterWindow(0, strip.row - part.row, strip.width, strip.height)
            target.write(values, window=place)
        where = f"{part.width} x {part.height} px from column {part.col}, row {part.row}"
        whole = f"{raster.width} x {raster.height}"
        note = f"{where} of {whole}; {remote.received} of {remote.size} bytes"
        target.update_tags(**{SOURCE: shown, PART: note})


def _read(raster: rasterio.DatasetReader, strip: Window, shown: str) -> NDArray[Any]:
    place = RasterWindow(strip.col, strip.row, strip.width, strip.height)
    try:
        values: NDArray[Any] = raster.read(window=place)
    except rasterio.errors.RasterioError as error:
        reason = library_text(error.__cause__ or error)
        raise InputError(f"{shown}: its part can't be read ({reason}); fetch it again") from error
    return values


@contextmanager
def _target(path: Path, profile: dict[str, Any], shown: str) -> Iterator[Any]:
    """Open the part for writing; of a full disk GDAL says only that a write has failed."""
    try:
        with quiet_about_georeference(), rasterio.open(path, "w", **profile) as target:
            yield target
    except (rasterio.errors.RasterioError, CPLE_BaseError) as error:
        raise _unwritten(shown) from error


def _unwritten(shown: str) -> InputError:
    return InputError(f"{shown}: its part can't be written; free some space or write elsewhere")


def _profile(raster: rasterio.DatasetReader, part: Window) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "width": part.width,
        "height": part.height,
        "count": raster.count,
        "dtype": raster.dtypes[0],
        "nodata": raster.nodata,
        "crs": raster.crs,
        "transform": raster.transform @ raster.transform.translation(part.col, part.row),
        "tiled": True,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }


def _describe(raster: rasterio.DatasetReader, target: Any) -> None:
    """Take over what a file states of its bands."""
    target.update_tags(**raster.tags())
    target.descriptions = raster.descriptions
    target.scales, target.offsets = raster.scales, raster.offsets
    target.units = raster.units
    if raster.colorinterp[0] == ColorInterp.palette:
        target.write_colormap(1, raster.colormap(1))


def _strips(raster: rasterio.DatasetReader, part: Window) -> Iterator[Window]:
    """Part a window along the rows of the file's blocks."""
    height = raster.block_shapes[0][0]
    tall = height * math.ceil(_TALL / height)
    row, end = part.row, part.row + part.height
    while row < end:
        stop = min((row // tall + 1) * tall, end)
        yield Window(row, part.col, stop - row, part.width)
        row = stop
