"""Loops that numba compiles, and where their machine code is kept."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

from floodloom.errors import held_back
from floodloom.files import LASTING

_COMPILED_HERE: set[Path] = set()
"""Locks that this process holds; `global_compiler_lock` protects it."""


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function when it is first called, without the interpreter's lock.

    The machine code is kept where numba finds a place: in the folder that NUMBA_CACHE_DIR names,
    beside the module, or in the user's cache. Where none of these can be written, as in a container
    without a home directory, it is kept in a folder of this user's own among the temporary files;
    where not even that can be, each process compiles anew.

    Parameters
    ----------
    **options
        Options of `numba.njit`, such as inline and error_model.

    Returns
    -------
    Callable
        The decorator.
    """

    def decorate(kernel: Callable[..., Any]) -> Any:
        try:
            dispatcher = numba.njit(cache=True, nogil=True, **options)(kernel)
        except RuntimeError:  # numba found no folder that it can write to
            dispatcher = _compiled_elsewhere(kernel, options)
        return _undisturbed(dispatcher)

    return decorate


def _undisturbed(dispatcher: Any) -> Any:
    """Let signals and other processes wait while numba compiles or loads machine code.

    Within LLVM's callbacks an error is lost, or fatal.
    """
    compile_for = dispatcher.compile
    name = f"{dispatcher.py_func.__module__}.{dispatcher.py_func.__qualname__}.lock"

    @wraps(compile_for)
    def compile_whole(signature: Any) -> Any:
        kept = dispatcher.stats.cache_path
        with _alone(None if kept is None else Path(kept, name)), held_back():
            return compile_for(signature)

    dispatcher.compile = compile_whole
    return dispatcher


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    """Let one process after the other work on a kernel: what one has compiled the next one loads.

    Numba writes its index before the machine code and guards neither, so that two processes that
    compile a kernel for different types could leave an index that takes one for the other. Without
    a lock, where None is given or can be had, they don't wait.
    """
    with global_compiler_lock:
        handle = None if lock is None or lock in _COMPILED_HERE else _opened(lock)
        if lock is None or handle is None:
            yield
            return
        _COMPILED_HERE.add(lock)
        try:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            _COMPILED_HERE.discard(lock)
            os.close(handle)


def _opened(lock: Path) -> int | None:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _compiled_elsewhere(kernel: Callable[..., Any], options: dict[str, Any]) -> Any:
    folder = _private_folder()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    return numba.njit(cache=folder is not None, nogil=True, **options)(kernel)


def _private_folder() -> Path | None:
    """Return a folder that nobody else can write to: numba runs what it finds in its cache."""
    try:
        temporary = os.environ.get(LASTING) or tempfile.gettempdir()
        folder = Path(temporary) / f"floodloom-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    others = stat.S_IWGRP | stat.S_IWOTH
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return folder if mine and not status.st_mode & others else None
