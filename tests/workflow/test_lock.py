"""A lock that dies with its owner."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from floodloom.workflow import lock
from floodloom.workflow.lock import LockedError, end_with_run, is_owned, owned, owned_runs

OWNER = "import sys, time; from pathlib import Path; from floodloom.workflow.lock import owned\n"
OWNER += "with owned(Path(sys.argv[1]), 'r'): print('owned', flush=True); time.sleep(60)"
JOB = (
    "import sys, time; from pathlib import Path; from floodloom.workflow.lock import end_with_run\n"
)
JOB += "end_with_run(Path(sys.argv[1]), 'r'); print('works', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(lock, "_OWNER_GOES_S", 0.3)
    monkeypatch.setattr(lock, "_JOBS_GO_S", 0.3)


@pytest.fixture
def start(tmp_path):
    """Start a process that says a word when it is ready."""
    started = []

    def of(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield of
    for process in started:
        process.kill()
        process.wait()


def test_a_second_owner_is_refused_by_name(tmp_path, start) -> None:
    first = start(OWNER)
    assert is_owned(tmp_path, "r")
    assert owned_runs(tmp_path) == ["r"]
    refused = pytest.raises(LockedError, match=rf"run r: process {first.pid} on \S+ since")
    with refused, owned(tmp_path, "r"):
        pass
    with owned(tmp_path, "another"):
        assert owned_runs(tmp_path) == ["another", "r"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_owner(tmp_path, start, end) -> None:
    first = start(OWNER)
    first.send_signal(end)
    first.wait()
    assert not is_owned(tmp_path, "r")
    with owned(tmp_path, "r"):
        assert is_owned(tmp_path, "r")
    assert not is_owned(tmp_path, "r")


def test_a_job_ends_when_its_run_is_killed(tmp_path, start) -> None:
    run, job = start(OWNER), start(JOB)
    run.kill()
    run.wait()
    assert job.wait(timeout=10) == 1


def test_a_run_waits_for_jobs_of_one_that_was_killed(tmp_path, start) -> None:
    run, job = start(OWNER), start(JOB)
    os.kill(job.pid, signal.SIGSTOP)  # works on, and doesn't look
    os.waitpid(job.pid, os.WUNTRACED)  # until then its threads may run on
    run.kill()
    run.wait()
    refused = pytest.raises(LockedError, match="a job of a run that was killed still works")
    with refused, owned(tmp_path, "r"):
        pass
    job.kill()
    job.wait()
    with owned(tmp_path, "r"):
        pass


def test_a_job_that_no_run_owns_goes_on(tmp_path) -> None:
    end_with_run(tmp_path, "r")
    time.sleep(0.1)


def test_the_lock_of_another_machine_is_named_and_left(tmp_path) -> None:
    held = {"host": "node7", "boot": "another", "pid": 12, "since": "2026-01-01 10:00:00"}
    file = Path(tmp_path / "r.lock")
    file.write_text(json.dumps(held))
    refused = pytest.raises(LockedError, match=r"process 12 on node7 since 2026.*remove .*r\.lock")
    with refused, owned(tmp_path, "r"):
        pass
    assert json.loads(file.read_text()) == held


@pytest.mark.parametrize("part", ["host", "boot"])
def test_a_container_or_an_earlier_start_is_this_machine(tmp_path, part) -> None:
    held = {**lock._this_process(), part: "another"}
    (tmp_path / "r.lock").write_text(json.dumps(held))
    with owned(tmp_path, "r"):
        pass
