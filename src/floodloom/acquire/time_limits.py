"""How long a server may take, and how slow it may be, whatever it sends.

The time limit of a socket is one of silence: a byte now and then keeps it open for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass, field
from typing import Any

SILENT_S = 30.0
"""Silence after which a download is given up."""
_WINDOW_S = 20.0
_SLOWEST = 1024  # bytes/s over a window; 1 GB then takes twelve days
_LONGEST_S = 86_400.0


class TooSlowError(Exception):
    """A server that sends, but not in the time that floodloom has; the text states its pace."""


@dataclass
class TimeLimits:
    """How long a download may still take, over all its requests.

    Attributes
    ----------
    began
        When it began, s on the clock of the machine.
    """

    began: float = field(default_factory=time.monotonic)
    _window: float | None = None
    _came: int = 0

    def wait(self) -> float:
        """Return how long the next bytes may take, s.

        Raises
        ------
        TooSlowError
            If the download takes too long.
        """
        left = self.began + _LONGEST_S - time.monotonic()
        if left <= 0:
            raise TooSlowError(f"not done after {_LONGEST_S / 3600:.0f} h")
        return min(left, SILENT_S)

    def note(self, count: int) -> None:
        """Note that bytes came.

        Raises
        ------
        TooSlowError
            If too few came in a while.
        """
        now = time.monotonic()
        if self._window is None:
            self._window = now
        self._came += count
        if now - self._window < _WINDOW_S:
            return
        if self._came < _SLOWEST * (now - self._window):
            raise TooSlowError(f"{self._came} bytes in {now - self._window:.0f} s")
        self._window, self._came = now, 0

    def pause(self) -> None:
        """Begin to count anew: nothing is awaited for a while."""
        self._window, self._came = None, 0

    def response(self, connection: socket.socket, *args: Any, **options: Any) -> Any:
        """Make the response of a connection, whose bytes are counted from its first line on."""
        made = http.client.HTTPResponse(connection, *args, **options)
        made.fp = io.BufferedReader(_Counted(made.fp.detach(), connection, self))
        return made


class _Counted(io.RawIOBase):
    def __init__(self, raw: Any, connection: socket.socket, limits: TimeLimits) -> None:
        self._raw, self._connection, self._limits = raw, connection, limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._limits.wait())
        try:
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            self._limits.wait()  # raises if it was the time of the whole that ran out
            raise
        self._limits.note(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
