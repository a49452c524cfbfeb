"""The digest of the code that a stage runs: what decides whether its results are still current."""

from __future__ import annotations

import ast
import atexit
import hashlib
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from floodloom.files import write_json

_PACKAGE = "floodloom"
_ROOT = Path(__file__).parent
_DESCRIBED = {"Field", "of_job"}
"""Calls whose `description` is text for people."""
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(stage: str, chosen: Iterable[str] = ()) -> str:
    """Hash the module of a stage, those chosen by name, and all that these import, transitively.

    Parameters
    ----------
    stage
        Name of the stage.
    chosen
        Modules that the settings of a job choose, such as that of a loss or an architecture, which
        a registry imports when asked for. They may be of other distributions.

    Returns
    -------
    str
        Twelve hexadecimal digits; comments, layout, docstrings and descriptions of settings don't
        change them.
    """
    digest = hashlib.sha256()
    modules = stage_modules(stage, chosen)
    for module in sorted(modules):
        digest.update(module.encode())
        digest.update(_parse(module, modules[module]).code.encode())
    for template in _templates(modules.values()):
        digest.update(template.read_bytes())
    return digest.hexdigest()[:12]


def stage_modules(stage: str, chosen: Iterable[str] = ()) -> dict[str, Path]:
    """Return the files of the modules that a stage consists of, by name.

    Parameters
    ----------
    stage, chosen
        As for `code_digest`.

    Returns
    -------
    dict
        Modules of floodloom, and those of the distributions that the chosen ones come from.
    """
    waiting = [f"{_PACKAGE}.stages.{stage}", *chosen]
    packages = {module.partition(".")[0] for module in waiting}
    found: dict[str, Path] = {}
    seen = {_PACKAGE}
    while waiting:
        module = waiting.pop()
        if module in seen or module.partition(".")[0] not in packages:
            continue
        seen.add(module)
        path = _path(module)
        if path is not None:
            found[module] = path
            waiting.extend(_parse(module, path).imports)
    return found


def _templates(paths: Iterable[Path]) -> list[Path]:
    """Templates that lie beside the modules."""
    return sorted(
        {file for folder in {p.parent for p in paths} for file in folder.glob("templates/*")}
    )


def _path(module: str) -> Path | None:
    """Return the file of a module, without importing any; None of what is no module."""
    package, *rest = module.split(".")
    for root in [_ROOT] if package == _PACKAGE else _roots(package):
        if root.is_file():
            return None if rest else root
        place = root.joinpath(*rest)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path
    return None


@cache
def _roots(package: str) -> tuple[Path, ...]:
    """Return the folders of a package of another distribution, or the file of a single module."""
    spec = find_spec(package)
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(map(Path, spec.submodule_search_locations))
    return (Path(spec.origin),) if spec.origin else ()


@dataclass(frozen=True)
class _Module:
    """The digest of what a module does, and the names that it imports."""

    code: str
    imports: tuple[str, ...]


def _parse(module: str, path: Path) -> _Module:
    state = path.stat()
    return _parsed(module, path, state.st_mtime_ns, state.st_ctime_ns)


@cache
def _parsed(module: str, path: Path, *_changed: int) -> _Module:
    text = path.read_bytes()
    key = hashlib.sha256(
        b"\0".join([_READER, module.encode(), path.name.encode(), text])
    ).hexdigest()
    if key not in _memory:
        _memory[key] = _read(text, module, path)
    return _memory[key]


def remember_parsed(file: Path) -> None:
    """Keep what modules hold from one process to the next, by their content.

    Parameters
    ----------
    file
        Where it is kept; losing it costs a second and nothing else.
    """
    with suppress(OSError, ValueError, TypeError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if len(kept) < _MOST_KEPT:
            _memory.update(
                {key: _Module(code, tuple(names)) for key, (code, names) in kept.items()}
            )
    size, place = len(_memory), file.absolute()

    def save() -> None:
        if len(_memory) > size:
            with suppress(OSError):
                write_json(place, {key: [m.code, m.imports] for key, m in _memory.items()})

    atexit.register(save)


def _read(text: bytes, module: str, path: Path) -> _Module:
    tree = ast.parse(text, filename=str(path))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, package)
            imports.update([source, *(f"{source}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Call):
            _remove_description(node)
        elif isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    code = ast.dump(tree, annotate_fields=False).encode()
    return _Module(hashlib.sha256(code).hexdigest(), tuple(sorted(imports)))


def _source(node: ast.ImportFrom, package: list[str]) -> str:
    """Return the module that names are imported from, which may be relative to a package."""
    above = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _remove_description(node: ast.Call) -> None:
    if isinstance(node.func, ast.Name) and node.func.id in _DESCRIBED:
        node.keywords = [one for one in node.keywords if one.arg != "description"]


_MOST_KEPT = 5_000
"""Modules after which the memory, which holds those of the past as well, begins anew."""
_memory: dict[str, _Module] = {}
"""What modules hold, by their content and by what reads it."""
_READER = b"\0".join([sys.version.encode(), Path(__file__).read_bytes()])
