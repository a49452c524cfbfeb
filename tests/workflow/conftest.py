"""A tiny run of the whole workflow, shared by the tests that look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.compiled import link_compiled, unlink_compiled
from tests.privacy import USER
from tests.warm import interpreter

REPOSITORY = Path(__file__).resolve().parents[2]
SHEET = "scene\tevent\trole\tsource\n" + "".join(
    f"{event}_{role}\t{event}\t{role}\tsimulated\n"
    for event, role in [("a", "after"), ("b", "after"), ("c", "before"), ("c", "after")]
)
collect_ignore = [] if "FLOODLOOM_LOAD_SCENES" in os.environ else ["test_load.py"]
"""`make test-load` alone runs for so long."""


def project(folder: Path, code: Path = REPOSITORY) -> Path:
    """Lay a copy of the project into a folder, as a clone would.

    The code is that of another copy where `code` is one: together with what that has compiled, so
    that a run of the copy needn't compile its loops anew, which takes it half of its time.
    """
    for name in ("profiles", "src"):
        ignore = shutil.ignore_patterns("*.egg-info")
        shutil.copytree(code / name, folder / name, ignore=ignore)
    shutil.copy(code / "Snakefile", folder)
    (folder / "config").mkdir()
    (folder / "config" / "scenes.tsv").write_text(SHEET)
    content = yaml.safe_load((Path(__file__).parent / "tiny.yaml").read_text())
    write_config(folder, content)
    return folder


def write_config(folder: Path, content: dict[str, object]) -> None:
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the workflow of a folder with the package of that folder, in forks (`tests.warm`).

    In `test_kills`, in `test_sparse_labels` up to its networks, and in `prepare/test_search`, which
    maps by what a wheel installs, runs and all of their jobs are started as users start them.
    """
    return _snakemake(interpreter(), folder, folder / "src", arguments)


def snakemake_anew(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it as a user does: each process starts by itself."""
    return _snakemake(sys.executable, folder, folder / "src", arguments)


def snakemake_beside(
    installed: Path, folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run it, in forks, with what another distribution has installed into a folder."""
    path = f"{folder / 'src'}{os.pathsep}{installed}"
    return _snakemake(interpreter(), folder, path, arguments)


def _snakemake(
    python: str, folder: Path, path: Path | str, arguments: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE"))}
    return {**kept, "USER": USER, "LOGNAME": USER}


def planned(run: subprocess.CompletedProcess[str]) -> set[str]:
    """Rules that a dry run would run."""
    lines = (run.stdout + run.stderr).splitlines()
    return {
        line.split()[1].rstrip(":") for line in lines if line.startswith(("rule ", "localrule "))
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny run that has finished; tests must leave it as it is."""
    folder = project(tmp_path_factory.mktemp("tiny"))
    link_compiled(folder / "src" / "floodloom")
    run = snakemake(folder)
    assert run.returncode == 0, run.stderr[-6000:]
    return folder


@pytest.fixture
def fresh(finished: Path, tmp_path: Path) -> Path:
    """Folder of a project in which nothing has run yet."""
    return project(tmp_path / "project", finished)


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    unlink_compiled(folder / "src" / "floodloom")
    return folder
