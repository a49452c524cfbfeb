"""A process that is asked to end leaves nothing half-written."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)
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
