"""The five parts that docs/extending.md adds from another distribution go through the DAG."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from safetensors import safe_open

from tests.workflow.conftest import (
    REPOSITORY,
    planned,
    project,
    snakemake_beside,
    write_config,
)

pytestmark = pytest.mark.xdist_group("workflow")
PAGE = REPOSITORY / "docs" / "extending.md"
SCENES = {"one": "train", "two": "validation", "three": "target"}
CONFIG = {
    "run": {"name": "more", "rounds": 1},
    "dataset": "ponds",
    "data_root": "ponds",
    "scenes": "config/scenes.tsv",
    "events": {name: {"split": split} for name, split in SCENES.items()},
    "tile": {"size": 32, "samples": 8},
    "train": {"width": 4, "precision": "float32"},
    "relabel": {"preset": "quick"},
}


def lay_distribution(folder: Path) -> Path:
    """Lay the modules and entry points of the page into a folder, as an installation would."""
    page = PAGE.read_text()
    package = folder / "more_floods"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL):
        (package / name).write_text(text)
    facts = folder / "more_floods-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: more-floods\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(re.findall(r"```ini\n(.*?)```", page, re.DOTALL)[0])
    return folder


def lay_data_set(folder: Path) -> None:
    """Lay three scenes with ponds into a folder: dark where there is water."""
    folder.mkdir()
    for seed, name in enumerate(SCENES):
        chance = np.random.default_rng(seed)
        rows, columns = np.mgrid[:96, :96]
        water = (rows - 48) ** 2 + (columns - 30 - 15 * seed) ** 2 < 24**2
        backscatter = np.where(water, -22.0, -9.0) + chance.normal(0, 1, (2, 96, 96))
        place = from_origin(500_000 + 10_000 * seed, 5_000_000, 10, 10)
        shape = {"driver": "GTiff", "width": 96, "height": 96, "crs": 32633, "transform": place}
        with rasterio.open(
            folder / f"{name}_s1.tif", "w", **shape, count=2, dtype="float32"
        ) as file:
            file.write(backscatter.astype(np.float32))
        with rasterio.open(
            folder / f"{name}_label.tif", "w", **shape, count=1, dtype="uint8"
        ) as file:
            file.write(water.astype(np.uint8), 1)


@pytest.fixture(scope="module")
def extended(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project beside which another distribution is installed, of whose parts it makes use."""
    folder = project(tmp_path_factory.mktemp("extended") / "project", finished)
    lay_distribution(folder / "installed")
    lay_data_set(folder / "ponds")
    rows = [f"{name}\t{name}\tafter\tdataset\n" for name in SCENES]
    (folder / "config/scenes.tsv").write_text("scene\tevent\trole\tsource\n" + "".join(rows))
    write_config(folder, CONFIG)
    run = snakemake(folder, "relabelled")
    assert run.returncode == 0, run.stderr[-6000:]
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return snakemake_beside(folder / "installed", folder, *arguments)


def test_each_part_of_another_distribution_was_used(extended: Path) -> None:
    run = extended / "results/more"
    with safe_open(run / "models/round-1/thin-0.safetensors", "pt") as file:
        assert file.get_tensor("body.weight").shape == (4, 2, 5, 5)
        assert "brier" in json.dumps(file.metadata())
    assert json.loads((run / "relabel/round-1.json").read_text())
    assert (run / "labels/three.tif").is_file() or (run / "geocoded/three.zarr").is_dir()


def test_a_docstring_of_a_part_redoes_nothing(extended: Path) -> None:
    files = sorted((extended / "installed/more_floods").glob("*.py"))
    texts = [file.read_text() for file in files]
    for file, text in zip(files, texts, strict=True):
        file.write_text('"""Another docstring."""\n' + text.partition("\n\n")[2])
    try:
        assert planned(snakemake(extended, "--dry-run", "relabelled")) == set()
    finally:
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)


@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("quick", set()),
        ("halves", {"train", "relabel", "relabelled"}),
        ("ponds", {"ingest", "tile", "train", "relabel", "relabelled"}),
    ],
)
def test_an_edit_of_a_part_redoes_what_uses_it(
    extended: Path, module: str, rules: set[str]
) -> None:
    file = extended / f"installed/more_floods/{module}.py"
    text = file.read_text()
    file.write_text(f"{text}\nEDITED = True\n")
    try:
        assert planned(snakemake(extended, "--dry-run", "relabelled")) == rules
    finally:
        file.write_text(text)
