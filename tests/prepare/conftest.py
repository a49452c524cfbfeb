"""A simulated event as somebody's own files: two products, elevations and, apart, the truth."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compiled import copy_compiled
from tests.conftest import REPOSITORY
from tests.simulated import lay_event

SIZE = 256
collect_ignore = [] if "FLOODLOOM_SOAK_MINUTES" in os.environ else ["test_soak.py"]
"""`make test-soak` alone runs for so long."""


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with post.SAFE, pre.SAFE, dem.tif and truth.tif; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("own")
    lay_event(folder, before="pre.SAFE", after="post.SAFE", size=SIZE, seed=21)
    return folder


@pytest.fixture(scope="session")
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
    copy_compiled(folder / "site" / "floodloom")
    return folder / "site"
