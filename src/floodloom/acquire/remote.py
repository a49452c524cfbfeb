"""A file on a server that GDAL reads by parts, over the requests of floodloom.

Not by GDAL's own network: limits, logins, redirections and pauses hold for parts as for whole
files, and no address that is signed comes to a library that may log it or keep it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from floodloom.acquire.download import Part, read_part
from floodloom.acquire.web import TimeLimits
from floodloom.errors import InputError
from floodloom.texts import redact

_AHEAD = 64 << 10
"""Bytes that are read where fewer are asked for: a directory is read in many small pieces."""
_GAP = 64 << 10
"""Bytes between two parts that are read along with them: a request takes longer."""
_LONGEST = 64 << 20
"""Bytes of a request."""
_MOST_HEAD = 64 << 20
"""Bytes that may be read before anything was chosen: a directory has some hundred kilobytes."""

Range = tuple[int, int]
"""First byte, and the one after the last."""


class Remote:
    """A file on a server that sends parts.

    Parameters
    ----------
    source
        http(s):// address.

    Attributes
    ----------
    size
        Bytes of the file.
    received
        Bytes that came so far.
    head
        How it begins.
    failure
        Why a read of GDAL's failed, if one did.

    Raises
    ------
    NoPartsError
        If the server sends no parts.
    InputError
        If the file can't be read.
    """

    def __init__(self, source: str) -> None:
        self._source, self._limits = source, TimeLimits()
        self._mark: str | None = None
        self._kept: list[tuple[int, bytes]] = []
        self._passing: list[tuple[int, bytes]] = []
        self.size, self.received = 0, 0
        self.failure: Exception | None = None
        self.head = self._request(0, _AHEAD)
        self._kept.append((0, self.head))

    def read(self, first: int, count: int) -> bytes:
        """Return some bytes, fewer at the end of the file."""
        found = b""
        stop = min(first + count, self.size)
        while (at := first + len(found)) < stop:
            piece = self._have(at, stop)
            if not piece:
                piece = self._request(at, min(max(stop, at + _AHEAD), self.size))
                self._keep(at, piece)
                piece = piece[: stop - at]
            found += piece
        return found

    def expect(self, ranges: Iterable[Range]) -> None:
        """Fetch parts that are read next, with few requests; those that were expected are let go.

        Raises
        ------
        NoPartsError, InputError
            As when it was opened.
        """
        self._passing = [(a, self._request(a, b)) for a, b in merged(ranges, self.size)]

    def open(self, path: str, mode: str = "rb", *args: Any) -> Reader:
        """Return the file as rasterio opens it."""
        return Reader(self)

    def _have(self, at: int, stop: int) -> bytes:
        for first, content in (*self._passing, *self._kept):
            if first <= at < first + len(content):
                return content[at - first : stop - first]
        return b""

    def _keep(self, first: int, content: bytes) -> None:
        self._kept.append((first, content))
        if sum(len(content) for _, content in self._kept) > _MOST_HEAD:
            raise InputError(
                f"{redact(self._source)}: its directory is larger than {_MOST_HEAD} bytes; fetch "
                "it by hand and give its path"
            )

    def _request(self, first: int, stop: int) -> bytes:
        part = Part(first, stop - 1, self._mark)
        came = read_part(self._source, part, self._limits)
        self.size, self._mark = came.size, came.mark
        self.received += len(came.content)
        return came.content


class Reader(io.RawIOBase):
    """A remote file at a place, which keeps what goes wrong: GDAL doesn't pass it on."""

    def __init__(self, remote: Remote) -> None:
        self._remote, self._at = remote, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._remote.size}
        self._at = start[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        count = self._remote.size - self._at if size < 0 else size
        try:
            content = self._remote.read(self._at, count)
        except Exception as error:
            self._remote.failure = error
            return b""
        self._at += len(content)
        return content


def merged(ranges: Iterable[Range], size: int) -> list[Range]:
    """Put ranges together that touch or nearly do, as long as a request may be.

    Parameters
    ----------
    ranges
        In any order.
    size
        Bytes of the file, which no range goes beyond.
    """
    found: list[Range] = []
    for first, stop in sorted(ranges):
        last = min(stop, size)
        if found and first <= found[-1][1] + _GAP and last - found[-1][0] <= _LONGEST:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first < last:
            found.append((first, last))
    return found
