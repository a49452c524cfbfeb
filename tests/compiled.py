"""Machine code of kernels that copies of the package have in common.

Numba keeps it beside the source and trusts it by the time and size of that. A run of a copy that
had to compile all of them anew would take twice as long, and come to the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "floodloom"
_KEPT = "__pycache__"


def link_compiled(package: Path) -> None:
    """Let a copy that keeps the times of the sources have what the repository's package has."""
    for own, theirs in _folders(package):
        if theirs.is_dir():
            shutil.rmtree(theirs)
        theirs.symlink_to(own, target_is_directory=True)


def unlink_compiled(package: Path) -> None:
    """Give a copy, whose sources a test may change, its own."""
    for own, theirs in _folders(package):
        if theirs.is_symlink():
            theirs.unlink()
            shutil.copytree(own, theirs)


def copy_compiled(package: Path) -> None:
    """Give an installed package, whose sources are those of the repository, what that has."""
    for own, theirs in _folders(package):
        for source in own.parent.glob("*.py"):
            status = source.stat()
            os.utime(theirs.parent / source.name, ns=(status.st_atime_ns, status.st_mtime_ns))
        theirs.mkdir(exist_ok=True)
        for kind in ("*.nbi", "*.nbc"):  # an index may lack what it names, but not the reverse
            for file in own.glob(kind):
                shutil.copy2(file, theirs)


def _folders(package: Path) -> Iterator[tuple[Path, Path]]:
    """Yield where the compiled code of each package lies, in the repository and in the copy."""
    for module in [file.parent.relative_to(PACKAGE) for file in PACKAGE.rglob("__init__.py")]:
        own = PACKAGE / module / _KEPT
        own.mkdir(exist_ok=True)
        yield own, package / module / _KEPT
