"""Tests on a cluster of its own are run by `make test-cluster` alone: they take minutes."""

import os
from pathlib import Path

import pytest

from tests.compiled import link_compiled
from tests.workflow.conftest import project, snakemake

collect_ignore_glob = [] if os.environ.get("FLOODLOOM_CLUSTER") else ["test_*.py"]


def tiny_project(folder: Path) -> Path:
    """Lay a project in which nothing has run yet."""
    project(folder)
    link_compiled(folder / "src" / "floodloom")
    return folder


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny run on this machine alone; tests leave it as it is."""
    folder = tiny_project(tmp_path_factory.mktemp("alone"))
    run = snakemake(folder)
    assert run.returncode == 0, run.stderr[-6000:]
    return folder
