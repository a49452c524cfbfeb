"""The tiny run on a real SLURM is that of one machine, bit for bit; jobs survive what happens."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from benchmarks.compare import differences
from tests.cluster.conftest import tiny_project
from tests.cluster.slurm import end_daemon, missing, slurm, start_daemon
from tests.sampler import gone
from tests.workflow.conftest import environment

pytestmark = pytest.mark.xdist_group("cluster")
PROFILE = "src/floodloom/workflow/profiles/slurm"
QUICK = (
    "--slurm-status-command=squeue",  # there is no accounting
    "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks=1",
    "--seconds-between-status-checks=1",
    "--latency-wait=5",
    "--max-threads=2",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the cluster's state."""
    assert not missing(), f"no SLURM can be started here: {', '.join(missing())} missing"
    folder = tmp_path_factory.mktemp("slurm")
    with slurm(folder):
        yield folder


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A project in which nothing has run yet."""
    return tiny_project(tmp_path / "project")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def on_slurm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "--profile", PROFILE, *QUICK, *arguments)


def test_a_run_on_slurm_is_that_of_one_machine(cluster: Path, fresh: Path, alone: Path) -> None:
    found = on_slurm(fresh)
    assert found.returncode == 0, (found.stdout + found.stderr)[-6000:]
    assert "has been submitted with SLURM jobid" in found.stdout + found.stderr
    for name in ("mosaics", "maps", "models"):
        assert list(differences(alone / "results/tiny" / name, fresh / "results/tiny" / name)) == []


def test_a_job_that_takes_too_much_memory_is_tried_again_with_more(
    cluster: Path, fresh: Path
) -> None:
    target = "results/tiny/simulated/a/before.SAFE"
    more = "simulate:mem_mb=150*attempt**4"
    found = on_slurm(fresh, "--set-resources", more, "--", target)
    assert found.returncode == 0, (found.stdout + found.stderr)[-6000:]
    assert "Exceeded job memory limit" in (cluster / "slurmd.log").read_text()
    assert "Trying to restart job" in found.stdout + found.stderr
    assert (fresh / target / "manifest.safe").is_file()


def test_a_node_that_goes_away_is_survived(cluster: Path, fresh: Path) -> None:
    """Its daemon is killed with what it runs, and comes back."""
    target = "results/tiny/simulated/a/before.SAFE"

    def disturb() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list(fresh.rglob("*.SAFE*")):
            time.sleep(0.1)
        end_daemon(cluster, "slurmd", signal.SIGKILL)
        _kill_steps()
        start_daemon("slurmd")

    other = threading.Thread(target=disturb)
    other.start()
    found = on_slurm(fresh, "--", target)
    other.join()
    assert found.returncode == 0, (found.stdout + found.stderr)[-6000:]
    assert (fresh / target / "manifest.safe").is_file()


def _kill_steps() -> None:
    """Kill what the node runs: each job lies below a process of SLURM's of its own."""
    steps = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "slurmstepd"]
    for step in steps:
        with gone():
            for process in [step, *step.children(recursive=True)]:
                with gone():
                    process.kill()


def test_a_scene_that_fails_stops_no_other(cluster: Path, fresh: Path) -> None:
    file = fresh / "config/config.yaml"
    content = yaml.safe_load(file.read_text())
    content["events"]["c"]["dem"] = "broken.tif"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    (fresh / "broken.tif").write_text("no raster")
    found = on_slurm(fresh, "--retries", "0", "geocoded")
    text = found.stdout + found.stderr
    assert found.returncode == 1
    assert re.search(r"Error in rule geocode", text), text[-3000:]
    assert (fresh / "results/tiny/geocoded/a_after.zarr").is_dir()
    assert not (fresh / "results/tiny/geocoded/c_after.zarr").exists()
