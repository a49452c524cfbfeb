"""What failed is listed for as long as it isn't made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from floodloom.prepare.run import CONFIG, command
from floodloom.workflow import incomplete
from floodloom.workflow.failures import (
    FETCHED,
    LISTED,
    forget_begun,
    forget_failure,
    list_failures,
    note_begin,
    note_failure,
)
from floodloom.workflow.incomplete import current_events
from floodloom.workflow.plan import Plan
from tests.workflow.conftest import REPOSITORY, environment
from tests.workflow.stubs import lay_modules, snakemake


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "results/run"
    (folder / "logs/predict").mkdir(parents=True)
    return folder


def test_a_job_that_was_killed_is_listed_and_named_on_the_screen(run: Path) -> None:
    log = run / "logs/predict/a.log"
    note_begin(log, "predict a")
    snakemake = run / "snakemake.log"
    snakemake.write_text("Command 'set -e; python x.py' died with <Signals.SIGKILL: 9>.\n")
    said = list_failures(run, snakemake_logs=[str(snakemake)])
    assert said == (
        "floodloom: predict a failed: ended by SIGKILL, often for want of memory; run fewer jobs "
        f"at once, or give it more memory; log: {log}"
    )
    assert (run / LISTED).read_text() == f"{said.removeprefix('floodloom: ')}\n"
    assert list_failures(run, snakemake_logs=[str(snakemake)]) == ""  # it was shown
    note_begin(log, "predict a")
    forget_failure(log)  # made
    assert list_failures(run) == ""
    assert not (run / LISTED).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "ended from outside, often for"), ("died with <Signals.SIGSEGV: 11>.", "by SIGSEGV, a ")],
)
def test_what_ended_a_job_is_stated_as_far_as_it_is_known(run: Path, text: str, said: str) -> None:
    note_begin(run / "logs/predict/a.log", "predict a")
    snakemake = run / "snakemake.log"
    snakemake.write_text(text)
    assert said in list_failures(run, snakemake_logs=[str(snakemake)])


def test_where_a_full_disk_took_no_text_jobs_are_named_by_their_logs(run: Path) -> None:
    for note in ("a.begun", "b.failed"):
        (run / "logs/predict" / note).touch()
    list_failures(run)
    killed, failed = (run / LISTED).read_text().splitlines()
    assert killed.startswith("predict a failed: ended from outside")
    assert failed == f"predict b failed; log: {run / 'logs/predict/b.log'}"


def test_jobs_of_a_run_that_was_killed_have_not_failed(run: Path) -> None:
    note_begin(run / "logs/predict/a.log", "predict a")
    forget_begun(run)
    assert list_failures(run) == ""


def test_what_is_fetched_is_listed_where_it_belongs_to_the_run(run: Path) -> None:
    fetched = run.parents[1] / FETCHED
    for name in ("ours", "theirs"):
        fetched.mkdir(parents=True, exist_ok=True)
        note_failure(fetched / f"{name}.log", f"acquire {name} failed: no network")
        note_begin(fetched / "dem" / f"{name}.log", f"gather dem {name}")  # no such folder
    list_failures(run, {"ours"})
    assert (run / LISTED).read_text() == "acquire ours failed: no network\n"


def test_what_failed_is_listed_until_it_is_made(tmp_path: Path) -> None:
    logs = [tmp_path / "logs" / name for name in ("calibrate/a.log", "geocode/b.log")]
    for log in logs:
        log.parent.mkdir(parents=True)
        note_failure(log, f"{log.parent.name} {log.stem} failed: broken")
    said = list_failures(tmp_path)
    assert said.splitlines()[0] == f"floodloom: 2 jobs failed, also listed in {tmp_path / LISTED}:"
    listed = (tmp_path / LISTED).read_text()
    assert listed == "calibrate a failed: broken\ngeocode b failed: broken\n"
    forget_failure(logs[0])
    assert list_failures(tmp_path) == ""  # the run has shown it
    assert (tmp_path / LISTED).read_text() == "geocode b failed: broken\n"
    forget_failure(logs[1])
    assert list_failures(tmp_path) == ""
    assert not (tmp_path / LISTED).exists()


def test_no_old_map_is_in_the_report_of_the_rest(tmp_path: Path, monkeypatch) -> None:
    lay_modules(tmp_path)
    for name in ("A.SAFE/manifest.safe", "B.SAFE/manifest.safe", "dem.tif", "other.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "scenes.tsv").write_text(
        "scene\tevent\trole\tsource\na\ta\tafter\tA.SAFE\nb\tb\tafter\tB.SAFE\n"
    )
    events = {event: {"split": "target", "dem": "dem.tif"} for event in "ab"}
    content: dict[str, Any] = {
        "run": {"name": "r", "checkpoint": "default"},
        "scenes": "scenes.tsv",
        "events": events,
    }

    def note(plan: Plan, dag: Any, threads: int) -> str:
        (tmp_path / "rest.txt").write_text(" ".join(sorted(current_events(dag))))
        return ""

    monkeypatch.setattr(incomplete, "report_rest", note)

    def run() -> int:
        (tmp_path / CONFIG).write_text(yaml.safe_dump(content))
        return snakemake(tmp_path, "--configfile", CONFIG, "--keep-going")

    assert run() == 0, (tmp_path / "log.txt").read_text()
    assert not (tmp_path / "rest.txt").exists()
    (tmp_path / "fails-delineate").touch()
    events["a"]["dem"] = "other.tif"
    assert run() == 1
    assert (tmp_path / "results/r/maps/b/flood.tif").exists()
    assert (tmp_path / "rest.txt").read_text() == "b"
    content["delineate"] = {"threshold": 60}  # the map of b is another one now
    assert run() == 1
    assert (tmp_path / "rest.txt").read_text() == ""


KILLER = """
import os, signal, sys

class Killer:
    def find_spec(self, name, path=None, target=None):
        if name == "floodloom.dispatch" and sys.argv[0].endswith(".stage.py"):
            os.kill(os.getpid(), signal.SIGKILL)

sys.meta_path.insert(0, Killer())
"""


def test_snakemake_states_what_ended_a_job(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    (tmp_path / "scenes.tsv").write_text("scene\tevent\trole\tsource\ns\ta\tafter\tsimulated\n")
    content = {
        "run": {"name": "r", "checkpoint": "default"},
        "scenes": "scenes.tsv",
        "events": {"a": {"split": "target", "seed": 1}},
    }
    (tmp_path / CONFIG).write_text(yaml.safe_dump(content))
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "src")])
    found = subprocess.run(
        [sys.executable, "-m", "snakemake", *command(1)[1:], "--", "results/r/calibrated/s.zarr"],
        cwd=tmp_path, env={**environment(), "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    (line,) = (tmp_path / "results/r" / LISTED).read_text().splitlines()
    assert line.startswith("simulate a failed: ended by SIGKILL, often for want of memory")
    assert f"floodloom: {line}" in found.stderr
