"""Whether a GeoTIFF is whole: every block that its directory names lies within the file.

GDAL doesn't always report that a disk was full when it closed a file, and a file that was cut short
opens as long as its directory is there. Comparing byte ranges reads the directory alone; compressed
blocks show by their checksums whether they are what was written, once they are read.

Source: GDAL, GTiff driver, metadata items BLOCK_OFFSET_x_y and BLOCK_SIZE_x_y.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import rasterio
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.raster.grid import quiet_about_georeference
from floodloom.raster.opener import open_raster


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
