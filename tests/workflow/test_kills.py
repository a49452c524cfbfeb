"""Kills at random moments, and the same command again: the results are those of a run without."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.workflow.conftest import environment, project, snakemake

pytestmark = pytest.mark.xdist_group("workflow")
KILLS = int(os.environ.get("FLOODLOOM_KILLS", "2"))
FEW = 4
BEGUN = {"simulated", "calibrated", "geocoded", "tiles", "models", "logs", "benchmarks"}
OF_ROUNDS = ("models/round-1", "tiles/pseudo-1.zarr")
SEED = int(os.environ.get("FLOODLOOM_SEED", "0"))


def started(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """The command that runs all, in a process group of its own."""
    with log.open("ab") as lines:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2"],
            cwd=folder,
            env={**environment(), "PYTHONPATH": str(folder / "src")},
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )


def kill(run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def kill_at_random(folder: Path, log: Path) -> int:
    """Kill the run again and again, at most `KILLS` times; return how often it was at work."""
    chance = random.Random(SEED)
    began = time.monotonic()
    run = started(folder, log)
    while "Finished jobid" not in log.read_text():
        assert run.poll() is None, log.read_text()[-3000:]
        time.sleep(0.02)
    kill(run)
    # A start and a job take this long here and now; of many kills some leave time for one.
    pace = (time.monotonic() - began) * max(0.6, 12 / KILLS)
    for number in range(1, KILLS):
        run = started(folder, log)
        try:
            run.wait(chance.uniform(0, 2 * pace))
        except subprocess.TimeoutExpired:
            kill(run)
        else:
            assert run.returncode == 0, log.read_text()[-3000:]
            return number
    return KILLS


def rasters(folder: Path) -> dict[str, bytes]:
    run = folder / "results" / "tiny"
    found = [*run.rglob("*.tif"), *run.rglob("areas.csv")]
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


@pytest.fixture
def unfinished(finished: Path, tmp_path: Path) -> Path:
    """A project in which nothing has run; where kills are few, one that begins its round.

    A few kills seldom meet one of so many jobs that make tiles and first networks, each of which is
    killed by itself in `tests/stages`.
    """
    folder = tmp_path / "unfinished"
    if KILLS > FEW:
        return project(folder, finished)
    shutil.copytree(finished, folder, symlinks=True)
    for result in (folder / "results/tiny").iterdir():
        if result.is_file():
            result.unlink()
        elif result.name not in BEGUN:
            shutil.rmtree(result)
    for result in OF_ROUNDS:
        shutil.rmtree(folder / "results/tiny" / result)
    return folder


def test_a_run_that_was_killed_ends_as_one_that_was_not(
    finished: Path, unfinished: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    killed = kill_at_random(unfinished, log)
    print(f"killed {killed} times")
    last = started(unfinished, log)
    assert last.wait() == 0, log.read_text()[-3000:]
    assert rasters(unfinished) == rasters(finished)
    for weights in (finished / "results/tiny/models").rglob("*.safetensors"):
        again = load_file(unfinished / weights.relative_to(finished))
        assert all((again[name] == value).all() for name, value in load_file(weights).items())
    assert not list((unfinished / "results").rglob(".*.part*"))
    assert "Nothing to be done" in snakemake(unfinished, "--dry-run").stdout


def test_a_second_run_is_refused_in_one_line_and_the_next_goes_on(
    fresh: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    first = started(fresh, log)
    while not log.exists() or "rule simulate" not in log.read_text():
        assert first.poll() is None, log.read_text()
        time.sleep(0.05)
    second = snakemake(fresh, "tiled")
    assert second.returncode == 1
    line = second.stderr.splitlines()[-1]
    assert re.fullmatch(r"floodloom: run tiny: process \d+ on \S+ since .*; wait .*", line), line
    assert snakemake(fresh, "--dry-run").returncode == 0
    first.send_signal(signal.SIGKILL)  # its jobs are left to themselves
    first.wait()
    target = "results/tiny/simulated/a/truth.tif"
    third = snakemake(fresh, target)
    assert third.returncode == 0, third.stderr[-3000:]
    assert (fresh / target).stat().st_size > 0
