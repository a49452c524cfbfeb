"""What the jobs of a run of the workflow cost, watched from without through /proc.

A job is known by its log, to which it sends its output. Its time is that of its process, with the
start of Python; processor time and bytes are those of the process and all its children. Bytes are
those of system calls, whether the disk or its cache answers. Memory is the greatest that the
process has held, or, of several, the greatest sum of what each holds with shared pages in parts.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
_LOGS = "/logs/"
_EVERY_S = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")

Figures = dict[str, float]


@dataclass
class Job:
    """A job that runs, or has run: what it is, when it began (s since boot), and what it cost."""

    process: int
    began: float
    log: str = ""
    figures: Figures = field(default_factory=dict)


def watch(
    command: Sequence[str],
    folder: Path,
    finished: Callable[[str, Figures], object],
    env: Mapping[str, str] | None = None,
) -> float:
    """Run a command, and report each job of the workflow that ends meanwhile.

    Parameters
    ----------
    command
        Command that runs the workflow.
    folder
        Folder to run it in.
    finished
        Called with a job's log, without its folder and ending (`predict/beira-after`), and its
        figures: `seconds`, `cpu_seconds`, `read_bytes`, `written_bytes`, `peak_mib`.
    env
        Environment of the command; this process's own when not given.

    Returns
    -------
    float
        Seconds that the command took.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    began = time.perf_counter()
    running: dict[int, Job] = {}
    with subprocess.Popen(command, cwd=folder, env=env) as process:
        try:
            while process.poll() is None:
                alive = _look(process.pid, running)
                for pid in running.keys() - alive:
                    _end(running.pop(pid), finished)
                time.sleep(_EVERY_S)
        except BaseException:  # its jobs end with it
            process.terminate()
            raise
    for job in running.values():
        _end(job, finished)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - began


def _end(job: Job, finished: Callable[[str, Figures], object]) -> None:
    if job.log and job.figures:
        finished(job.log, job.figures)


def _look(root: int, running: dict[int, Job]) -> set[int]:
    """Bring the figures of all jobs beneath a process up to date, and return which there are."""
    alive = set()
    for pid in _jobs_beneath(root):
        with suppress(OSError, IndexError, ValueError):  # it may end at any moment
            job = running.setdefault(pid, Job(pid, _started(pid)))
            job.log = _log_of(pid) or job.log
            job.figures = _figures(job)
            alive.add(pid)
    return alive


def _jobs_beneath(pid: int) -> list[int]:
    """The outermost processes below one that send their output to a job's log."""
    found = []
    for child in _children(pid):
        found += [child] if _log_of(child) else _jobs_beneath(child)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in (PROC / f"{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _log_of(pid: int) -> str:
    """Name of the log that a process sends its output to; empty if it is none of a job."""
    with suppress(OSError):
        path = str((PROC / f"{pid}/fd/1").readlink())
        if _LOGS in path and path.endswith(".log"):
            return path.rpartition(_LOGS)[2].removesuffix(".log")
    return ""


def _figures(job: Job) -> Figures:
    tree = [job.process, *_beneath(job.process)]
    stats = [_stat(pid) for pid in tree]
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    # Of the job itself with the children that have ended, of the others while they live.
    ticks = sum(sum(map(int, stat[11:15])) for stat in stats)
    status = _table(f"{job.process}/status")
    held = sum(_table(f"{pid}/smaps_rollup")["Pss"] for pid in tree) if len(tree) > 1 else 0
    peak = max(status["VmHWM"], held) / 1024
    io = [_table(f"{pid}/io") for pid in tree]
    return {
        "seconds": now - job.began,
        "cpu_seconds": ticks / _TICKS,
        "read_bytes": sum(one["rchar"] for one in io),
        "written_bytes": sum(one["wchar"] for one in io),
        "peak_mib": max(job.figures.get("peak_mib", 0.0), peak),
    }


def _beneath(pid: int) -> list[int]:
    found = []
    for child in _children(pid):
        found += [child, *_beneath(child)]
    return found


def _started(pid: int) -> float:
    return int(_stat(pid)[19]) / _TICKS


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on; the second, a name, may hold spaces."""
    return (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()


def _table(name: str) -> dict[str, int]:
    """Numbers of a file of /proc with a name and a number in each line."""
    found = {}
    for line in (PROC / name).read_text().splitlines():
        key, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdecimal():
            found[key] = int(number[0])
    return found
