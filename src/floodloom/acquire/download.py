"""Files behind addresses, whole or a part of them, with new requests where one breaks off."""

from __future__ import annotations

import http.client
import math
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from floodloom.acquire import web
from floodloom.acquire.web import (
    TimeLimits,
    TooSlowError,
    UnreachableError,
    open_address,
    reason_of,
)
from floodloom.errors import InputError
from floodloom.texts import is_address, redact

LARGEST = 10 << 30
"""Bytes of the largest download; Sentinel-1's largest products have about 8 GB."""

_BLOCK = 1 << 20
_PROGRESS = 10 << 20
_PROGRESS_SHARE = 0.01
"""Bytes, or share of the whole, after which a download that breaks off has as many tries again."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class NoPartsError(InputError):
    """A server that sends a file as a whole alone, or whose file has changed since a part."""


@contextmanager
def open_source(source: str, most: int = LARGEST) -> Iterator[Iterator[bytes]]:
    """Give the blocks of a file or of the content of an address.

    Parameters
    ----------
    source
        Path or http(s):// address.
    most
        Bytes that an address may send at most.

    Yields
    ------
    Iterator
        Blocks of bytes, at most 1 MiB each.

    Raises
    ------
    InputError
        If it can't be read, is larger than `most`, takes too long, or ends before its
        Content-Length.
    """
    if is_address(source):
        yield _Download(source, most, TimeLimits()).blocks()
        return
    with _file(source) as stream:
        yield iter(lambda: stream.read(_BLOCK), b"")


def _file(source: str) -> IO[bytes]:
    path = Path(source)
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; use it where it lies, or give a zip of it")
    if not path.is_file():
        raise InputError(f"{path}: a pipe or a device; give a file")
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check it") from error


@dataclass(frozen=True)
class Part:
    """A part of a file.

    Attributes
    ----------
    first, last
        Its first and last byte, from 0; the file may end before.
    mark
        Validator of the file's content, from an earlier part.
    """

    first: int
    last: int
    mark: str | None = None


@dataclass(frozen=True)
class Received:
    """What a server sent of a file: the bytes, how many the file has, and its validator."""

    content: bytes
    size: int
    mark: str | None


def read_part(source: str, part: Part, limits: TimeLimits) -> Received:
    """Read a part of the content of an address.

    Parameters
    ----------
    source
        http(s):// address.
    part
        Which.
    limits
        How long it may take, and what was read before.

    Raises
    ------
    NoPartsError
        If the server sends no parts, or the content is another than that of the earlier part.
    InputError
        If it can't be read, takes too long or breaks off for good.
    """
    limits.pause()
    download = _Download(source, part.last - part.first + 1, limits, part)
    content = b"".join(download.blocks())
    if part.mark is not None and download.mark != part.mark:  # some servers don't heed If-Range
        raise NoPartsError(
            f"{redact(source)}: has changed since a part of it came; fetch all of it"
        )
    if len(content) != min(part.last + 1, download.size) - part.first:
        raise InputError(f"{redact(source)}: the server sent less than was asked for; try again")
    return Received(content, download.size, download.mark)


class _Download:
    """The blocks of a file, or of a part of it."""

    def __init__(
        self, source: str, most: int, limits: TimeLimits, part: Part | None = None
    ) -> None:
        self._source, self._most, self._shown = source, most, redact(source)
        self._limits, self._part = limits, part
        self._first = 0 if part is None else part.first
        self._received = 0
        self._begun, self._tries = 0, 0
        self.size = 0
        self.mark: str | None = None

    def blocks(self) -> Iterator[bytes]:
        """Yield all that the server has, with new requests for the rest where one breaks off."""
        response = self._open()
        total = response.length
        self.mark = _mark(response)
        self._require_room(total or 0)
        while True:
            broken = yield from self._read(response, total)
            if broken is None:
                return
            response = self._again(total, broken)

    def _open(self) -> Any:
        if self._part is None:
            return open_address(self._source, self._limits)
        marks = {} if self._part.mark is None else {"If-Range": self._part.mark}
        wanted = {"Range": f"bytes={self._part.first}-{self._part.last}", **marks}
        response = open_address(self._source, self._limits, wanted)
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != self._part.first or found[3] == "*":
            response.close()
            raise NoPartsError(f"{self._shown}: the server sends no parts of it; fetch all of it")
        self.size = int(found[3])
        return response

    def _read(self, response: Any, total: int | None) -> Generator[bytes, None, str | None]:
        """Yield the blocks of one response; return why it broke off, or None if it is whole."""
        with response:
            while total is None or self._received < total:
                want = _BLOCK if total is None else min(_BLOCK, total - self._received)
                try:
                    block = response.read1(want)
                except TooSlowError as error:
                    raise InputError(
                        f"{self._shown}: too slow ({error}); try again later"
                    ) from None
                except TimeoutError as error:
                    raise InputError(
                        f"{self._shown}: {self._broke_off(error)}; try again"
                    ) from None
                except (OSError, http.client.HTTPException) as error:
                    return self._broke_off(error)
                if not block:
                    break
                self._received += len(block)
                self._require_room(self._received)
                yield block
        if total is None or self._received == total:
            return None
        return f"{self._received} bytes came but the server states {total}"

    def _again(self, total: int | None, broken: str) -> Any:
        """Request the rest after a pause, as often as the download makes way."""
        if self._received >= self._begun + min(_PROGRESS, _PROGRESS_SHARE * (total or math.inf)):
            self._tries, self._begun = 0, self._received
        while self.mark is not None and self._tries < len(web.PAUSES_S):
            time.sleep(web.PAUSES_S[self._tries])
            self._tries += 1
            with suppress(UnreachableError):
                return self._rest(self.mark, total, broken)
        raise InputError(f"{self._shown}: {broken}; try again")

    def _rest(self, mark: str, total: int | None, broken: str) -> Any:
        """Request what is missing; what comes must be the rest of the same content."""
        self._limits.pause()
        start, last = self._first + self._received, "" if self._part is None else self._part.last
        wanted = {"Range": f"bytes={start}-{last}", "If-Range": mark}
        response = open_address(self._source, self._limits, wanted)
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        whole = self.size or total
        stated = None if found is None or found[3] == "*" else int(found[3])
        if found is None or int(found[1]) != start or stated not in (None, whole):
            response.close()
            raise InputError(f"{self._shown}: {broken}; try again")
        return response

    def _require_room(self, size: int) -> None:
        if size > self._most:
            raise InputError(
                f"{self._shown}: more than the {self._most} bytes that it may have; check the "
                "address, or fetch it by hand and give its path"
            )

    def _broke_off(self, error: Exception) -> str:
        return f"broke off after {self._received} bytes ({reason_of(error)})"


def _mark(response: Any) -> str | None:
    """Return the validator of this content, if the server sends a strong one."""
    tag, changed = response.headers.get("ETag"), response.headers.get("Last-Modified")
    mark = tag if tag and not tag.startswith("W/") else changed
    return None if mark is None else str(mark)
