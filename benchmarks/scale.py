"""`make bench-scale`: what a run costs with more scenes, and a plan for a country and the globe.

Each number of scenes is recorded as soon as it is measured; a run that is ended goes on with the
others, and `--anew` measures all again.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, record
from benchmarks.scale_growth import measure, run_cost
from benchmarks.scale_plan import Assumptions, plan
from benchmarks.workflow import EVENTS, lay_project
from floodloom.files import read_json

SCENES = (1, 4, 16, 64)
_COMMAND = "make bench-scale"


def dry_run(events: int) -> dict[str, float]:
    """Return what a dry run of two scenes of each event costs, from nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_project(folder, events)
        return {"scenes": 2 * events, **run_cost(folder, "--dry-run")}


def assumptions_of(arguments: argparse.Namespace) -> Assumptions:
    """Return the assumptions, with those that were given."""
    names = (field.name for field in fields(Assumptions))
    return Assumptions(**{name: getattr(arguments, name) for name in names})


def main() -> None:
    """Measure, simulate and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, nargs="*", default=SCENES, help="sizes of runs")
    parser.add_argument("--anew", action="store_true", help="measure again what is recorded")
    for field in fields(Assumptions):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default))
        parser.set_defaults(**{field.name: field.default})
    given = parser.parse_args()
    path = RESULTS / "scale.json"
    found: dict[str, Any] = read_json(path) if path.exists() and not given.anew else {}
    found.setdefault("growth", {})
    found["plan"] = plan(assumptions_of(given))
    record("scale", found, command=_COMMAND, seeds=[0])
    if "dry_run" not in found:
        found["dry_run"] = dry_run(EVENTS)
        record("scale", found, command=_COMMAND, seeds=[0])
    for scenes in given.scenes:
        if str(scenes) not in found["growth"]:
            found["growth"][str(scenes)] = measure(scenes)
            record("scale", found, command=_COMMAND, seeds=[0])


if __name__ == "__main__":
    main()
