"""How far a computation of dask has come."""

from __future__ import annotations

import time
from typing import Any

from dask.callbacks import Callback
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from floodloom import texts
from floodloom.log import get_logger


class dask_progress(Callback):  # noqa: N801  used as a function that returns a context
    """Show how many tasks of a dask computation are done, while the context is open.

    Parameters
    ----------
    description
        What is being done, in short.
    """

    def __init__(self, description: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._description = description
        self._console = Console(stderr=True)

    def _start(self, dsk: Any) -> None:
        self._began = time.perf_counter()
        self._bar = Progress(
            console=self._console, transient=True, disable=not self._console.is_terminal
        )
        self._bar.start()
        self._task = self._bar.add_task(escape(texts.printable(self._description)), total=None)

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        remaining = sum(len(state[kind]) for kind in ("ready", "waiting", "running"))
        done = len(state["finished"])
        self._bar.update(self._task, completed=done, total=done + remaining)

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        self._bar.stop()
        if not errored and not self._console.is_terminal:
            elapsed = time.perf_counter() - self._began
            get_logger("floodloom").info("%s: done in %.1f s", self._description, elapsed)
