"""Writing a benchmark's figures with everything needed to take them again."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from floodloom.files import write_json

RESULTS = Path(__file__).parent / "results"


def record(
    name: str, figures: dict[str, Any], *, command: str, seeds: list[int] | None = None
) -> Path:
    """Write `benchmarks/results/<name>.json`.

    Parameters
    ----------
    name
        Name of the benchmark.
    figures
        What was measured; keys are merged with the facts below.
    command
        The command that takes the figures again.
    seeds
        Seeds that were used, where `figures` doesn't say.

    Returns
    -------
    Path
        The file.
    """
    facts: dict[str, Any] = {
        "benchmark": name,
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "hardware": hardware(),
    }
    if seeds is not None:
        facts["seeds"] = seeds
    return write_json(RESULTS / f"{name}.json", {**facts, **figures, **facts})


def require_same_hardware(path: Path, before: dict[str, Any]) -> None:
    """Stop if the figures of a file are of another machine, whose trainings can't be compared.

    Raises
    ------
    SystemExit
        With one line that names the file, both machines, and what to do.
    """
    here = hardware()
    there = before.get("hardware", here)
    if there != here:
        raise SystemExit(
            f"{path}: taken on {there}, and this is {here}; give another --name, or remove the "
            "file to take everything anew"
        )


def commit() -> str:
    """Return the commit that is checked out, marked when files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def hardware() -> str:
    """Return processor, cores and memory in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x.split(":")[1] for x in cpuinfo.read_text().splitlines() if "model name" in x]
        model = names[0].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {cores} cores, {memory:.0f} GiB"
