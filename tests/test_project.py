"""The project's own files agree with one another."""

import re
import tomllib
from pathlib import Path

import yaml

from benchmarks import tables

REPOSITORY = Path(__file__).resolve().parents[1]
CONDA_NAMES = {
    "dask[array]": "dask-core",
    "matplotlib": "matplotlib-base",
    "snakemake": "snakemake-minimal",
    "torch": "pytorch-cpu",
}


def requirements() -> dict[str, str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return dict(re.match(r"([\w.\[\]-]+)(.*)", line).groups() for line in project["dependencies"])


def test_conda_environment_has_the_same_ranges() -> None:
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    plain = {item for item in environment if isinstance(item, str)} - {"pip"}
    expected = {CONDA_NAMES.get(name, name) + span for name, span in requirements().items()}
    assert plain == expected | {"python>=3.11"}


def test_every_dependency_is_pinned_within_its_range() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    for name, span in requirements().items():
        pinned = pins[name.partition("[")[0]]
        lower = span.removeprefix(">=")
        assert _parts(pinned) >= _parts(lower), f"{name}: {pinned} is below {lower}"


def test_every_lower_bound_has_its_reason() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    block = text.partition("dependencies = [")[2].partition("\n]")[0]
    for line in block.strip().splitlines():
        assert re.search(r'>=[\d.]+", # \w', line), line


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_tables_are_made_from_the_results() -> None:

    assert tables.PAGE.read_text() == tables.page(), "run `make docs`"
    assert tables.README.read_text() == tables.readme(), "run `make docs`"
    assert tables.MODEL_CARD.read_text() == tables.model_card(), "run `make docs`"
