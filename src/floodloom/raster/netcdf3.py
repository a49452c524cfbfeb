"""Whether the header of a classic NetCDF file fits the file.

The library of NetCDF takes as much memory as a header says that there are attributes, variables or
values, before it looks for any: gigabytes for a file of a few hundred bytes.

Source: The NetCDF Classic Format Specification, of which CDF-1, CDF-2 and CDF-5 are the versions,
https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from floodloom.errors import InputError

CLASSIC = {b"CDF\1": (4, 4), b"CDF\2": (4, 8), b"CDF\5": (8, 8)}
"""How such a file begins, and the bytes of its counts and of its offsets."""

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a value of each type."""
_LARGEST_HEADER = 4 << 20  # bytes
_MOST_DIMENSIONS = 1024  # of a variable, the library's own limit

_T = TypeVar("_T")


def require_whole(path: Path, name: str) -> None:
    """Check that a classic NetCDF file is as long as its header says.

    Parameters
    ----------
    path
        A regular file that begins as one of `CLASSIC`.
    name
        What it is called in messages.

    Raises
    ------
    InputError
        If a list or the numbers of a variable would end beyond it.
    """
    with path.open("rb") as file:
        header = _Header(file.read(_LARGEST_HEADER))
    try:
        header.require_within(path.stat().st_size)
    except ValueError as error:
        raise InputError(
            f"{name}: a NetCDF file, damaged or cut off ({error}); fetch it again"
        ) from error


class _Variable(NamedTuple):
    """Where the values of a variable begin, and their bytes: of a record, if it has these."""

    begin: int
    size: int
    has_records: bool


class _Header:
    """A header, read from its beginning to its end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 4
        self._lengths: list[int] = []
        self._count, self._offset = CLASSIC[content[:4]]

    def require_within(self, size: int) -> None:
        """Go through the whole header; raise ValueError where it says what can't be."""
        records = self._number(self._count)
        if records == 256**self._count - 1:  # as many as there are, of a file that was streamed
            records = 0
        self._lengths = self._list(_DIMENSIONS, self._dimension)
        self._list(_ATTRIBUTES, self._attribute)
        variables = self._list(_VARIABLES, self._variable)

        # A record holds one of each variable that has records.
        record = sum(one.size for one in variables if one.has_records)
        for one in variables:
            before = (records - 1) * record if one.has_records else 0
            if one.begin + before + one.size > size and (records or not one.has_records):
                raise ValueError("the numbers of a variable end beyond it")

    def _number(self, width: int) -> int:
        return int.from_bytes(self._bytes(width), "big")

    def _bytes(self, length: int) -> bytes:
        found = self._content[self._at : self._at + length]
        if len(found) < length:
            raise ValueError("its header doesn't end")
        self._at += length
        return found

    def _list(self, tag: int, one: Callable[[], _T]) -> list[_T]:
        """Read a list, each of whose entries takes bytes: a count that lies ends with the file."""
        found, count = self._number(4), self._number(self._count)
        if found != tag and (found or count):
            raise ValueError(f"tag {found} in place of {tag}")
        return [one() for _ in range(count)]

    def _padded(self, length: int) -> bytes:
        return self._bytes(length + -length % 4)

    def _dimension(self) -> int:
        self._padded(self._number(self._count))
        return self._number(self._count)

    def _attribute(self) -> None:
        self._padded(self._number(self._count))
        width = self._type()
        self._padded(width * self._number(self._count))

    def _type(self) -> int:
        found = self._number(4)
        if found not in _SIZES:
            raise ValueError(f"numbers of type {found}")
        return _SIZES[found]

    def _variable(self) -> _Variable:
        self._padded(self._number(self._count))
        rank = self._number(self._count)
        if rank > _MOST_DIMENSIONS:
            raise ValueError(f"a variable of {rank:,} dimensions")
        places = [self._number(self._count) for _ in range(rank)]
        if any(place >= len(self._lengths) for place in places):
            raise ValueError("a dimension that it doesn't have")
        shape = [self._lengths[place] for place in places]
        self._list(_ATTRIBUTES, self._attribute)
        width = self._type()
        self._number(self._count)  # bytes in all, which are counted anew
        begin = self._number(self._offset)
        has_records = bool(shape) and shape[0] == 0
        return _Variable(begin, width * math.prod(shape[has_records:]), has_records)
