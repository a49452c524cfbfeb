"""Stages run in forks of one process that has imported all of them: each takes no time to start.

A fork may be told to end itself by a signal in the midst of its writing, or to work under a limit.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
_EVENTS = ("open", "os.", "shutil.")


@dataclass(frozen=True)
class Ended:
    """How a stage ended: exit status or minus the signal, its last lines, events and seconds."""

    status: int
    lines: list[str]
    events: int
    seconds: float


class Server:
    """The process that forks."""

    def __init__(self) -> None:
        names = {k: v for k, v in os.environ.items() if not k.startswith("FLOODLOOM_")}
        for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "GDAL"):
            names[f"{library}_NUM_THREADS"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.stages.server import serve; serve()"],
            cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**names, "FLOODLOOM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

    def run(self, words: list[str], log: Path, **how: Any) -> Ended:
        """Run a command line of floodloom.

        Parameters
        ----------
        words
            The command line.
        log
            Where it says how it went, a path without ending.
        how
            `out`, the folder that it writes into; `number` and `moment`: the signal that ends it,
            at the n-th event in that folder, or so many seconds after the first; `limits` of
            `resource` by name.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"words": words, "log": str(log), **how}
        self._process.stdin.write(json.dumps(request, default=str) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


def serve() -> None:
    """Fork for each request on standard input."""
    from numba import njit

    from floodloom.stages import STAGES

    for stage in STAGES:
        importlib.import_module(f"floodloom.stages.{stage}")
    njit(lambda number: number)(1)  # the first function that is compiled takes half a second
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        gc.freeze()
        reading, writing = os.pipe()  # not a file, whose size may be limited
        child = os.fork()
        if child == 0:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
            os.close(reading)
            os.close(writing)
            _end_as(request)
        os.close(writing)
        with os.fdopen(reading, errors="replace") as said:
            lines = said.read().strip().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _import_like(Path(request["log"]).with_suffix(".modules"))
        told = {"status": status, "lines": lines, **_told(Path(request["log"]))}
        print(json.dumps(told), file=answers)
        answers.flush()


def _end_as(request: dict[str, Any]) -> None:
    """Do what is asked for and end as a process does, but for the slow clearing of its memory."""
    status = 1
    try:
        status = _work(request)
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(status)


def _import_like(names: Path) -> None:
    """Import what a stage has imported, so that the next ones needn't."""
    for name in names.read_text().splitlines() if names.exists() else ():
        with suppress(Exception):
            importlib.import_module(name)
    names.unlink(missing_ok=True)


def _told(log: Path) -> dict[str, Any]:
    watched = log.with_suffix(".watched")
    events, seconds = json.loads(watched.read_text()) if watched.exists() else (0, 0.0)
    watched.unlink(missing_ok=True)
    return {"events": events, "seconds": seconds}


def _work(request: dict[str, Any]) -> int:
    from floodloom.cli import main

    os.setsid()
    log = Path(request["log"])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # it is ignored where the tests run under nohup
    watch = _Watch(request["out"], request.get("number"), request.get("moment"))
    sys.addaudithook(watch.see)
    limits = {getattr(resource, name): value for name, value in request.get("limits", {}).items()}
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, before[kind][1]))
    status = main(request["words"])
    for kind, both in before.items():  # what torch does as it ends isn't floodloom's
        resource.setrlimit(kind, both)
    watch.folder = None
    if not request.get("limits"):
        log.with_suffix(".watched").write_text(json.dumps([watch.events, watch.seconds]))
        log.with_suffix(".modules").write_text("\n".join(sys.modules))
    return status


class _Watch:
    """Counts what is done in a folder and, at a moment, sends a signal to this process group."""

    def __init__(self, folder: str, number: int | None, moment: float | None) -> None:
        self.folder: str | None = folder
        self.number, self.moment = number, moment
        self.events, self.began, self.seconds = 0, 0.0, 0.0

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or not event.startswith(_EVENTS):
            return
        if not any(self.folder in os.fsdecode(a) for a in arguments if isinstance(a, _PATHS)):
            return
        self.events += 1
        if self.events == 1:
            self.began = time.perf_counter()
            if isinstance(self.moment, float):
                threading.Timer(self.moment, self._strike).start()
        self.seconds = time.perf_counter() - self.began
        if self.events == self.moment and isinstance(self.moment, int):
            self._strike()

    def _strike(self) -> None:
        os.killpg(0, self.number)


_PATHS = (str, bytes, os.PathLike)
