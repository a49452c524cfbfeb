"""The outputs of a stage: checked before it runs, there together or not at all."""

from __future__ import annotations

import atexit
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, get_type_hints
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, BeforeValidator, ConfigDict

from floodloom.errors import FloodloomError, InputError, explain, held_back
from floodloom.files import (
    atomic_path,
    name_full_disk,
    part_beside,
    parts_left,
    remove_part,
    remove_parts,
    require_kind,
    require_replaceable,
    swap,
    sync,
    sync_folder,
)
from floodloom.raster.chunks import damage
from floodloom.settings import groups

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
    _require_files_apart(paths, folders)
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    _end_interrupted(list(paths.values()))
    asides: dict[Path, Path] = {}
    for path in paths.values():
        remove_parts(path)
        asides.setdefault(path.parent, part_beside(path))

    try:
        with _name_places(asides), name_full_disk(next(iter(paths.values()))):
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
def _name_places(asides: Mapping[Path, Path]) -> Iterator[None]:
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


def _require_files_apart(paths: Mapping[str, Path], folders: Collection[str]) -> None:
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
        require_kind(new, _final_place(new))
    for aside in asides:
        sync(aside)
    with held_back():
        with atomic_path(asides[0] / _MOVES) as listed:
            inodes = [(str(new.absolute()), new.lstat().st_ino) for new in moves]
            listed.write_text(json.dumps(inodes), encoding="utf-8")
        _move(moves)


def _final_place(new: Path) -> Path:
    """Return the place of what lies in a folder beside it."""
    return new.parent.parent / new.name


def _move(moves: Sequence[Path]) -> None:
    """Let new results change places with what is there; if one can't, all go back."""
    replaced: list[tuple[Path, bool]] = []
    try:
        for new in moves:
            there = os.path.lexists(_final_place(new))
            if there:
                swap(new, _final_place(new))
            else:
                new.rename(_final_place(new))
            replaced.append((new, there))
    except OSError:
        for new, there in reversed(replaced):
            if there:
                swap(_final_place(new), new)
            else:
                _final_place(new).rename(new)
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


P = ParamSpec("P")
R = TypeVar("R")
Place = tuple[int, int] | Path
"""Device and inode of what is there, or the path where nothing is."""


def _several(given: Any) -> Any:
    """Return the one path that is given, as several."""
    return (given,) if isinstance(given, (str, Path)) else given


Paths = Annotated[tuple[Path, ...], BeforeValidator(_several)]
"""Type of a field that holds one path or more."""


class Files(BaseModel):
    """Files that belong together: an argument of a stage, each an option of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def as_paths(given: Sequence[Path] | Path) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]


def writes(*outputs: str, reads: Sequence[str] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare which arguments of a stage are its outputs, and check them before it begins.

    Parameters
    ----------
    outputs
        Names of the arguments, or of the fields of arguments that are models, such as `Files`; all
        others that are paths are inputs.
    reads
        Names of inputs that may be addresses as well as paths.

    Returns
    -------
    callable
        Decorator of a stage with arguments by keyword alone. The stage raises InputError if an
        output is, contains or lies in an input or another output, or lies where no result may.
    """

    def decorate(stage: Callable[P, R]) -> Callable[P, R]:
        inputs = [name for name in (*_paths_of(stage), *reads) if name not in outputs]

        @wraps(stage)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            values = _flat(kwargs)
            given, read = _named(values, outputs), _named(values, inputs)
            for _, path in given:
                require_replaceable(path)
            _require_apart(given, read)
            try:
                return stage(*args, **kwargs)
            except (FloodloomError, OSError):
                raise
            except Exception as error:
                _raise_damage([path for _, path in read], error)
                raise

        checked.__dict__.update(outputs=outputs, inputs=tuple(inputs))
        return checked

    return decorate


def _paths_of(stage: Callable[..., Any]) -> list[str]:
    """Return the names of a stage's arguments and of its models' fields that are paths."""
    models = groups(stage)
    hints = {n: hint for n, hint in get_type_hints(stage).items() if n not in ("return", *models)}
    for model in models.values():
        hints |= {name: field.annotation for name, field in model.model_fields.items()}
    return [name for name, hint in hints.items() if "Path" in str(hint)]


def _flat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by name, those that are models by their fields."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        found |= dict(value) if isinstance(value, BaseModel) else {name: value}
    return found


def _raise_damage(inputs: Sequence[Path], error: Exception) -> None:
    """Name the input store that is damaged, if one is, where it was met that can't be read."""
    if explain(error) is None:
        for path in inputs:
            if line := damage(path):
                raise InputError(line) from error


def _named(arguments: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, Path]]:
    """Return the paths among arguments, with the names of the arguments."""
    found = []
    for name in names:
        value = arguments.get(name)
        several = [value] if value is None or isinstance(value, (str, Path)) else value
        found += [(name, path) for one in several if (path := _path(one)) is not None]
    return found


def _path(value: object) -> Path | None:
    if isinstance(value, str) and value.startswith("file://"):
        try:
            return Path(url2pathname(urlsplit(value).path))
        except ValueError:
            raise InputError(f"{value}: not a valid address; check it") from None
    if value is None or (isinstance(value, str) and "://" in value):
        return None
    return Path(str(value))


def _require_apart(outputs: Sequence[tuple[str, Path]], inputs: Sequence[tuple[str, Path]]) -> None:
    pairs = [(*output, *other) for output in outputs for other in inputs]
    pairs += [(*one, *other) for one, other in combinations(outputs, 2)]
    around = {path: _around(path) for _, path in (*outputs, *inputs)}
    for name, path, other_name, other in pairs:
        own, theirs = around[path], around[other]
        if set(own[0]) & set(theirs[0]):
            raise InputError(f"{path}: {name} and {other_name} are one file; give each its own")
        if set(own[0]) & set(theirs[1]):
            raise InputError(
                f"{path}: {other_name} {other} lies in it; choose another place for {name}"
            )
        if set(theirs[0]) & set(own[1]):
            raise InputError(
                f"{path}: lies in {other_name} {other}; choose another place for {name}"
            )


def _around(path: Path) -> tuple[list[Place], list[Place]]:
    """Return what a path is, link and target, and the folders that these lie in."""
    target = Path(os.path.realpath(path))
    link = Path(os.path.realpath(path.parent)) / path.name
    own = [_place(target), *_link(link)]
    return own, [_place(parent) for one in (target, link) for parent in one.parents]


def _place(path: Path) -> Place:
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _link(path: Path) -> Iterator[Place]:
    """Yield the link itself, which a result would take the place of."""
    if path.is_symlink():
        found = path.lstat()
        yield found.st_dev, found.st_ino
