"""A wheel brings the workflow along: `map` in an empty folder, away from the repository."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.vrt import WarpedVRT

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("workflow")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with floodloom alone, installed from its wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ("--no-deps", "--no-build-isolation")
    subprocess.run([*pip, "wheel", *alone, "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def floodloom(site: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
    return subprocess.run(
        [sys.executable, "-m", "floodloom.cli", *map(str, arguments)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_products_become_a_map_in_an_empty_folder(installed: Path, own: Path, tmp_path) -> None:
    given = ("map", "--scenes", own / "post.SAFE", own / "pre.SAFE", "--dem", own / "dem.tif")
    given = (*given, "--out", "beira", "--cores", 2)
    listed = floodloom(installed, tmp_path, *given, "--dry-run")
    assert listed.returncode == 0, listed.stderr[-3000:]
    assert f"--snakefile {installed / 'floodloom/workflow/Snakefile'}" in listed.stdout
    assert "delineate" in listed.stdout + listed.stderr
    assert not (tmp_path / "beira/results").exists()

    run = floodloom(installed, tmp_path, *given)
    assert run.returncode == 0, run.stderr[-3000:]
    results = tmp_path / "beira/results/beira"
    for name in ("map.html", "report.html", "maps/beira/flood.gpkg", "maps/beira/flood.json"):
        assert (results / name).stat().st_size > 0
        assert name.endswith(".json") or f"beira/results/beira/{name}" in run.stdout
    assert iou(results / "maps/beira/flood.tif", own / "truth.tif") > 0.5
    with (results / "maps/beira/areas.csv").open() as table:
        flood = float(next(csv.DictReader(table))["flood"])
    assert f"area: flood {flood:,.0f} ha" in run.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"beira"}

    again = floodloom(installed, tmp_path, *given, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr


def iou(map_file: Path, truth_file: Path) -> float:
    with rasterio.open(map_file) as made, rasterio.open(truth_file) as truth:
        found = made.read(1)
        grid = {"crs": made.crs, "transform": made.transform}
        with WarpedVRT(truth, **grid, height=made.height, width=made.width, nodata=255) as warped:
            true = warped.read(1)
    known = (found <= 2) & (true <= 2)
    both, either = (found == 2) & (true == 2), (found == 2) | (true == 2)
    return float(np.sum(both & known) / np.sum(either & known))
