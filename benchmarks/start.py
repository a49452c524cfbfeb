"""`make bench-start`: processor seconds that commands take to start.

`floodloom STAGE --help` imports what the stage needs, as its job does, and ends. `--before`
measures another checkout, turn by turn with this one, so that both have the same of what else the
machine does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.record import record
from floodloom.stages import STAGES

SOURCE = Path(__file__).resolve().parents[1] / "src"
TURNS = 5
COMMANDS = (
    "--help",
    "models",
    "map --help",
    *(f"{stage} --help" for stage in STAGES),
)
"""Of floodloom, with their arguments."""


def cpu_seconds(command: str, source: Path) -> float:
    """Return the processor seconds of a command of floodloom, user and system.

    Parameters
    ----------
    command
        Its words after `floodloom`.
    source
        Folder of the package.
    """
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "floodloom.cli", *command.split()],
        env={**os.environ, "PYTHONPATH": str(source)},
        cwd=source,
        capture_output=True,
        check=True,
    )
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def measure(command: str, sources: dict[str, Path], turns: int) -> dict[str, float]:
    """Return the least processor seconds of a command in several turns, by source."""
    taken: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(turns):
        for name, source in sources.items():
            taken[name].append(cpu_seconds(command, source))
    return {name: round(min(seconds), 2) for name, seconds in taken.items()}


def start_table(result: dict[str, Any]) -> str:
    """Return what starting costs as a table."""
    names = list(next(iter(result["cpu_seconds"].values())))
    rows = [
        f"Least processor seconds of {result['turns']} turns with warm caches.",
        "",
        "| `floodloom` | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for command, seconds in result["cpu_seconds"].items():
        cells = [f"{seconds[name]:.2f}" for name in names]
        rows.append(f"| `{command}` | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--before", type=Path, help="another checkout of the project")
    parser.add_argument("--show", action="store_true", help="print the figures, record nothing")
    given = parser.parse_args()
    sources = {"now": SOURCE}
    if given.before is not None:
        sources = {"before": given.before.resolve() / "src", **sources}
    found = {command: measure(command, sources, given.turns) for command in COMMANDS}
    result = {"turns": given.turns, "cpu_seconds": found}
    if given.show:
        print(start_table(result))
        return
    record("start", result, command="make bench-start", seeds=[])


if __name__ == "__main__":
    main()
