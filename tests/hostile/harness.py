"""Runs of floodloom on broken and hostile inputs, with everything around them under watch.

A trial is a folder of its own: `in` for what is given, `out` for what is asked for, and a home, a
working folder, a place for temporary files and somebody else's files, none of which may change.
"""

from __future__ import annotations

import atexit
import faulthandler
import hashlib
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from floodloom.cli import main
from floodloom.errors import FloodloomError, one_line

SECONDS = 10.0
"""How long an answer may take."""
GROWTH = 0.75 * 2**30
"""What memory may grow by, bytes: 1.5 GiB less what a process takes that has loaded everything."""
APART = 1.5 * 2**30
"""Memory of a process of its own, bytes."""
HANG = 30.0
_LONGEST = 1000
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a run has said and done.

    Attributes
    ----------
    code
        Exit status; negative where a signal ended it, None where it hung.
    said, shown
        Standard error and standard output.
    trace
        Text of the exception that came through, or nothing.
    seconds, memory
        What it took; bytes of memory that it grew by. Of a process of its own seconds of computing
        since the libraries were loaded, and minus the bytes that it had in all.
    left
        What lies in the folder of the results.
    touched
        What else has changed.
    """

    code: int | None
    said: str
    shown: str
    trace: str
    seconds: float
    memory: float
    left: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The lines of floodloom's own on standard error."""
        return [line for line in self.said.splitlines() if line.startswith("floodloom: ")]


@dataclass
class Trial:
    """A folder in which floodloom is tried; `event` is a folder of good inputs to spoil."""

    folder: Path
    event: Path

    def __post_init__(self) -> None:
        for name in ("in", "out", "here", "home", "tmp", "beside"):
            (self.folder / name).mkdir()
        (self.folder / "beside" / "precious.txt").write_text("somebody else's\n")

    @property
    def given(self) -> Path:
        """Folder of what is given."""
        return self.folder / "in"

    @property
    def out(self) -> Path:
        """Folder of what is asked for."""
        return self.folder / "out"

    def copy(self, name: str, new: str | None = None) -> Path:
        """Copy a file or folder of the event among what is given."""
        source, target = self.event / name, self.given / (new or name)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
        return target

    def file(self, name: str, content: bytes | str) -> Path:
        """Write a file among what is given."""
        path = self.given / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, *arguments: object, apart: bool = False, cwd: Path | None = None) -> Outcome:
        """Run the command line, in this process or in one of its own that has less memory.

        A single function instead of words is called; what it refuses is said in the same way.
        """
        before, place = self._around(), cwd or self.folder / "here"
        texts = [str(argument) for argument in arguments]
        if apart:
            ran = _apart(texts, self._environment(), place)
        else:
            call = _said(arguments[0]) if callable(arguments[0]) else partial(main, texts)
            ran = _here(call, self._environment(), place)
        left = sorted(p.relative_to(self.out).as_posix() for p in self.out.iterdir())
        after = self._around()
        touched = [k for k in {**before, **after} if before.get(k) != after.get(k)]
        return Outcome(**{**ran.__dict__, "left": left, "touched": sorted(touched)})

    def refuses(self, *arguments: object, words: tuple[str, ...], **how: object) -> Outcome:
        """Check that a command ends in one line with these words, and that it leaves nothing."""
        was = sorted(p.name for p in self.out.iterdir())
        outcome = self.run(*arguments, **how)  # type: ignore[arg-type]
        self._within_bounds(outcome)
        assert outcome.code is not None, outcome.said
        assert outcome.code > 0, f"exit status {outcome.code}, left {outcome.left}: {outcome.said}"
        assert len(outcome.lines) == 1, outcome.said
        line = outcome.lines[0]
        assert outcome.said.rstrip("\n").splitlines()[-1] == line, outcome.said
        assert line.isprintable(), ascii(line)
        assert not line.startswith("floodloom: unexpected "), line
        assert len(line) <= _LONGEST, f"{len(line)} characters: {line[:200]}"
        missing = [word for word in words if word not in line]
        assert not missing, f"{missing} not in: {line}"
        assert outcome.left == was, f"left: {outcome.left}, before: {was}"
        return outcome

    def accepts(self, *arguments: object, **how: object) -> Outcome:
        """Check that a command succeeds and touches nothing but its results."""
        outcome = self.run(*arguments, **how)  # type: ignore[arg-type]
        self._within_bounds(outcome)
        assert outcome.code == 0, outcome.said
        assert not [name for name in outcome.left if name.startswith(".")]
        return outcome

    def _within_bounds(self, outcome: Outcome) -> None:
        assert not outcome.trace, outcome.trace
        assert "Traceback" not in outcome.said + outcome.shown, outcome.said
        assert not outcome.touched
        assert outcome.seconds <= SECONDS, f"{outcome.seconds:.1f} s"
        apart = outcome.memory < 0
        allowed = APART if apart else GROWTH
        assert abs(outcome.memory) <= allowed, f"{abs(outcome.memory) / 2**30:.2f} GiB"

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}

    def _around(self) -> dict[str, str]:
        """Everything that may not change: the trial without its results, and the event."""
        inside = (path for path in self.folder.iterdir() if path != self.out)
        return {k: v for path in (*inside, self.event) for k, v in digests(path)}


