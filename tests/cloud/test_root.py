"""The tiny demo as the user of the image, on a root file system that is read-only.

There is no image here, but all that the Dockerfile sets: its variables, its user, no home.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from floodloom import workflow
from tests.workflow.conftest import REPOSITORY, project

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
PACKAGE = Path(workflow.__file__).parents[1]


def variables() -> dict[str, str]:
    return dict(re.findall(r"^ENV (\w+)=(.+)$", DOCKERFILE, re.MULTILINE))


def inside(work: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that may write to a folder and an empty /tmp, and to nothing else."""
    assert shutil.which("bwrap"), "bubblewrap is missing; `make test-container` installs it"
    user, group = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE).groups()
    seen = {str(path) for path in (Path(sys.prefix), PACKAGE.parent)}
    bound = [part for path in sorted(seen) for part in ("--ro-bind", path, path)]
    given = {**variables(), "PYTHONPATH": str(PACKAGE.parent)}
    names = [part for name, value in given.items() for part in ("--setenv", name, value)]
    return subprocess.run(
        [
            *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
            *("--tmpfs", "/tmp", *bound, "--bind", str(work), str(work), "--chdir", str(work)),
            *("--unshare-user", "--uid", user, "--gid", group, "--unshare-net", "--clearenv"),
            *(*names, "--die-with-parent", *command),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with the configuration of a tiny run."""
    made = project(tmp_path / "made")
    shutil.copytree(made / "config", tmp_path / "work" / "config")
    return tmp_path / "work"


def test_the_root_is_read_only_and_the_user_is_none_of_the_machine(work: Path) -> None:
    found = inside(work, "sh", "-c", "id -u; touch /usr/x /root/x /etc/x; touch /tmp/x x && echo y")
    assert found.stdout.split() == ["10001", "y"]
    assert len(re.findall("Read-only file system", found.stderr)) == 3
    assert not Path("/usr/x").exists()


def test_the_tiny_demo_is_mapped(work: Path) -> None:
    rules = str(PACKAGE / "workflow" / "Snakefile")
    options = ("--snakefile", rules, "--configfile", "config/config.yaml", "--cores", "2")
    found = inside(work, sys.executable, "-m", "snakemake", *options)
    assert found.returncode == 0, (found.stdout + found.stderr)[-6000:]
    results = work / "results" / "tiny"
    assert (results / "report.html").stat().st_size > 10_000
    assert (results / "maps" / "c" / "flood.tif").is_file()
    assert {path.name for path in work.iterdir()} <= {
        "config",
        "results",
        ".snakemake",
        "resources",
    }
