"""A process that is asked to end leaves nothing half-written."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType


def unwind_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as an error does, so that it cleans up.

    By themselves they end it on the spot. Elsewhere than in the main thread nothing is changed, nor
    where somebody has chosen to ignore a signal, as nohup does.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _unwind)


def _unwind(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: cleaning up isn't interrupted
    sys.exit(128 + number)
