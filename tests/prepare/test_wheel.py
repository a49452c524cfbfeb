"""A wheel brings the workflow along: `map` in an empty folder, away from the repository.

That it runs to the end is seen in `test_search`, which maps by the installed wheel, too.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.warm import interpreter

pytestmark = pytest.mark.xdist_group("workflow")


def test_two_products_are_planned_in_an_empty_folder(installed: Path, own: Path, tmp_path) -> None:
    given = ("map", "--scenes", own / "post.SAFE", own / "pre.SAFE", "--dem", own / "dem.tif")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
    listed = subprocess.run(
        [
            *(interpreter(), "-m", "floodloom.cli", *map(str, given)),
            *("--out", "beira", "--cores", "2", "--dry-run"),
        ],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr[-3000:]
    assert f"--snakefile {installed / 'floodloom/workflow/Snakefile'}" in listed.stdout
    assert "delineate" in listed.stdout + listed.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"beira"}
    assert not (tmp_path / "beira/results").exists()
