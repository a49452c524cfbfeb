"""Run the workflow that the package brings, in a folder with a configuration of its own."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from floodloom import workflow
from floodloom.errors import FloodloomError
from floodloom.prepare.progress import follow

CONFIG = "config.yaml"
SNAKEFILE = Path(workflow.__file__).parent / "Snakefile"
"""The workflow, wherever floodloom is installed; its profile lies beside it."""
_AREAS = {"flood": "flood", "permanent": "permanent water", "excluded": "excluded"}
_QUIET = ("--quiet", "host", "reason")
_COUNT = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)
_STOPPED = "the run stopped for the reason above; the same command goes on where it stopped"


class RunError(FloodloomError):
    """Snakemake ended before the map was made."""


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
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as planned:
        with subprocess.Popen(
            arguments, cwd=out, env=_environment(), stderr=subprocess.PIPE,
            stdout=planned if dry_run else None, encoding="utf-8", errors="replace",
        ) as process:  # fmt: skip
            try:
                follow(process.stderr or ())
                status = process.wait()
            except BaseException:  # its jobs end with it
                process.terminate()
                raise
        if status:
            raise RunError(f"{out}: {_STOPPED}")
        if dry_run:
            planned.seek(0)
            print(_jobs(planned.read()), flush=True)


def _jobs(planned: str) -> str:
    """Return which jobs a dry run has planned, in a line."""
    table = planned.partition("Job stats:\n")[2].partition("\n\n")[0]
    counts = dict(_COUNT.findall(table))
    listed = ", ".join(f"{n} {name}" for name, n in counts.items() if name not in ("all", "total"))
    return f"dry run: jobs to do: {listed}" if listed else "dry run: all is made already"


def _environment() -> dict[str, str]:
    """This process's, in which relative paths of packages hold in another folder, too."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths))}


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
