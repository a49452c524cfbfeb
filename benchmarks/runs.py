"""`make bench-runs`: the scores and runtimes of the finished runs under results/.

Run the workflow first: `make demo`, `snakemake --cores 2 --configfile config/etci2021.yaml`, ...
Runs that haven't finished are left as they were measured last.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, record
from floodloom.errors import InputError
from floodloom.files import read_json

COMMANDS = {
    "demo": "make demo",
    "etci2021": "snakemake --cores 2 --configfile config/etci2021.yaml",
    "ombria": "snakemake --cores 2 --configfile config/ombria.yaml",
}


def main() -> None:
    """Collect every finished run."""
    finished = [
        name for name in COMMANDS if Path(f"results/{name}/evaluation/summary.json").exists()
    ]
    if not finished:
        raise InputError("results: no finished run; run `make demo` first")
    before = read_json(RESULTS / "runs.json")["runs"] if (RESULTS / "runs.json").exists() else {}
    runs = {**before, **{name: collect(name) for name in finished}}
    record("runs", {"runs": runs}, command="make bench-runs", seeds=[0])


def collect(name: str) -> dict[str, Any]:
    """Return scores and runtimes of one run."""
    folder = Path("results") / name
    summary = read_json(folder / "evaluation/summary.json")
    return {
        "command": COMMANDS[name],
        "scores": summary,
        "seconds_by_stage": runtimes(folder / "benchmarks"),
        "peak_memory_mib": peak_memory(folder / "benchmarks"),
    }


def runtimes(folder: Path) -> dict[str, float]:
    """Return the seconds that the jobs of each stage took, summed."""
    return {
        stage.name: round(sum(float(row["s"]) for row in _rows(stage)), 1)
        for stage in sorted(folder.iterdir())
    }


def peak_memory(folder: Path) -> float:
    """Return the largest resident memory of any job, MiB."""
    values = [row["max_rss"] for stage in folder.iterdir() for row in _rows(stage)]
    return max((float(v) for v in values if re.match(r"^[\d.]+$", v)), default=0.0)


def _rows(stage: Path) -> list[dict[str, str]]:
    rows = []
    for path in sorted(stage.glob("*.tsv")):
        with path.open(newline="") as lines:
            rows += list(csv.DictReader(lines, delimiter="\t"))
    return rows


if __name__ == "__main__":
    main()
