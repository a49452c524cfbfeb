"""Reading what lies behind a path or an address, to its end and no further.

A server may send less than it states, more than any product has, or so little at a time that it
never ends; a download that breaks off goes on where it was, if the server marks its content by a
validator.

Source: RFC 9110, HTTP Semantics, sections 8.6 (Content-Length), 8.8 (validators) and 14 (ranges).
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from floodloom.acquire.time_limits import TimeLimits, TooSlowError
from floodloom.acquire.web import open_address, reason_of
from floodloom.errors import InputError
from floodloom.texts import is_address, redact

LARGEST = 10 << 30
"""Bytes of the largest download; Sentinel-1's largest products have about 8 GB."""

_BLOCK = 1 << 20
_PAUSES_S = (1.0, 2.0, 4.0)
_PROGRESS = 10 << 20
"""Bytes after which a download that breaks off has as many tries again."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


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
        yield _Download(source, most).blocks()
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


class _Download:
    def __init__(self, source: str, most: int) -> None:
        self._source, self._most, self._shown = source, most, redact(source)
        self._limits = TimeLimits()
        self._received = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield all that the server has, with new requests for the rest where one breaks off."""
        response = open_address(self._source, self._limits)
        total, mark = response.length, _mark(response)
        self._require_room(total or 0)
        tries, begun = 0, 0
        while True:
            broken = yield from self._read(response, total)
            if broken is None:
                return
            if self._received >= begun + _PROGRESS:
                tries, begun = 0, self._received
            if mark is None or tries == len(_PAUSES_S):
                raise InputError(f"{self._shown}: {broken}; try again")
            time.sleep(_PAUSES_S[tries])
            tries += 1
            response = self._rest(mark, total, broken)

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

    def _rest(self, mark: str, total: int | None, broken: str) -> Any:
        """Request what is missing; what comes must be the rest of the same content."""
        self._limits.pause()
        wanted = {"Range": f"bytes={self._received}-", "If-Range": mark}
        response = open_address(self._source, self._limits, wanted)
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        stated = None if found is None or found[2] == "*" else int(found[2])
        if found is None or int(found[1]) != self._received or stated not in (None, total):
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
