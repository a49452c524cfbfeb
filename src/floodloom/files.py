"""Files that are either whole or not there."""

from __future__ import annotations

import atexit
import errno
import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from floodloom.errors import InputError

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` only if the block succeeds.

    Works for files and for directories. An existing `path` is replaced; on an error the
    temporary is removed and an existing `path` stays as it was. An error of a full disk that names
    no file, or the temporary, gets the name of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _part(path, os.getpid())
    remove(temporary)
    try:
        yield temporary
        if path.is_dir() or temporary.is_dir():
            remove(path)
        temporary.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _OF_WRITING:
            error.filename, error.filename2 = str(path), None
        with suppress(OSError):
            remove(temporary)
        # Threads that were writing when another failed may put it there again.
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        raise


def remove_parts(path: Path) -> None:
    """Remove what processes that were killed have left of a file that nobody writes now."""
    for part in path.parent.glob(_part(Path(glob.escape(path.name)), "*").name):
        remove(part)


def _part(path: Path, process: int | str) -> Path:
    return path.with_name(f".{path.stem}.{process}.part{path.suffix}")


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
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error})") from error


def require_file(path: str | Path, what: str) -> Path:
    """Return `path` if it exists, else raise InputError naming `what` it should have been."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: {what} not found; check the path")
    return path
