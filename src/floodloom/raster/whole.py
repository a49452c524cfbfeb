"""Whether a GeoTIFF is whole: every block that its directory names lies within the file.

GDAL doesn't always say that a disk was full when it closed a file, and a file that was cut short
opens as long as its directory is there. Comparing byte ranges reads the directory alone.

Source: GDAL, GTiff driver, metadata items BLOCK_OFFSET_x_y and BLOCK_SIZE_x_y.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from floodloom.errors import InputError
from floodloom.raster.opener import opened


def is_whole(path: str | Path, *, sparse: bool = False) -> bool:
    """Tell whether all of a GeoTIFF is there: its bands and their overviews.

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
        with opened(path, "GeoTIFF") as raster:
            levels = (None, *range(len(raster.overviews(1))))
        ranges = (block for level in levels for block in _blocks(path, level))
        return all(start + size <= length and (sparse or start > 0) for start, size in ranges)
    except InputError:
        return False


def _blocks(path: str | Path, level: int | None) -> Iterator[tuple[int, int]]:
    """Yield where each block of an overview (None: the image) begins and its length, bytes."""
    with opened(path, "GeoTIFF", level=level) as reduced:
        height, width = reduced.block_shapes[0]
        rows, columns = -(-reduced.height // height), -(-reduced.width // width)
    with opened(path, "GeoTIFF") as raster:
        for band, row, column in product(raster.indexes, range(rows), range(columns)):
            place = f"{column}_{row}"
            start = raster.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band, ovr=level)
            size = raster.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band, ovr=level)
            yield int(start or 0), int(size or 0)
