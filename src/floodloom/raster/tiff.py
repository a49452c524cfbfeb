"""The one tag of a TIFF that GDAL doesn't let us choose.

A file of two bands whose first has a colour table gets ExtraSamples = 2 (unassociated alpha) from
GDAL's GTiff and COG drivers, whatever the source declares of its second band. A warp, a tile server
and QGIS then hide every pixel in which that band is 0. The tag is rewritten in place, so that the
layout of a cloud-optimised file stays as it is.

Source: TIFF 6.0, sections 2 and 18; BigTIFF (libtiff, design of 64-bit offsets).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from floodloom.errors import InputError

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
