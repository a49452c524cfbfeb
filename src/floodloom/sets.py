"""Sets of results that take their places together or not at all.

What lies in the places changes one by one, within moments. If the process dies in these moments,
a list of what was to be moved lies beside the results, and the next run ends the step: what a kill
leaves is the old set or the new one.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from floodloom.errors import FloodloomError, InputError
from floodloom.files import (
    atomic_path,
    name_full_disk,
    require_kind,
    require_replaceable,
    sync,
    sync_folder,
)
from floodloom.signals import held_back
from floodloom.swap import swap
from floodloom.temporaries import part_beside, parts_left, remove_part, remove_parts

_MOVES = ".moves.json"


@contextmanager
def together(
    paths: Mapping[str, Path], *, folders: Collection[str] = ()
) -> Iterator[dict[str, Path]]:
    """Give temporary paths for a set of results, which take their places if the block succeeds.

    Parameters
    ----------
    paths
        Results by key, in the order in which they take their places; the last may state that all of
        the others are there.
    folders
        Keys of those that are directories.

    Yields
    ------
    dict
        Temporary paths by key, of the same names. What is written beside them goes along.

    Raises
    ------
    InputError
        If two are one, or something is there that isn't of floodloom's or of another kind.
    """
    _require_apart(paths, folders)
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    _end_interrupted(list(paths.values()))
    asides: dict[Path, Path] = {}
    for path in paths.values():
        remove_parts(path)
        asides.setdefault(path.parent, part_beside(path))

    try:
        with _named(asides), name_full_disk(next(iter(paths.values()))):
            for aside in asides.values():
                aside.mkdir()
            made = {key: asides[path.parent] / path.name for key, path in paths.items()}
            yield made
            _publish(made, list(asides.values()))
    finally:
        for aside in asides.values():
            with suppress(OSError):
                remove_part(aside)
            # Threads that were writing when another failed may put it there again.
            atexit.register(shutil.rmtree, aside, ignore_errors=True)


@contextmanager
def _named(asides: Mapping[Path, Path]) -> Iterator[None]:
    """Name the places of results in messages, not where they are made."""
    try:
        yield
    except FloodloomError as error:
        line = str(error)
        for parent, aside in asides.items():
            line = line.replace(str(aside), str(parent))
        if line == str(error):
            raise
        raise type(error)(line) from error


def _require_apart(paths: Mapping[str, Path], folders: Collection[str]) -> None:
    known: dict[Path, str] = {}
    for key, path in paths.items():
        require_replaceable(path)
        if path.is_dir() and key not in folders:
            raise InputError(f"{path}: a folder, but {key} is a file; choose another name")
        other = known.setdefault(path.resolve(), key)
        if other != key:
            raise InputError(f"{path}: {other} and {key} are one file; give each its own")


def _publish(made: Mapping[str, Path], asides: Sequence[Path]) -> None:
    """Let all that was made take its place, what was written beside the results first."""
    own = set(made.values())
    beside = [file for aside in asides for file in sorted(aside.iterdir()) if file not in own]
    moves = [*beside, *made.values()]
    for new in moves:
        require_kind(new, _place(new))
    for aside in asides:
        sync(aside)
    with held_back():
        with atomic_path(asides[0] / _MOVES) as listed:
            inodes = [(str(new.absolute()), new.lstat().st_ino) for new in moves]
            listed.write_text(json.dumps(inodes), encoding="utf-8")
        _move(moves)


def _place(new: Path) -> Path:
    """Return the place of what lies in a folder beside it."""
    return new.parent.parent / new.name


def _move(moves: Sequence[Path]) -> None:
    """Let new results change places with what is there; if one can't, all go back."""
    replaced: list[tuple[Path, bool]] = []
    try:
        for new in moves:
            there = os.path.lexists(_place(new))
            if there:
                swap(new, _place(new))
            else:
                new.rename(_place(new))
            replaced.append((new, there))
    except OSError:
        for new, there in reversed(replaced):
            if there:
                swap(_place(new), new)
            else:
                _place(new).rename(new)
        raise
    for folder in {new.parent.parent for new in moves}:
        sync_folder(folder)


def _end_interrupted(paths: Sequence[Path]) -> None:
    """Move what a process that died while it published the same set hadn't moved yet."""
    left = {part.absolute() for path in paths for part in parts_left(path)}
    for aside in parts_left(paths[0]):
        moves = aside / _MOVES
        if moves.is_file():
            listed = json.loads(moves.read_text(encoding="utf-8"))
            new = [Path(name) for name, inode in listed if _is(Path(name), inode)]
            _move([one for one in new if one.parent in left])


def _is(path: Path, inode: int) -> bool:
    return os.path.lexists(path) and path.lstat().st_ino == inode
