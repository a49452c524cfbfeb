"""The real rules with stages that only say what they were made of, run in a fork of this process.

A stub writes the digest of its module, its settings and the content of its inputs: two results are
equal exactly if everything above them was.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = {
    "raster": ("acquire", "calibrate", "geocode", "ingest"),
    "learning": ("tile", "train", "relabel"),
    "mapping": ("predict", "delineate", "evaluate", "report"),
}


def module(folder: Path, name: str) -> Path:
    return folder / "src/floodloom" / f"{name}.py"


def lay_modules(folder: Path) -> None:
    """Lay stub modules into a folder: one per stage, and one that stages of a kind share."""
    (folder / "src/floodloom/stages").mkdir(parents=True)
    for kind, stages in SHARED.items():
        shared = module(folder, f"{kind}/shared")
        shared.parent.mkdir(parents=True, exist_ok=True)
        shared.write_text("VALUE = 0\n")
        for stage in stages:
            file = module(folder, f"stages/{stage}")
            file.write_text(f"import floodloom.{kind}.shared\n\nVALUE = 0\n")


def content(path: Path) -> Any:
    """What a folder holds, by name, and of a file the digest."""
    if path.is_dir():
        return {p.name: content(p) for p in sorted(path.iterdir()) if p.name[0] != "."}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make(folder: Path, job: Any) -> None:
    """Do the work of a stage."""
    kind = next(kind for kind, stages in SHARED.items() if job.rulename in stages)
    files = (f"stages/{job.rulename}", f"{kind}/shared")
    made_of = {
        "stage": job.rulename,
        "modules": [re.search(r"VALUE = \d+", module(folder, f).read_text())[0] for f in files],
        "settings": _settings(job),
        "inputs": {name: _contents(value) for name, value in sorted(job.input.items())},
        "beside": _beside(folder, job),
    }
    text = json.dumps(made_of, sort_keys=True)
    if job.rulename == "acquire":
        text = Path(_path(str(job.params.source))).read_text()  # fetched as it is
    failing = (folder / f"fails-{job.rulename}").exists()
    for number, path in enumerate(job.output):
        if failing and number == 1:
            break
        _write(folder / path, hashlib.sha256(f"{path} {text}".encode()).hexdigest())
    if failing:
        raise RuntimeError(f"{job.rulename} was told to fail")


def _settings(job: Any) -> dict[str, str]:
    return {name: str(value) for name, value in job.params.items() if name != "digest"}


def _path(source: str) -> str:
    """Where the server of an address has its files."""
    return source.removeprefix("http://").partition(" ")[0]


def _contents(value: Any) -> Any:
    paths = [value] if isinstance(value, str) else value
    return [content(Path(path)) for path in paths]


def _beside(folder: Path, job: Any) -> Any:
    """What stages read that isn't an input."""
    names = ("orbit", "source", *(("root",) if job.params.get("dataset") else ()))
    values = {**(job.params.get("settings") or {}), **job.params}
    named = [str(values.get(name) or "") for name in names]
    return [content(folder / _path(path)) for path in named if path]


def _write(path: Path, text: str) -> None:
    """Write a result whole, as stages do: a store is a folder."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    if path.suffix == ".zarr":
        part.mkdir()
        (part / "data").write_text(text)
    else:
        part.write_text(text)
    part.replace(path)


def snakemake(folder: Path, *arguments: str, kill_after: float | None = None) -> int:
    """Run Snakemake in a fork; return its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        _run(folder, arguments)
    if kill_after is not None:
        until = time.monotonic() + kill_after
        while time.monotonic() < until and os.waitid(os.P_PID, child, _LOOK) is None:
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


def preload(folder: Path) -> None:
    """Import what the last run imported, so that the next ones needn't."""
    for name in (folder / "modules.txt").read_text().splitlines():
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()


def _run(folder: Path, arguments: tuple[str, ...]) -> None:
    from snakemake import benchmark
    from snakemake.cli import main
    from snakemake.script import PythonScript

    from floodloom import digest

    os.chdir(folder)
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    digest._ROOT = folder / "src/floodloom"
    PythonScript.evaluate = lambda job, edit=False: make(folder, job)
    benchmark.write_benchmark_records = lambda records, path, extended: Path(path).touch()
    status = 1
    try:
        main(["--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2", *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        Path("modules.txt").write_text("\n".join(sys.modules))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def copy_sources(folder: Path, clean: Path) -> None:
    """Lay all that a run begins from, and nothing that it made, into another folder."""
    shutil.rmtree(clean, ignore_errors=True)
    made = shutil.ignore_patterns("results", "resources", ".snakemake", "fails-*", "*.txt")
    shutil.copytree(folder, clean, ignore=made)
