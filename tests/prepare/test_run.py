"""What a run leaves among the temporary files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from floodloom.files import LASTING
from floodloom.prepare.run import _temporary_folder, run

KILLED = """
import os, signal, subprocess
from floodloom.prepare.run import _temporary_folder
with _temporary_folder() as (folder, handle):
    (folder / "left").touch()
    subprocess.Popen(["cat"], pass_fds=[handle])
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_what_jobs_leave_goes_with_the_run(temporary, tmp_path, monkeypatch, capfd) -> None:
    """A stand-in of Snakemake leaves a file where it makes temporary ones."""
    package = tmp_path / "snakemake"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import os, tempfile\n"
        "handle, name = tempfile.mkstemp()\n"
        f"print(name, os.environ['{LASTING}'])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    run(tmp_path, 1)
    left, lasting = capfd.readouterr().out.split()
    assert Path(left).parent.parent == temporary
    assert lasting == str(temporary)
    assert not list(temporary.iterdir())


def test_what_a_killed_run_leaves_goes_when_all_its_processes_have_ended(temporary) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdin is not None
        folder = Path(killed.stdout.readline().strip())
        killed.wait()
        with _temporary_folder():
            assert (folder / "left").exists()  # one that the killed process started lives
        killed.stdin.close()
    until = time.monotonic() + 30
    while folder.exists():  # until that has ended, too
        assert time.monotonic() < until
        time.sleep(0.05)
        with _temporary_folder():
            pass
    assert not list(temporary.iterdir())
