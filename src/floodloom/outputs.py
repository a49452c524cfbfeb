"""What holds for all stages: no output touches an input or another, a damaged input is named.

Files are compared by what they are in the file system, so that links, `..`, other spellings
of a name and mounts of one folder in two places change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, get_type_hints
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, BeforeValidator, ConfigDict

from floodloom.errors import FloodloomError, InputError, explain
from floodloom.files import require_replaceable
from floodloom.raster.chunks import damage
from floodloom.settings import groups

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
        return Path(url2pathname(urlsplit(value).path))
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
