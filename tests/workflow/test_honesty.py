"""Runs that don't lie: what failed is tried again, what changed reaches the results."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compiled import unlink_compiled
from tests.workflow.conftest import REPOSITORY, planned, snakemake, snakemake_anew
from tests.workflow.test_workflow import change, edit

pytestmark = pytest.mark.xdist_group("workflow")
RUN = Path("results/tiny")
GEOCODED = str(RUN / "geocoded/a_after.zarr")
SEQUENCES = os.environ.get("FLOODLOOM_SEQUENCES", "3")
SEED = os.environ.get("FLOODLOOM_SEED", "0")


def lay_product(folder: Path) -> None:
    """Let scene a_after come from a product on disk, and only that scene be there."""
    os.renames(folder / RUN / "simulated/a/after.SAFE", folder / "A.SAFE")
    shutil.copy(folder / RUN / "simulated/a/dem.tif", folder / "dem.tif")
    sheet = folder / "config/scenes.tsv"
    rows = sheet.read_text().splitlines()
    sheet.write_text(f"{rows[0]}\na_after\ta\tafter\tA.SAFE\n" + "\n".join(rows[2:]) + "\n")


@pytest.fixture(scope="module")
def from_products(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run whose scene a_after comes from a product on disk."""
    folder = tmp_path_factory.mktemp("products") / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    unlink_compiled(folder / "src" / "floodloom")
    lay_product(folder)
    assert snakemake(folder, GEOCODED).returncode == 0
    return folder


@pytest.fixture
def processed(from_products: Path, tmp_path: Path) -> Path:
    """A copy of that run that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(from_products, folder, symlinks=True)
    return folder


def break_source(folder: Path) -> None:
    """Replace a measurement by a truncated one that is as old."""
    file = next((folder / "A.SAFE/measurement").glob("*.tif*"))
    times = file.stat()
    file.write_bytes(file.read_bytes()[:1000])
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def break_setting(folder: Path) -> None:
    change(folder, calibrate={"polarisations": ["hh"]})


def break_module(folder: Path) -> None:
    edit(folder / "src/floodloom/sentinel1/noise.py", "import xml.etree", "import nowhere.etree")


@pytest.mark.parametrize(
    ("spoil", "lost"),
    [(break_source, "calibrated/a_after.zarr"), (break_setting, None), (break_module, None)],
)
def test_what_failed_is_tried_again(
    processed: Path, spoil: Callable[[Path], None], lost: str | None
) -> None:
    spoil(processed)
    if lost:
        shutil.rmtree(processed / RUN / lost)
    for _ in range(2):
        run = snakemake(processed, GEOCODED)
        assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if line.startswith("floodloom: ")]
    assert len(lines) == 1
    log = RUN / "logs/calibrate/a_after.log"
    assert re.fullmatch(rf"floodloom: calibrate a_after failed: .+; log: {log}", lines[0])
    assert not (processed / RUN / "calibrated/a_after.zarr").exists()
    assert {"calibrate", "geocode", "report"} <= planned(snakemake(processed, "--dry-run"))


def test_a_touched_source_redoes_nothing_and_a_new_one_of_the_same_age_all(
    processed: Path,
) -> None:
    for file in [processed / "A.SAFE", *(processed / "A.SAFE").rglob("*"), processed / "dem.tif"]:
        os.utime(file)
    assert planned(snakemake(processed, "--dry-run", GEOCODED)) == set()
    manifest = processed / "A.SAFE/manifest.safe"
    times = manifest.stat()
    manifest.write_text(manifest.read_text() + " ")
    os.utime(manifest, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.rmtree(processed / RUN / "calibrated/a_after.zarr")
    assert planned(snakemake(processed, "--dry-run", GEOCODED)) == {"calibrate", "geocode"}


def test_a_result_without_a_record_is_made_again(copied: Path) -> None:
    shutil.rmtree(copied / ".snakemake")
    assert planned(snakemake(copied, "--dry-run", "geocoded")) == {
        *("simulate", "calibrate", "geocode", "geocoded")
    }
    assert snakemake(copied, "--touch", "geocoded").returncode == 0
    assert planned(snakemake(copied, "--dry-run", "geocoded")) == set()


def test_a_product_that_was_deleted_is_missed_though_the_report_is_there(copied: Path) -> None:
    (copied / RUN / "maps/c/areas.csv").unlink()
    assert "delineate" in planned(snakemake(copied, "--dry-run"))


@pytest.mark.parametrize(
    ("target", "forced", "scheduler"),
    [
        ("geocoded/a_after.zarr", "calibrate", "processes"),
        ("geocoded/a_after.zarr", "calibrate", "synchronous"),
        ("mosaics/c/after.probability.tif", "predict", "processes"),
    ],
)
def test_every_local_scheduler_makes_the_same(
    copied: Path, scheduler: str, target: str, forced: str
) -> None:
    change(copied, dask={"scheduler": scheduler})
    made = copied / RUN / target
    before = {path: path.read_bytes() for path in [made, *made.rglob("c/*/*")] if path.is_file()}
    assert before
    run = snakemake(copied, str(RUN / target), "--forcerun", forced)
    assert run.returncode == 0, run.stderr[-3000:]
    assert {path: path.read_bytes() for path in before} == before


def test_a_scheduler_that_does_not_answer_is_one_line(copied: Path, monkeypatch) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    change(copied, dask={"scheduler": "tcp://127.0.0.1:9"})
    target = str(RUN / "geocoded/a_after.zarr")
    # dask reads its environment as it is imported.
    run = snakemake_anew(copied, target, "--forcerun", target)
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if line.startswith("floodloom: ")]
    assert len(lines) == 1
    assert "geocode a_after failed: dask.scheduler: nothing answers at tcp://127" in lines[0]


def test_results_are_those_of_the_newest_inputs_whatever_came_between(tmp_path: Path) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "tests.workflow.sequences", SEED, SEQUENCES, str(tmp_path / "s")],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr[-2000:]
