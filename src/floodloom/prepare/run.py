"""Run the workflow that the package brings, in a folder with a configuration of its own."""

from __future__ import annotations

import csv
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from floodloom import workflow
from floodloom.errors import FloodloomError
from floodloom.files import LASTING
from floodloom.prepare.progress import follow

CONFIG = "config.yaml"
SNAKEFILE = Path(workflow.__file__).parent / "Snakefile"
"""The workflow, wherever floodloom is installed; its profile lies beside it."""
_AREAS = {"flood": "flood", "permanent": "permanent water", "excluded": "excluded"}
_TEMPORARY = "floodloom-run-"
_QUIET = ("--quiet", "host", "reason")
_COUNT = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)
_GOES_ON = "the same command goes on where it stopped"


class RunError(FloodloomError):
    """Snakemake ended before the map was made.

    Attributes
    ----------
    reason
        Why, in one line; the error itself leaves it to what the run has shown already.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason or text


def command(cores: int, *more: str) -> list[str]:
    """Return the command that runs the workflow in the folder of a configuration.

    Parameters
    ----------
    cores
        Cores to use.
    *more
        Options or targets of Snakemake, such as `geocoded`.
    """
    where = ("--snakefile", str(SNAKEFILE), "--configfile", CONFIG, "--cores", str(cores))
    return ["snakemake", *where, *more]


def shown(out: Path, cores: int | None = None) -> str:
    """Return the command as it can be typed; all cores when not given."""
    cores = cores or available_cores()
    return f"cd {shlex.quote(str(out))} && {shlex.join([*_program(), *command(cores)[1:]])}"


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _program() -> list[str]:
    """Snakemake's own program, where it is on the path, or the module."""
    return ["snakemake"] if shutil.which("snakemake") else [sys.executable, "-m", "snakemake"]


def run(out: Path, cores: int, *, dry_run: bool = False) -> None:
    """Run the workflow, and show how far it is.

    Parameters
    ----------
    out
        Folder of the configuration.
    cores
        Cores to use.
    dry_run
        List the jobs, but run none.

    Raises
    ------
    RunError
        If a job fails; what failed stands on standard error.
    """
    more = ("rules", "--dry-run") if dry_run else ()
    arguments = [sys.executable, "-m", "snakemake", *command(cores, *_QUIET, *more)[1:]]
    with (
        _temporary_folder() as (folder, handle),
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as planned,
    ):
        with subprocess.Popen(
            arguments, cwd=out, env=_environment(folder), pass_fds=[handle], stderr=subprocess.PIPE,
            stdout=planned if dry_run else None, encoding="utf-8", errors="replace",
        ) as process:  # fmt: skip
            try:
                reason = follow(process.stderr or ())
                status = process.wait()
            except BaseException:  # its jobs end with it
                process.terminate()
                raise
        if status < 0:
            how = signal.Signals(-status).name
            raise RunError(f"{out}: Snakemake was ended by {how}; {_GOES_ON}")
        if status:
            raise RunError(f"{out}: the run stopped for the reason above; {_GOES_ON}", reason)
        if dry_run:
            planned.seek(0)
            print(_jobs(planned.read()), flush=True)


def _jobs(planned: str) -> str:
    """Return which jobs a dry run has planned, in a line."""
    table = planned.partition("Job stats:\n")[2].partition("\n\n")[0]
    counts = dict(_COUNT.findall(table))
    listed = ", ".join(f"{n} {name}" for name, n in counts.items() if name not in ("all", "total"))
    return f"dry run: jobs to do: {listed}" if listed else "dry run: all is made already"


@contextmanager
def _temporary_folder() -> Iterator[tuple[Path, int]]:
    """Give a folder for the temporary files of a run, and a handle that keeps it.

    Jobs that are killed leave such files. The folder is locked for as long as any process has the
    handle open: what those leave that were killed themselves, the next run removes.
    """
    _remove_ended()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
        with suppress(FileNotFoundError):  # another run took it for one that has ended
            handle = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            if folder.exists():
                break
            os.close(handle)
    try:
        yield folder, handle
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_ended() -> None:
    """Remove the temporary files of runs of which no process lives."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        with suppress(OSError):  # of another user, or locked
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)


def _environment(temporary: Path) -> dict[str, str]:
    """This process's, in which relative paths of packages hold in another folder, too."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths)),
        LASTING: os.environ.get(LASTING) or tempfile.gettempdir(),
        "TMPDIR": str(temporary),
    }


def results(out: Path, name: str) -> Iterator[str]:
    """Yield what a run has made, a line each: the flood's area, and the files to look at.

    Parameters
    ----------
    out
        Folder of the configuration.
    name
        Name of the event and its run.
    """
    folder = out / "results" / name
    maps = folder / "maps" / name
    with (maps / "areas.csv").open(encoding="utf-8", newline="") as table:
        whole = next(csv.DictReader(table))
    areas = (f"{what} {float(whole[key]):,.0f} ha" for key, what in _AREAS.items())
    yield f"area: {', '.join(areas)}"
    for what, path in (
        ("map page", folder / "map.html"),
        ("report", folder / "report.html"),
        ("raster", maps / "flood.tif"),
        ("polygons", maps / "flood.gpkg"),
    ):
        yield f"{what}: {path}"
