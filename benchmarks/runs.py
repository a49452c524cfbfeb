"""`make bench-runs`: the scores and runtimes of the finished runs under results/.

Run the workflow first: `make demo`, `snakemake --cores 2 --configfile config/etci2021.yaml`, ...
Runs that haven't finished are left as they were measured last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, commit, record
from floodloom.errors import InputError
from floodloom.files import read_json
from floodloom.report.results import runtimes
from floodloom.stages import STAGES

COMMANDS = {
    "demo": "make demo",
    "demo-train": "make demo-train",
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
    stages = runtimes(folder / "benchmarks", tuple(STAGES))
    return {
        "command": COMMANDS[name],
        "commit": commit(),
        "scores": read_json(folder / "evaluation/summary.json"),
        "seconds_by_stage": {row.stage: round(row.seconds, 1) for row in stages},
        "peak_memory_mib": max((row.memory or 0.0 for row in stages), default=0.0),
    }


if __name__ == "__main__":
    main()
