"""Whether an HDF5 file holds all of its numbers itself.

The library of HDF5 follows what a file names without asking: external storage, external links and
the sources of virtual datasets are read wherever they lie on the machine. Each of the three is a
message of fixed form in the file's metadata, which is never compressed, so that going through the
bytes finds all of them; what looks like one by chance is as good as impossible.

Source: HDF5 File Format Specification 3.0, sections II.A (superblock), III.D (local heap), III.E
(global heap), III.G (fractal heap), IV.A.2.g (link), h (external files) and i (data layout).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from floodloom.errors import InputError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How such a file begins, a NetCDF-4 file too."""

_SIZE_OF_ADDRESSES = {0: 13, 1: 13, 2: 9, 3: 9}
_BASE_ADDRESS = {0: 24, 1: 28, 2: 12, 3: 12}
"""Where both stand, by the version of the superblock."""
_LOCAL_HEAP = b"HEAP\0\0\0\0"
_GLOBAL_HEAP = b"GCOL\1\0\0\0"
_FILTERED_HEAP = re.compile(rb"FRHP\x00..(?!\x00\x00)", re.DOTALL)
_EXTERNAL_FILES = b"\1\0\0\0"
_VIRTUAL_LAYOUTS = (b"\4\3", b"\5\3")
_EXTERNAL_LINK = re.compile(rb"\x01[\x08-\x0f\x18-\x1f]\x40")
_MOST_HEAPS = 1000


def require_alone(path: Path, name: str) -> None:
    """Check that an HDF5 file names no other file.

    Parameters
    ----------
    path
        A regular file that begins with `SIGNATURE`.
    name
        What it is called in messages.

    Raises
    ------
    InputError
        If it does, or is built so that this can't be seen.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _require_plain(content, name)
        if _stores_elsewhere(content, name) or _is_virtual(content, name) or _links(content):
            raise InputError(
                f"{name}: names other files for its data; make a copy that holds them, with "
                "`gdal_translate` or `nccopy`"
            )


def _require_plain(content: mmap.mmap, name: str) -> None:
    """Refuse addresses that aren't plain offsets, and links that may be compressed."""
    version = content[8] if len(content) > 48 else -1
    size, base = _SIZE_OF_ADDRESSES.get(version, 0), _BASE_ADDRESS.get(version, 0)
    plain = size and content[size] == 8 and not any(content[base : base + 8])
    if not plain or _FILTERED_HEAP.search(content):
        raise InputError(
            f"{name}: HDF5 in a form that isn't read (superblock {version}); make a copy with "
            "`gdal_translate` or `nccopy`"
        )


def _stores_elsewhere(content: mmap.mmap, name: str) -> bool:
    """Whether a dataset has a list of external files, whose names lie in a local heap."""
    for heap in _heaps(content, _LOCAL_HEAP, name):
        for at in _found(content, heap.to_bytes(8, "little")):
            if at >= 8 and content[at - 8 : at - 4] == _EXTERNAL_FILES:
                return True
    return False


def _is_virtual(content: mmap.mmap, name: str) -> bool:
    """Whether a dataset is put together from others, whose names lie in a global heap."""
    for heap in _heaps(content, _GLOBAL_HEAP, name):
        address = heap.to_bytes(8, "little")
        for layout in _VIRTUAL_LAYOUTS:
            if content.find(layout + address) >= 0:
                return True
    return False


def _links(content: mmap.mmap) -> bool:
    """Whether a group has an external link."""
    return any(_is_link(content, found.start()) for found in _EXTERNAL_LINK.finditer(content))


def _is_link(content: mmap.mmap, start: int) -> bool:
    """Whether a link message begins here whose value is a file and a path in it."""
    flags, at = content[start + 1], start + 3
    at += 8 * bool(flags & 4) + bool(flags & 16)  # order of creation, character set
    width = 1 << (flags & 3)
    length = int.from_bytes(content[at : at + width], "little")
    at += width + length
    if at + 3 > len(content):
        return False
    size = int.from_bytes(content[at : at + 2], "little")
    value = content[at + 2 : at + 2 + size]
    return len(value) == size > 3 and value[0] == 0 and value[1:].count(b"\0") == 2


def _heaps(content: mmap.mmap, signature: bytes, name: str) -> list[int]:
    found = []
    for at in _found(content, signature):
        found.append(at)
        if len(found) > _MOST_HEAPS:
            raise InputError(
                f"{name}: HDF5 of more than {_MOST_HEAPS} groups; make a copy of what is needed, "
                "with `gdal_translate` or `nccopy`"
            )
    return found


def _found(content: mmap.mmap, what: bytes) -> Iterator[int]:
    at = content.find(what)
    while at >= 0:
        yield at
        at = content.find(what, at + 1)
