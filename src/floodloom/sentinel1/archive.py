"""The files of a product: in a folder, or in a zip that is read in place.

Only files beneath what was given are read, and a zip's members as its directory states them: their
names once each, their sizes, and their checksums, which are compared before they are used.

Source: PKWARE, .ZIP File Format Specification 6.3.10, sections 4.3.7 (local file header) and 4.5.3.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from floodloom.errors import InputError
from floodloom.files import regular_file

MANIFEST = "manifest.safe"
BROKEN = (
    OSError, RuntimeError, ValueError, LookupError, EOFError, ArithmeticError,
    struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
)  # fmt: skip
"""What reading a damaged zip raises; RuntimeError for members that are encrypted."""

_BLOCK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_MOST_MEMBERS = 10_000
_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Stated:
    """Size (bytes) and MD5 of a file as a manifest states them; None where it doesn't."""

    size: int | None = None
    md5: str | None = None


def names(path: Path) -> dict[str, str]:
    """Return what the files of a product are called, by their path with forward slashes.

    Raises
    ------
    InputError
        If it is neither a folder nor a readable zip, or names are there twice or lead elsewhere.
    """
    if path.is_dir():
        found = _walk(path) if (path / MANIFEST).is_file() else _manifests_below(path)
        return {name: name for name in found}
    if not path.exists():
        raise InputError(f"{path}: product not found; check the path")
    regular_file(path, "product")
    with _opened(path) as archive:
        return _unique(path, archive.namelist())


def read(path: Path, name: str, most: int) -> bytes:
    """Read a file of a product, its checksum compared.

    Parameters
    ----------
    path
        The product.
    name
        As `names` gives it.
    most
        Bytes that such a file may have.

    Raises
    ------
    InputError
        If it is missing, damaged, too large, or a link out of the product.
    """
    try:
        with _stream(path, name) as (stream, size):
            content = stream.read() if size <= most else None
    except BROKEN as error:
        raise _unreadable(path, name, error) from error
    if content is None:
        raise InputError(
            f"{path}: {name} has {size / 1e6:.0f} MB, but such a file has at most "
            f"{most / 1e6:.0f}; fetch it again"
        )
    return content


def size_of(path: Path, name: str) -> int:
    """Return the size of a file of a product, bytes, unpacked.

    Raises
    ------
    InputError
        See `read`.
    """
    try:
        with _stream(path, name) as (_, size):
            return size
    except BROKEN as error:
        raise _unreadable(path, name, error) from error


def place_of(path: Path, name: str) -> str | None:
    """Return the path under which GDAL opens a file of a product; None if it has to be unpacked.

    Raises
    ------
    InputError
        See `read`.
    """
    if path.is_dir():
        return str(regular_file(path / name, "file of the product", within=path))
    try:
        with _opened(path) as archive, path.open("rb") as file:
            member = archive.getinfo(name)
            if member.compress_type != zipfile.ZIP_STORED:
                return None
            file.seek(member.header_offset)
            mark, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            if mark != b"PK\3\4" or member.compress_size != member.file_size:
                raise zipfile.BadZipFile("its header is damaged")
    except BROKEN as error:
        raise _unreadable(path, name, error) from error
    start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    return f"/vsisubfile/{start}_{member.file_size},{path.resolve()}"


def require_whole(path: Path, name: str, stated: Stated, copy: Path | None = None) -> None:
    """Check a file of a product against its checksums, block by block.

    Parameters
    ----------
    path, name
        See `read`.
    stated
        What its manifest states of it.
    copy
        Where it is unpacked to; None only looks.

    Raises
    ------
    InputError
        If it is damaged, or another file than the manifest states.
    """
    digest = None if stated.md5 is None else hashlib.md5(usedforsecurity=False)
    if digest is None and copy is None and path.is_dir():
        return
    try:
        with _stream(path, name) as (stream, _):
            _pass(stream, digest, copy)
    except BROKEN as error:
        if copy is not None and isinstance(error, OSError) and error.errno:
            raise
        raise _unreadable(path, name, error) from error
    if digest is not None and digest.hexdigest() != stated.md5:
        raise InputError(
            f"{path}: {name} has MD5 {digest.hexdigest()}, but {MANIFEST} states {stated.md5}; "
            "fetch the product again"
        )


def _pass(stream: IO[bytes], digest: object, copy: Path | None) -> None:
    """Read a stream to its end, where a zip's compares its checksum."""
    target = None if copy is None else copy.open("wb")
    try:
        while block := stream.read(_BLOCK):
            if digest is not None:
                digest.update(block)  # type: ignore[attr-defined]
            if target is not None:
                target.write(block)
    finally:
        if target is not None:
            target.close()


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise InputError(
            f"{path}: not a readable zip ({error}); fetch it again, or give the SAFE folder"
        ) from error
    with archive:
        yield archive


@contextmanager
def _stream(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file of a product; return it with its number of bytes."""
    if path.is_dir():
        file = regular_file(path / name, "file of the product", within=path)
        with file.open("rb") as plain:
            yield plain, file.stat().st_size
        return
    with _opened(path) as archive, archive.open(name) as member:
        yield member, archive.getinfo(name).file_size


def _unreadable(path: Path, name: str, error: Exception) -> InputError:
    return InputError(f"{path}: {name} can't be read ({error}); fetch it again")


def _unique(path: Path, members: list[str]) -> dict[str, str]:
    """Refuse two members of one name, of which programs read either, and names that lead away."""
    if len(members) > _MOST_MEMBERS:
        raise InputError(f"{path}: {len(members):,} members in the zip, no product; fetch it again")
    found: dict[str, str] = {}
    for name in members:
        plain = name.replace("\\", "/")
        if _OUTSIDE.search(name):
            raise InputError(f"{path}: a member of the zip leads out of it: {name!r}; don't use it")
        if plain in found:
            raise InputError(f"{path}: two members of the zip are called {plain}; fetch it again")
        found[plain] = name
    return found


def _walk(folder: Path) -> list[str]:
    return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()]


def _manifests_below(folder: Path) -> list[str]:
    """Look two levels deep: what is no product may be a whole archive, too large to search."""
    found = (p for depth in ("*", "*/*") for p in folder.glob(f"{depth}/{MANIFEST}"))
    return [p.relative_to(folder).as_posix() for p in found]


def manifest_of(path: Path, inside: list[str]) -> str:
    """Return the name of a product's manifest.

    Raises
    ------
    InputError
        If there isn't exactly one, or it lies deeper in the folder that was given.
    """
    found = sorted(name for name in inside if PurePosixPath(name).name == MANIFEST)
    if not found:
        raise InputError(f"{path}: no {MANIFEST} inside; give a SAFE folder or its zip")
    folders = [str(PurePosixPath(name).parent) for name in found]
    if len(found) > 1:
        how = "give one of them" if path.is_dir() else "unzip it and give one of them"
        raise InputError(f"{path}: {len(found)} products inside ({_listed(folders)}); {how}")
    if path.is_dir() and found[0] != MANIFEST:
        raise InputError(f"{path}: no SAFE folder, but one lies inside; give {path / folders[0]}")
    return found[0]


def _listed(folders: list[str]) -> str:
    return ", ".join(folders[:3]) + (", …" if len(folders) > 3 else "")
