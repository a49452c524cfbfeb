"""What a process takes while it runs, looked at again and again."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

_MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes
    ----------
    at
        Seconds of the monotonic clock.
    process
        The process that is looked at.
    own_mib
        Its resident memory, MiB.
    tree_mib
        Memory of it and of all that it started, MiB; what they share counts once.
    handles
        Its open files and connections.
    files
        Temporary files.
    """

    at: float
    process: int
    own_mib: float
    tree_mib: float
    handles: int
    files: int


@dataclass
class Sampler:
    """A thread that takes samples of a process while the context is open.

    Attributes
    ----------
    process
        What is looked at; may be changed, or None.
    folder
        Where temporary files would lie.
    every_s
        Time between two looks.
    """

    process: int | None = None
    folder: Path | None = None
    every_s: float = 0.5
    taken: list[Sample] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self.every_s):
            if self.process is None:
                continue
            sample = look_at_process(self.process, self.folder)
            if sample is not None:
                self.taken.append(sample)


def look_at_process(process: int, folder: Path | None = None) -> Sample | None:
    """Return a sample of a process, None where it has ended."""
    try:
        own = psutil.Process(process)
        members = [own, *own.children(recursive=True)]
        resident, handles = own.memory_info().rss, own.num_fds()
    except psutil.Error:
        return None
    total = 0.0
    for member in members:
        with gone():
            total += member.memory_full_info().pss
    files = 0 if folder is None else sum(1 for _ in folder.rglob("*"))
    return Sample(time.monotonic(), process, resident / _MIB, total / _MIB, handles, files)


@contextmanager
def gone() -> Iterator[None]:
    """Let a process have ended meanwhile."""
    try:
        yield
    except (psutil.Error, FileNotFoundError, ProcessLookupError):
        return


def thirds(samples: Sequence[Sample], value: Callable[[Sample], float]) -> tuple[float, float]:
    """Return the medians of a value in the first and the last third of the time."""
    first, last = samples[0].at, samples[-1].at
    share = (last - first) / 3
    early = [value(one) for one in samples if one.at <= first + share]
    late = [value(one) for one in samples if one.at >= last - share]
    return statistics.median(early), statistics.median(late)
