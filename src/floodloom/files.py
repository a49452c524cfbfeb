"""Files that are either whole or not there."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from floodloom.errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` only if the block succeeds.

    Works for files and for directories. An existing `path` is replaced; on an error the
    temporary is removed and an existing `path` stays as it was.
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
    finally:
        remove(temporary)


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
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return Path(path)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is missing or isn't JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error})") from error


def require_file(path: str | Path, what: str) -> Path:
    """Return `path` if it exists, else raise InputError naming `what` it should have been."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: {what} not found; check the path")
    return path
