"""Names of results that are being made, by which the next run finds what a kill has left."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
import re
import shutil
import socket
from pathlib import Path

from floodloom.signals import held_back

_MAKER = r"\.(?P<machine>[0-9a-f]{6})-(?P<process>\d+)-(?P<start>\d+)-\d+\.part"
_NUMBERS = itertools.count()


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
