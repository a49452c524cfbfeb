"""Files read; and written aside first, then put into their place in one step."""

from __future__ import annotations

import atexit
import ctypes
import errno
import glob
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from floodloom.errors import InputError, held_back

_MAKER = r"\.(?P<machine>[0-9a-f]{6})-(?P<process>\d+)-(?P<start>\d+)-\d+\.part"
_NUMBERS = itertools.count()
LASTING = "FLOODLOOM_LASTING_TMPDIR"
"""Variable of the environment: a folder of temporary files that outlast a run, as caches do."""


def part_beside(path: Path) -> Path:
    """Return a new name beside a path, for a part of its making, that states whose it is."""
    maker = f"{_machine()}-{os.getpid()}-{_start(os.getpid())}-{next(_NUMBERS)}"
    return path.with_name(f".{path.stem}.{maker}.part{path.suffix}")


def parts_left(path: Path, *, of_all: bool = False) -> list[Path]:
    """List what processes of this machine that are gone have left of a result.

    Parameters
    ----------
    path
        The result.
    of_all
        List what any process has left: for one who is sure that nobody else writes it.
    """
    beside = r"([.-].*)?" if path.suffix else ""  # what libraries write beside a file
    pattern = re.compile(re.escape(f".{path.stem}") + _MAKER + re.escape(path.suffix) + beside)
    found = []
    for part in path.parent.glob(f".{glob.escape(path.stem)}.*.part*"):
        maker = pattern.fullmatch(part.name)
        if maker and (of_all or not _lives(maker)):
            found.append(part)
    return found


def remove_parts(path: Path, *, of_all: bool = False) -> None:
    """Remove what `parts_left` lists."""
    for part in parts_left(path, of_all=of_all):
        remove(part)


def remove_part(part: Path) -> None:
    """Remove a part, and what libraries have written beside it, to the end."""
    with held_back():
        for one in part.parent.glob(f"{glob.escape(part.name)}*"):
            remove(one)


def remove(path: Path) -> None:
    """Remove a file or a directory tree, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _start(process: int) -> int:
    """Return when a process began, in clock ticks, for numbers are given anew; 0 if unknown.

    Source: proc_pid_stat(5), field 22.
    """
    try:
        facts = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return int(facts.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _lives(maker: re.Match[str]) -> bool:
    """Whether the process that made a part may still be at work, as one of another machine may."""
    if maker["machine"] != _machine():
        return True
    process = int(maker["process"])
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _start(process) == int(maker["start"])


_HERE = -100  # AT_FDCWD: paths start from the working directory
_EXCHANGE = 2  # RENAME_EXCHANGE, linux/fs.h


def swap(one: Path, other: Path) -> None:
    """Let two files, or two directories, of one file system change places.

    Where the system can't do that in one step, a directory `other` is put aside first: a kill in
    between leaves it beside its place, under the name of `one` with the ending .old. A file is in
    its place at any time even so.
    """
    library = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(library, "renameat2", None)
    if exchange is not None:
        names = os.fsencode(one), os.fsencode(other)
        if exchange(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0:
            return
    aside = one.with_name(f"{one.name}.old")
    if other.is_dir():
        other.rename(aside)
    else:
        os.link(other, aside, follow_symlinks=False)
    one.replace(other)
    aside.rename(one)


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """Give a folder for what the making of a result needs; a kill leaves it to the next run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = part_beside(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        remove_part(folder)


_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
GATHERED = "gathered.json"
_MARKS = {
    "zarr.json": b'"fingerprint"',
    "manifest.safe": b"floodloom simulator",
    GATHERED: b'"gathered"',
}
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


def regular_file(path: str | Path, what: str, *, within: Path | None = None) -> Path:
    """Return where an input lies, if it is a regular file or a link to one.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages.
    within
        Folder that was given and in which the file was found: links may not lead out of it.

    Returns
    -------
    Path
        Absolute, so that no library takes a part of it for something else.

    Raises
    ------
    InputError
        If it is missing, a folder, a pipe, a socket or a device, or lies elsewhere.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        real = path.resolve()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a readable {what} ({reason}); check the path") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise InputError(f"{path}: {kind}, no {what}; give a file")
    if within is not None and not real.is_relative_to(within.resolve()):
        raise InputError(
            f"{path}: a link out of its folder; give a folder that holds the files themselves"
        )
    return path.absolute()
