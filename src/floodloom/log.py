"""Logging and progress: bars where a person waits at a terminal, plain lines in jobs."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track as rich_track

from floodloom import texts
from floodloom.errors import DEBUG

Item = TypeVar("Item")

_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module."""
    return logging.getLogger(name)


def set_up_logging(level: str = "INFO") -> None:
    """Send log lines of this process to standard error.

    What the terminal can't show, such as × where it has ASCII alone, becomes a question mark.
    A record is one line, whatever it quotes; only the traceback of an error has more.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(_FORMAT, "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler])
    logging.raiseExceptions = bool(os.environ.get(DEBUG))
    warnings.formatwarning = _warning
    logging.captureWarnings(True)
    # It shows errors of Zarr's tasks, of which the first is raised where they were asked for.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        record.message = texts.line(record.message.strip())
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's own name
        return "\n".join(map(texts.printable, super().formatException(ei).splitlines()))


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """One line, without the code that warned."""
    return f"{Path(filename).name}:{lineno}: {category.__name__}: {message}"


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterate over `items` and show how far the work has come.

    Parameters
    ----------
    items
        What to iterate over.
    description
        What is being done, in short.
    total
        Number of items, when `items` has no length.

    Yields
    ------
    The items, unchanged. At a terminal a progress bar follows them; elsewhere one log line reports
    when the work is done and how long it took.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    console = Console(stderr=True)
    if console.is_terminal:
        shown = escape(texts.printable(description))
        yield from rich_track(items, shown, total=total, console=console, transient=True)
        return
    started = time.perf_counter()
    count = 0
    for count, item in enumerate(items, start=1):  # noqa: B007
        yield item
    elapsed = time.perf_counter() - started
    get_logger("floodloom").info("%s: %d done in %.1f s", description, count, elapsed)
