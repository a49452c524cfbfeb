"""Loops that numba compiles, and where their machine code is kept."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numba

from floodloom.errors import held_back


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
        return _without_signals(dispatcher)

    return decorate


def _without_signals(dispatcher: Any) -> Any:
    """Let signals wait while numba compiles: within LLVM's callbacks an error is lost, or fatal."""
    compile_for = dispatcher.compile

    @wraps(compile_for)
    def compile_whole(signature: Any) -> Any:
        with held_back():
            return compile_for(signature)

    dispatcher.compile = compile_whole
    return dispatcher


def _compiled_elsewhere(kernel: Callable[..., Any], options: dict[str, Any]) -> Any:
    folder = _private_folder()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    return numba.njit(cache=folder is not None, nogil=True, **options)(kernel)


def _private_folder() -> Path | None:
    """Return a folder that nobody else can write to: numba runs what it finds in its cache."""
    try:
        folder = Path(tempfile.gettempdir()) / f"floodloom-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    others = stat.S_IWGRP | stat.S_IWOTH
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return folder if mine and not status.st_mode & others else None
