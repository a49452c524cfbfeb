"""Files that are either whole or not there."""

from __future__ import annotations

import atexit
import errno
import glob
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from floodloom.errors import InputError
from floodloom.swap import swap

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_MARKS = {"zarr.json": b'"fingerprint"', "manifest.safe": b"floodloom simulator"}
"""What the folders that floodloom writes have inside."""
_LOOK = 1 << 20
_SET = "set"
_PROCESS = re.compile(r"\.(?P<machine>[0-9a-f]{6})-(?P<process>\d+)-\d+\.")
_NUMBERS = itertools.count()


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` only if the block succeeds.

    Works for files and for directories. An existing file is replaced, and a directory by one of its
    own kind alone (a store by a store), if floodloom wrote it; nobody finds half of either, nor
    nothing. On an error the temporary is removed and what was there stays as it was. What processes
    of this machine that are gone have left of `path` is removed. An error of a full disk that names
    no file, or the temporary, gets the name of `path`.

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
    try:
        yield temporary
        _publish(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _OF_WRITING:
            error.filename, error.filename2 = str(path), None
        with suppress(OSError):
            remove(temporary)
        # Threads that were writing when another failed may put it there again.
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        raise


@contextmanager
def together(paths: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Give temporary paths for a set of files, which take their places only if the block succeeds.

    Parameters
    ----------
    paths
        Files by key, in the order in which they take their places; the last may say that all of
        the others are there.

    Yields
    ------
    dict
        Temporary paths by key, of the same names. What is written beside them goes along.

    Raises
    ------
    InputError
        If two are one file, or a folder is there.
    """
    _require_apart(paths)
    folders: dict[Path, Path] = {}
    for parent in dict.fromkeys(path.parent for path in paths.values()):
        parent.mkdir(parents=True, exist_ok=True)
        remove_parts(parent / _SET)
        folders[parent] = part_beside(parent / _SET)
    try:
        for folder in folders.values():
            folder.mkdir()
        made = {key: folders[path.parent] / path.name for key, path in paths.items()}
        yield made
        beside = [f for folder in folders.values() for f in sorted(folder.iterdir())]
        own = set(made.values())
        for file in (*(f for f in beside if f not in own), *(f for f in made.values())):
            place = next(parent for parent, folder in folders.items() if folder == file.parent)
            file.replace(place / file.name)
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


def _require_apart(paths: Mapping[str, Path]) -> None:
    known: dict[Path, str] = {}
    for key, path in paths.items():
        require_replaceable(path)
        if path.is_dir():
            raise InputError(f"{path}: a folder, but {key} is a file; choose another name")
        other = known.setdefault(path.resolve(), key)
        if other != key:
            raise InputError(f"{path}: {other} and {key} are one file; give each its own")


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
    if not path.is_dir():
        temporary.replace(path)
        return
    require_replaceable(path)
    if not temporary.is_dir() or (any(path.iterdir()) and _kind(path) != _kind(temporary)):
        raise InputError(
            f"{path}: a folder of another kind than the result; it stays as it is, so choose "
            "another name"
        )
    swap(temporary, path)
    remove(temporary)


def _kind(folder: Path) -> str | None:
    """Return which kind of folder of floodloom's this is; None of those of others."""
    for name, mark in _MARKS.items():
        file = folder / name
        if file.is_file() and mark in file.read_bytes()[:_LOOK]:
            return name
    return None


def remove_parts(path: Path, *, of_all: bool = False) -> None:
    """Remove what processes that are gone have left of a result.

    Parameters
    ----------
    path
        The result.
    of_all
        Remove what any process has left: for one who knows that nobody else writes it.
    """
    for part in path.parent.glob(f".{glob.escape(path.stem)}.*.part{glob.escape(path.suffix)}"):
        found = _PROCESS.search(part.name)
        own = found is not None and found["machine"] == _machine()
        if of_all or (own and found is not None and not _lives(int(found["process"]))):
            remove(part)


def part_beside(path: Path) -> Path:
    """Return a new name beside a path, for a part of its making, that says whose it is."""
    number = next(_NUMBERS)
    return path.with_name(f".{path.stem}.{_machine()}-{os.getpid()}-{number}.part{path.suffix}")


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file or a directory tree, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
