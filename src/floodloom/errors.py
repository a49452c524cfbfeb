"""Errors that a user can mend, in one line each; signals that end a process as they do."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pydantic import ValidationError

from floodloom.texts import brief, line, printable, shorten

DEBUG = "FLOODLOOM_DEBUG"
"""Variable of the environment that asks for tracebacks, in jobs and processes too."""


class FloodloomError(Exception):
    """Base of every error that floodloom raises on purpose."""


class InputError(FloodloomError):
    """A file, product or argument can't be used."""


class ConfigError(FloodloomError):
    """The configuration or the scene sheet is wrong."""


class RecipeMismatchError(FloodloomError):
    """Two artefacts disagree on what the numbers in their bands mean."""


class CheckpointError(FloodloomError):
    """A checkpoint can't be read or doesn't fit."""


class TrainingError(FloodloomError):
    """Training can't go on."""


_REMEDIES = {
    errno.ENOSPC: "free some space or write elsewhere",
    errno.EDQUOT: "free some space or write elsewhere",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f) or write elsewhere",
    errno.EROFS: "write elsewhere",
    errno.EACCES: "change the permissions or write elsewhere",
    errno.EPERM: "change the permissions or write elsewhere",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.ENOTDIR: "a part of the path is a file; check it",
    errno.EEXIST: "a file stands in the way; check the path",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOENT: "check the path",
}
_SETTINGS = "Settings"
_OF_NUMBERS = (
    "finite_number", "greater_than", "greater_than_equal", "less_than", "less_than_equal",
    "multiple_of",
)  # fmt: skip
_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "failed to map segment",
    "can't start new thread",
)


def one_line(error: BaseException) -> str:
    """Return in one line why a command or a job ends.

    Parameters
    ----------
    error
        What ends it: an error of floodloom's own, of a library, or a signal.

    Returns
    -------
    str
        What was wrong and what to do, as it may be shown. An error that nobody has foreseen is
        named, with the way to see more.
    """
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SystemExit):
        return f"ended by {_signal(end_status(error))}"
    text = str(error) if isinstance(error, FloodloomError) else explain(error)
    if text is None:
        text = (
            f"unexpected {type(error).__name__} ({error}); if the input is sound, this is a fault "
            f"of floodloom: report what --debug, in a workflow {DEBUG}=1, shows"
        )
    return line(text)


def end_status(end: KeyboardInterrupt | SystemExit) -> int:
    """Return the exit status of a process that is asked to end: 128 and the signal's number."""
    if isinstance(end, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return end.code if isinstance(end.code, int) else 1


def _signal(status: int) -> str:
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return f"status {status}"


def details(error: BaseException) -> str:
    """Return the traceback of an error, if it is asked for; else an empty text."""
    if not os.environ.get(DEBUG):
        return ""
    found = "".join(traceback.format_exception(error)).splitlines()
    return "".join(f"{printable(one)}\n" for one in found)


def report_in_one_line() -> None:
    """Let an error in a thread, or while Python takes an object away, be one line, too."""
    threading.excepthook = _report
    sys.unraisablehook = _report


def _report(hook: Any) -> None:
    error = hook.exc_value or hook.exc_type()
    if not isinstance(error, SystemExit):
        print(f"{details(error)}floodloom: {one_line(error)}", file=sys.stderr)


def explain(error: BaseException) -> str | None:
    """Return in one line what the machine or a model refused; None if floodloom is at fault.

    Parameters
    ----------
    error
        An exception that nothing in floodloom has dealt with. Libraries wrap the machine's errors
        in their own, so the texts of those and the causes behind them count as well.

    Returns
    -------
    str or None
        A line with the file, where one is known, the reason and what to do.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ValidationError):
            return _invalid(seen)
        if isinstance(seen, UnicodeEncodeError) and seen.encoding in ("ascii", "utf-8"):
            return "names beyond ASCII need a locale of UTF-8; set PYTHONUTF8=1"
        if isinstance(seen, RecursionError):
            return "nested too deeply; check the input"
        if isinstance(seen, MemoryError) or any(text in str(seen).lower() for text in _MEMORY):
            return "not enough memory; set a smaller `tile` or `batch`, or fewer threads"
        if line := _of_the_system(seen):
            return line
        seen = seen.__cause__
    return " ".join(str(error).split()) if isinstance(error, OSError) and str(error) else None


def library_text(error: BaseException, most: int = 300) -> str:
    """Return what a library says of an error, in one line, cut where it quotes all that it did."""
    return shorten(" ".join(str(error).split()) or type(error).__name__, most)


def _invalid(error: ValidationError) -> str:
    """Return which field of a model, such as a stage's settings, has which wrong value."""
    first = error.errors()[0]
    where = f"{error.title.removesuffix(_SETTINGS).lower()}: " if _SETTINGS in error.title else ""
    key = ".".join(shorten(str(part)) for part in first["loc"])
    if first["type"] == "value_error":
        return f"{where}{f'{key}: ' if key else ''}{first['ctx']['error']}"
    if first["type"] == "extra_forbidden":
        return f"{where}{key}: no such setting; --help lists them"
    if first["type"] == "missing":
        return f"{where}{key} is missing; give it"
    expected = shorten(first["msg"].replace("Input should", "it should", 1), 300)
    given = first["input"]
    shown_value = given if isinstance(given, str) and first["type"] in _OF_NUMBERS else brief(given)
    return f"{where}{key} is {shown_value}, but {expected}"


def _of_the_system(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        where = f"{names[-1]}: " if names else ""
        return f"{where}{error.strerror}{_remedy(error.errno)}"
    text = " ".join(str(error).split())
    number = next((n for n in _REMEDIES if os.strerror(n).lower() in text.lower()), None)
    return None if number is None else f"{text}{_remedy(number)}"


def _remedy(number: int) -> str:
    return f"; {_REMEDIES[number]}" if number in _REMEDIES else ""


_ENDING = (signal.SIGTERM, signal.SIGHUP)
_STACK_BYTES = 3 * ctypes.sizeof(ctypes.c_void_p)
"""Of stack_t, signal.h."""
_GRACE_S = 20.0
"""Time to clean up; schedulers kill after 30 s."""


def unwind_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as an error does, so that it cleans up.

    By themselves they end it on the spot. Elsewhere than in the main thread nothing is changed, nor
    where somebody has chosen to ignore a signal, as nohup does.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _unwind)


def _unwind(number: int, frame: FrameType | None) -> None:
    for other in _ENDING:  # once is enough: cleaning up isn't interrupted
        signal.signal(other, signal.SIG_IGN)
    # A pool that was just starting a thread never ends it, and the process would wait for both.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _GRACE_S)
    sys.exit(128 + number)


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Keep the stack on which this thread handles signals, whatever a library sets meanwhile.

    OpenVINO sets one with every network, and puts the one before back when the network goes. That
    may be of a network that went before: the next signal would end the process by SIGSEGV.
    """
    if os.name != "posix":
        yield
        return
    sigaltstack = ctypes.CDLL(None).sigaltstack
    known = ctypes.create_string_buffer(_STACK_BYTES)
    sigaltstack(None, known)
    try:
        yield
    finally:
        sigaltstack(known, None)


@contextmanager
def held_back() -> Iterator[None]:
    """Let signals that end this process wait for the end of a step that mustn't be done by half.

    In other threads than the main one nothing is changed: there no signal raises an error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    known = {number: signal.getsignal(number) for number in (*_ENDING, signal.SIGINT)}
    handlers = {number: handler for number, handler in known.items() if handler is not None}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