def digests(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what lies at and below a path, and a digest of each; folders count by their names."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        yield str(path), f"link to {path.readlink()}"
    elif stat.S_ISDIR(mode):
        yield str(path), "folder"
        for inner in path.iterdir():
            yield from digests(inner)
    elif stat.S_ISREG(mode):
        yield str(path), f"{mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    else:
        yield str(path), f"{mode:o}"


def _said(function: Callable[[], object]) -> Callable[[], int]:
    """Return a function that calls another as the workflow does, which has no traceback either."""

    def call() -> int:
        try:
            function()
        except FloodloomError as error:
            print(f"floodloom: {one_line(error)}", file=sys.stderr)
            return 2
        return 0

    return call


class Hung(BaseException):
    """A run in this process took far too long."""


def _here(call: Callable[[], int], environment: Mapping[str, str], cwd: Path) -> Outcome:
    """Run in this process."""
    said, shown, trace = io.StringIO(), io.StringIO(), ""
    code: int | None
    with _surroundings(environment, cwd), redirect_stderr(said), redirect_stdout(shown):
        resident, started, computed = _reset_peak(), time.perf_counter(), time.process_time()
        try:
            with alarm():
                code = call()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except Hung:
            code, trace = None, traceback.format_exc()
        except Exception:
            code, trace = 1, traceback.format_exc()
        # On a busy machine time passes without anything being done; what waits rings the alarm.
        seconds = min(time.perf_counter() - started, time.process_time() - computed)
        memory = max(_status("VmHWM") - resident, 0)
    return Outcome(code, said.getvalue(), shown.getvalue(), trace, seconds, memory)


@contextmanager
def _surroundings(environment: Mapping[str, str], cwd: Path) -> Iterator[None]:
    """Run as if the process began and ended here: what it removes at its end goes, too."""
    register, removals = atexit.register, []

    def at_exit(function: Callable[..., object], *given: object, **how: object) -> None:
        if function is shutil.rmtree:
            removals.append(partial(function, *given, **how))
        else:
            register(function, *given, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setattr(atexit, "register", at_exit)
        patch.setattr(tempfile, "tempdir", None)
        for name, value in environment.items():
            patch.setenv(name, value)
        yield
    for remove in removals:
        remove()


@contextmanager
def alarm() -> Iterator[None]:
    """End what waits or computes in Python for too long."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    faulthandler.dump_traceback_later(2 * HANG, exit=True, file=2)  # waits outside of Python
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _reset_peak() -> int:
    """Forget the greatest memory so far; return what is taken now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str, process: int | str = "self") -> int:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) << 10


_LIMITED = """
import resource, sys, time
import torch, xarray
from floodloom.cli import main
resource.setrlimit(resource.RLIMIT_AS, ({space}, {space}))
with open({loaded}, "w") as file:
    print(time.process_time(), file=file)
sys.exit(main(sys.argv[1:]))
"""
_SPACE = 6 << 30  # addresses, of which libraries reserve many more than they use


def _apart(arguments: list[str], environment: Mapping[str, str], cwd: Path) -> Outcome:
    """Run in a process of its own, which memory that blows up or a crash end alone.

    What it takes to load the libraries doesn't count: it's the same whatever is asked, and most of
    the time where other processes share the cores.
    """
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    path = os.pathsep.join([str(_REPOSITORY / "src"), *filter(None, sys.path)])
    full = {**os.environ, **threads, **environment, "PYTHONPATH": path, "FLOODLOOM_THREADS": "1"}
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as shown,
        tempfile.NamedTemporaryFile("r") as loaded,
    ):
        source = _LIMITED.format(space=_SPACE, loaded=repr(loaded.name))
        command = [sys.executable, "-c", source, *arguments]
        process = subprocess.Popen(
            command, cwd=cwd, env=full, stdout=shown, stderr=said, stdin=subprocess.DEVNULL
        )
        code, seconds, memory = _waited(process, started)
        seconds -= float(loaded.read() or 0)
        for file in (said, shown):
            file.seek(0)
        texts = [file.read().decode(errors="replace") for file in (said, shown)]
    return Outcome(code, *texts, "", seconds, -float(memory))


def _waited(process: subprocess.Popen[bytes], started: float) -> tuple[int | None, float, int]:
    """Wait for a process; return its exit status, None if it hung, seconds of computing and bytes.

    The greatest memory that the system tells of it at the end would be that of the process which
    started it, where that is greater.
    """
    hung, memory = False, 0
    while True:
        with suppress(OSError, IndexError):  # it has just ended
            memory = max(memory, _status("VmHWM", process.pid))
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
        if found:
            process.returncode = os.waitstatus_to_exitcode(status)
            code = None if hung else process.returncode
            return code, usage.ru_utime + usage.ru_stime, memory
        if not hung and time.perf_counter() - started > HANG:
            hung = True
            process.kill()
        time.sleep(0.02)
