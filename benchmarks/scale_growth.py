"""What a scene costs when there are many: runs of 1 to 64 small scenes, and one again afterwards.

Every scene has a product, elevations and a map of its own, made by one simulation and copied: what
is measured is the workflow and its jobs, not the pixels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.workflow import lay_code
from floodloom.simulate.settings import SimulateSettings
from floodloom.stages.simulate import simulate

SIDE = 256
"""Pixels of 10 m along each side of a simulated image."""
_RUN = "many"


def lay_small(folder: Path, scenes: int) -> None:
    """Lay a copy of the project into a folder, whose run maps so many small scenes.

    Parameters
    ----------
    folder
        Folder to lay it into.
    scenes
        Events with one product each, mapped by the model that floodloom brings.
    """
    lay_code(folder)
    sources = folder / "sources"
    made = {"dem": "dem.tif", "optical": "optical.tif", "truth": "truth.tif"}
    files = {name: folder / file for name, file in made.items()}
    safes = {f"out_{role}": folder / f"{role}.SAFE" for role in ("before", "after")}
    simulate(**files, **safes, settings=SimulateSettings(size=SIDE))
    rows, events = ["scene\tevent\trole\tsource"], {}
    for number in range(scenes):
        event = f"event{number:04}"
        shutil.copytree(folder / "after.SAFE", sources / f"{event}.SAFE")
        shutil.copy(folder / "dem.tif", sources / f"{event}.tif")
        events[event] = {"split": "target", "dem": f"sources/{event}.tif"}
        rows.append(f"{event}\t{event}\tafter\tsources/{event}.SAFE")
    (folder / "scenes.tsv").write_text("\n".join(rows) + "\n")
    config: dict[str, Any] = {
        "run": {"name": _RUN, "checkpoint": "default"},
        "scenes": "scenes.tsv",
        "events": events,
        "geocode": {"resolution": 10, "dem_heights": "ellipsoid"},
    }
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))


_MEASURED = """
import atexit, re, runpy, sys
from pathlib import Path
def state():
    status = Path("/proc/self/status").read_text()
    Path(peak).write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
peak = sys.argv.pop(1)
atexit.register(state)
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""
"""Snakemake, which states its own greatest memory, kB, when it ends."""


def run_cost(folder: Path, *options: str) -> dict[str, float]:
    """Run the workflow of a folder.

    Returns
    -------
    dict
        `cpu_seconds`, of user and system, of the workflow and its jobs; `peak_mib` of the
        workflow's own process, without its jobs.
    """
    with tempfile.NamedTemporaryFile("r") as peak:
        before = os.times()
        subprocess.run(
            [sys.executable, "-c", _MEASURED, peak.name, "--cores", "1", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        after = os.times()
        memory = int(Path(peak.name).read_text()) / 1024
    seconds = sum(after[2:4]) - sum(before[2:4])
    return {"cpu_seconds": round(seconds, 2), "peak_mib": round(memory, 1)}


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(scenes: int) -> dict[str, Any]:
    """Return what a run of so many scenes costs, and the same again, which has nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_small(folder, scenes)
        first, again = run_cost(folder), run_cost(folder)
        results = folder / "results" / _RUN
        stored = {
            path.name: bytes_below(path) for path in sorted(results.iterdir()) if path.is_dir()
        }
    return {"scenes": scenes, "run": first, "again": again, "bytes": stored}
