"""Files that are either whole or not there."""

from __future__ import annotations

import atexit
import errno
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from floodloom.errors import InputError
from floodloom.swap import swap
from floodloom.temporaries import part_beside, remove_part, remove_parts

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_MARKS = {"zarr.json": b'"fingerprint"', "manifest.safe": b"floodloom simulator"}
"""What the folders that floodloom writes have inside."""
_KINDS = ("geometry", "classes")
"""Attributes that calibrated stores and tile stores have, and scene stores haven't."""
_LOOK = 1 << 20
_AT_ONCE = 16


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` only if the block succeeds.

    Works for files and for directories. An existing file is replaced, and a directory by one of its
    own kind alone (a store by a store), if floodloom wrote it; nobody finds half of either, nor
    nothing, not even after the machine went down. On an error the temporary is removed and what was
    there stays as it was. What processes of this machine that are gone have left of `path` is
    removed. An error of a full disk that names no file, or the temporary, gets the name of `path`.

    Raises
    ------
    InputError
        If a directory is there that may not be replaced.
    """
    path = Path(path)
    require_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_parts(path)
    temporary = part_beside(path)
    with name_full_disk(path):
        try:
            yield temporary
            _publish(temporary, path)
        except BaseException:
            with suppress(OSError):
                remove_part(temporary)
            # Threads that were writing when another failed may put it there again.
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            raise


@contextmanager
def name_full_disk(path: Path) -> Iterator[None]:
    """Name a result in an error of a full disk, which names no file or a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno in _OF_WRITING:
            error.filename, error.filename2 = str(path), None
        raise


def require_replaceable(path: Path) -> None:
    """Check that what lies at a path may be replaced by a result.

    Raises
    ------
    InputError
        If it is a directory with something in it that floodloom didn't write.
    """
    if path.name in ("", ".."):
        raise InputError(f"{path}: not a name for a result; give one")
    if path.is_dir() and any(path.iterdir()) and _kind(path) is None:
        raise InputError(
            f"{path}: a folder that floodloom didn't write; it stays as it is, so choose another "
            "name for the result"
        )


def _publish(temporary: Path, path: Path) -> None:
    """Let a finished temporary take the place of what is there."""
    require_kind(temporary, path)
    sync(temporary)
    if path.is_dir():
        swap(temporary, path)
    else:
        temporary.replace(path)
    sync_folder(path.parent)
    remove_part(temporary)


def require_kind(made: Path, path: Path) -> None:
    """Check that what lies at a path may be replaced by a result that is finished.

    Raises
    ------
    InputError
        If a directory is there that isn't one of floodloom's, or is of another kind.
    """
    require_replaceable(path)
    if not path.is_dir():
        return
    if not made.is_dir() or (any(path.iterdir()) and _kind(path) != _kind(made)):
        raise InputError(
            f"{path}: a folder of another kind than the result; it stays as it is, so choose "
            "another name"
        )


def sync(path: Path) -> None:
    """Wait until a file, or all of a directory, is on the disk and not in memory alone."""
    if not path.is_dir():
        _sync(path)
        return
    found = [(Path(folder), names) for folder, _, names in os.walk(path)]
    files = [folder / name for folder, names in found for name in names]
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # one after the other takes eight times as long
        list(threads.map(_sync, files))
        list(threads.map(sync_folder, [folder for folder, _ in found]))


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk; some file systems can't sync one."""
    with suppress(OSError):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _kind(folder: Path) -> str | None:
    """Return which kind of folder of floodloom's this is; None of those of others."""
    for name, mark in _MARKS.items():
        file = folder / name
        head = file.read_bytes()[:_LOOK] if file.is_file() else b""
        if mark in head:
            return name + "".join(own for own in _KINDS if f'"{own}"'.encode() in head)
    return None


def write_json(path: str | Path, content: Any) -> Path:
    """Write `content` as indented JSON, whole or not at all."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is missing or isn't JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error})") from error


def require_file(path: str | Path, what: str) -> Path:
    """Return `path` if it exists, else raise InputError naming `what` it should have been."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: {what} not found; check the path")
    return path
