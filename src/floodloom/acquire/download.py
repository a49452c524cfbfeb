"""Reading what lies behind a path or an address, to its end and no further.

A server may send less than it states, more than anybody wants, or so little at a time that it never
ends; a download that breaks off goes on where it was, if the server can tell that it is the same.

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

from floodloom.acquire.patience import Patience, TooSlowError
from floodloom.acquire.web import ask, reason_of
from floodloom.errors import InputError
from floodloom.shown import is_address, redacted

LARGEST = 10 << 30
"""Bytes of the largest download; Sentinel-1's largest products have about 8 GB."""

_BLOCK = 1 << 20
_PAUSES_S = (1.0, 2.0, 4.0)
_PROGRESS = 10 << 20
"""Bytes after which a download that breaks off has as many tries again."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@contextmanager
def opened(source: str, most: int = LARGEST) -> Iterator[Iterator[bytes]]:
    """Give the blocks of a file or of what an address answers.

    Parameters
    ----------
    source
        Path or http(s):// address.
    most
        Bytes that an address may answer at most.

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
        self._source, self._most, self._shown = source, most, redacted(source)
        self._patience = Patience()
        self._received = 0

    def blocks(self) -> Iterator[bytes]:
        """Yield all that the server has, with new requests for the rest where one breaks off."""
        answer = ask(self._source, self._patience)
        total, mark = answer.length, _mark(answer)
        self._require_room(total or 0)
        tries, begun = 0, 0
        while True:
            broken = yield from self._read(answer, total)
            if broken is None:
                return
            if self._received >= begun + _PROGRESS:
                tries, begun = 0, self._received
            if mark is None or tries == len(_PAUSES_S):
                raise InputError(f"{self._shown}: {broken}; try again")
            time.sleep(_PAUSES_S[tries])
            tries += 1
            answer = self._rest(mark, total, broken)

    def _read(self, answer: Any, total: int | None) -> Generator[bytes, None, str | None]:
        """Yield the blocks of one answer; return why it broke off, or None if it is whole."""
        with answer:
            while total is None or self._received < total:
                want = _BLOCK if total is None else min(_BLOCK, total - self._received)
                try:
                    block = answer.read1(want)
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
        """Ask for what is missing; what comes must be the rest of the same content."""
        self._patience.pause()
        wanted = {"Range": f"bytes={self._received}-", "If-Range": mark}
        answer = ask(self._source, self._patience, wanted)
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        stated = None if found is None or found[2] == "*" else int(found[2])
        if found is None or int(found[1]) != self._received or stated not in (None, total):
            answer.close()
            raise InputError(f"{self._shown}: {broken}; try again")
        return answer

    def _require_room(self, size: int) -> None:
        if size > self._most:
            raise InputError(
                f"{self._shown}: more than the {self._most} bytes that it may have; check the "
                "address, or fetch it by hand and give its path"
            )

    def _broke_off(self, error: Exception) -> str:
        return f"broke off after {self._received} bytes ({reason_of(error)})"


def _mark(answer: Any) -> str | None:
    """What tells this content from another at the same address, if the server says it."""
    tag, changed = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
    mark = tag if tag and not tag.startswith("W/") else changed
    return None if mark is None else str(mark)
