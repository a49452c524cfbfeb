"""Rounds of relabelling in the DAG: each alone, and on after a kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import snakemake
from tests.workflow.test_workflow import change

pytestmark = pytest.mark.xdist_group("workflow")
RUN = Path("results/tiny")


def rounds_planned(text: str, rule: str) -> list[str]:
    """Rounds for which a dry run would run a rule."""
    blocks = re.split(r"\n(?=rule |localrule )", text)
    found = [re.search(r"round=(\d+)", b) for b in blocks if b.startswith(f"rule {rule}:")]
    return sorted(match.group(1) for match in found if match)


def test_only_the_rounds_that_are_asked_for_are_redone(copied: Path) -> None:
    change(copied, run={"rounds": 3})
    again = snakemake(copied, "--dry-run", "--forcerun", str(RUN / "relabel/round-2.json"))
    text = again.stdout + again.stderr
    assert rounds_planned(text, "relabel") == ["2", "3"]
    assert rounds_planned(text, "train") == ["2", "3"]
    every = snakemake(copied, "--dry-run", "--forcerun", "relabel")
    assert rounds_planned(every.stdout + every.stderr, "relabel") == ["1", "2", "3"]


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A run in a process group of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "relabelled"],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(folder / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_a_kill_in_round_2_goes_on_in_round_2(copied: Path) -> None:
    change(copied, run={"rounds": 2})
    first = [copied / RUN / "relabel/round-1.json", *copied.glob("results/tiny/models/round-1/*")]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in first}
    run = started(copied)
    log = copied / RUN / "logs/relabel/round-2.log"
    while not log.exists() and run.poll() is None:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (copied / RUN / "models/round-2/unet-0.safetensors").exists()
    planned = snakemake(copied, "--dry-run", "relabelled")
    text = planned.stdout + planned.stderr
    assert rounds_planned(text, "relabel") == ["2"]
    assert rounds_planned(text, "train") == ["2"]
    resumed = snakemake(copied, "relabelled")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert (copied / RUN / "models/round-2/unet-0.safetensors").stat().st_size > 0
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in first} == before
