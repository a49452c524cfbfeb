"""The digest of the code that a stage runs: what decides whether its results are still current."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

_PACKAGE = "floodloom"
_ROOT = Path(__file__).parent


def code_digest(stage: str, *chosen: str) -> str:
    """Hash the module of a stage and every floodloom module that it imports, transitively.

    Parameters
    ----------
    stage
        Name of the stage.
    chosen
        Modules that it imports when it runs, because settings choose them by name.

    Returns
    -------
    str
        Twelve hexadecimal digits; comments and layout don't change them.
    """
    digest = hashlib.sha256()
    modules = stage_modules(stage, *chosen)
    for module in sorted(modules):
        digest.update(module.encode())
        digest.update(_code(module))
    for template in _templates(modules):
        digest.update(template.read_bytes())
    return digest.hexdigest()[:12]


def _templates(modules: set[str]) -> list[Path]:
    """Templates that lie beside the modules."""
    paths = [path for path in map(_path, modules) if path is not None]
    return sorted({file for path in paths for file in path.parent.glob("templates/*")})


def stage_modules(stage: str, *chosen: str) -> set[str]:
    """Return the names of the floodloom modules that a stage consists of with what is chosen."""
    found: set[str] = set()
    waiting = [f"{_PACKAGE}.stages.{stage}", *chosen]
    while waiting:
        module = waiting.pop()
        if module not in found and _path(module) is not None:
            found.add(module)
            waiting.extend(_imports(module))
    return found


def _path(module: str) -> Path | None:
    relative = Path(*module.split(".")[1:])
    for path in (_ROOT / relative.with_suffix(".py"), _ROOT / relative / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _tree(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _version(module: str) -> tuple[Path, int]:
    """The file of a module, and when it was changed."""
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(module)
    return path, path.stat().st_mtime_ns


def _code(module: str) -> bytes:
    return _dump(*_version(module))


def _imports(module: str) -> frozenset[str]:
    return _imported(*_version(module))


@cache
def _dump(path: Path, changed: int) -> bytes:
    return ast.dump(_tree(path, changed), annotate_fields=False).encode()


@cache
def _imported(path: Path, changed: int) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(path, changed)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(n for n in found if n.split(".")[0] == _PACKAGE and n != _PACKAGE)
