"""Whether a file is a product: by what is in it, not by its name."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from floodloom.errors import InputError
from floodloom.raster.content import TIFF
from floodloom.raster.opener import is_whole

_ZIP = b"PK"
_HEAD = 512  # bytes
_BROKEN = (
    OSError, RuntimeError, ValueError, LookupError, ArithmeticError, EOFError, struct.error,
    zipfile.BadZipFile,
)  # fmt: skip
"""What opening a damaged zip raises."""


def from_product(blocks: Iterator[bytes], source: str) -> Iterator[bytes]:
    """Yield blocks that begin as those of a product do.

    Parameters
    ----------
    blocks
        Of a file that may be long.
    source
        Where it comes from, as it may be shown.

    Raises
    ------
    InputError
        As soon as it is plain that it is something else.
    """
    head = b""
    for block in blocks:
        head += block
        if len(head) >= _HEAD:
            break
    require_start(head, source)
    yield head
    yield from blocks


def require_product(path: Path, source: str) -> None:
    """Check that a file is a zip of a SAFE folder or a GeoTIFF, and whole.

    Parameters
    ----------
    path
        The file.
    source
        Where it came from, as it may be shown.

    Raises
    ------
    InputError
        If it is something else, such as the page of a login, or a part of it is missing.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    require_start(head, source)
    if head.startswith(_ZIP):
        _require_safe(path, source)
    elif not is_whole(path, sparse=True):
        raise InputError(f"{source}: the GeoTIFF is cut short or damaged; fetch it again")


def require_start(head: bytes, source: str) -> None:
    """Check that a file begins as a zip or a GeoTIFF does; InputError that says what it is."""
    if not head.startswith((_ZIP, *TIFF)):
        raise InputError(f"{source}: {_kind(head[:_HEAD])}, no product; {_remedy(head[:_HEAD])}")


def _require_safe(path: Path, source: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _BROKEN as error:
        raise InputError(f"{source}: the zip is cut short ({error}); fetch it again") from error
    if not any(PurePosixPath(name.replace("\\", "/")).name == "manifest.safe" for name in names):
        raise InputError(
            f"{source}: a zip without manifest.safe, no SAFE product; unzip other products by hand "
            "and give their path"
        )


def _kind(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file"
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start:
        return "a web page"
    if start.startswith(b"<"):
        return "an XML text"
    if start.startswith((b"{", b"[")):
        return "a JSON text"
    return "neither a zip nor a GeoTIFF"


def _remedy(head: bytes) -> str:
    if _kind(head) == "a web page":
        return "the address may ask for a login: fetch it by hand, or use an address with a token"
    return "check the address and try again"
