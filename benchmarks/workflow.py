"""`make bench-workflow`: what a dry run of the workflow costs on a thousand scenes.

Sources are stand-ins of a few bytes: a dry run reads names, digests of sources and records, and no
pixel.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.record import record

REPOSITORY = Path(__file__).resolve().parents[1]
TRAINING, VALIDATION = 10, 2
EVENTS = 500
TURNS = 5


def lay_code(folder: Path) -> None:
    """Lay the workflow and its package into a folder, beside empty ones for its own files."""
    for name in ("profiles", "src"):
        shutil.copytree(REPOSITORY / name, folder / name, dirs_exist_ok=True)
    shutil.copy(REPOSITORY / "Snakefile", folder)
    (folder / "config").mkdir()
    (folder / "sources").mkdir()


def lay_project(folder: Path, events: int) -> None:
    """Lay a copy of the project into a folder, whose run has two scenes of each event.

    Parameters
    ----------
    folder
        Folder to lay it into.
    events
        Flood events, each with a product before and one after: ten give labels, two are validated
        on, all others are mapped.
    """
    lay_code(folder)
    sections: dict[str, dict[str, str]] = {}
    rows = ["scene\tevent\trole\tsource"]
    for number in range(events):
        event = f"event{number:04}"
        sections[event] = _event(folder, event, number)
        for role in ("before", "after"):
            product = f"sources/{event}_{role}.zip"
            (folder / product).write_text(product)
            rows.append(f"{event}_{role}\t{event}\t{role}\t{product}")
    (folder / "config/scenes.tsv").write_text("\n".join(rows) + "\n")
    config = {"run": {"name": "many"}, "scenes": "config/scenes.tsv", "events": sections}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))


def _event(folder: Path, event: str, number: int) -> dict[str, str]:
    files = {"dem": f"sources/{event}-dem.tif"}
    if number < TRAINING + VALIDATION:
        files["labels"] = f"sources/{event}-labels.tif"
    for path in files.values():
        (folder / path).write_text(path)
    split = "train" if number < TRAINING else "target"
    return {"split": "validation" if TRAINING <= number < TRAINING + VALIDATION else split, **files}


def dry_run(folder: Path) -> tuple[float, int]:
    """Return the processor seconds of a dry run, of user and system, and its jobs."""
    before = os.times()
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    after = os.times()
    seconds = sum(after[2:4]) - sum(before[2:4])
    return seconds, int(re.findall(r"^total\s+(\d+)$", run.stdout + run.stderr, re.MULTILINE)[0])


def measure(events: int, turns: int) -> dict[str, Any]:
    """Return jobs and processor seconds of the dry runs of a project, the first without memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_project(folder, events)
        first, jobs = dry_run(folder)
        seconds = [dry_run(folder)[0] for _ in range(turns)]
    return {
        "scenes": 2 * events,
        "jobs": jobs,
        "first_cpu_seconds": round(first, 2),
        "cpu_seconds": [round(value, 2) for value in seconds],
        "median_cpu_seconds": round(statistics.median(seconds), 2),
    }


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--show", action="store_true", help="print the figures, record nothing")
    given = parser.parse_args()
    found = {str(events): measure(events, given.turns) for events in (1, given.events)}
    if given.show:
        print(found)
        return
    record("workflow", {"runs": found}, command="make bench-workflow", seeds=[])


if __name__ == "__main__":
    main()
