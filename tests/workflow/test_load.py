"""`make test-load`: many scenes queue for little memory, and one of them is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from floodloom.prepare.run import command
from floodloom.workflow.failures import LISTED
from floodloom.workflow.incomplete import INCOMPLETE
from tests.sampler import Sampler
from tests.simulated import lay_event
from tests.workflow.conftest import environment

pytestmark = pytest.mark.xdist_group("workflow")
SCENES = int(os.environ.get("FLOODLOOM_LOAD_SCENES", "64"))
MEMORY_MB = 6000
_MB_PER_MIB = 1.048576
BROKEN = "e07"


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    """Folder with a configuration of many events of one small scene each, one of them broken."""
    lay_event(tmp_path, size=256)
    whole = Path(shutil.make_archive(str(tmp_path / "whole"), "zip", tmp_path, "after.SAFE"))
    broken = tmp_path / "broken.zip"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    events = [f"e{number:02}" for number in range(SCENES)]
    content = {
        "run": {"name": "load", "checkpoint": "default"},
        "scenes": "scenes.tsv",
        "events": {event: {"split": "target", "dem": "dem.tif"} for event in events},
        "geocode": {"dem_heights": "ellipsoid"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    lines = [
        f"{event}-after\t{event}\tafter\t{broken if event == BROKEN else whole}\n"
        for event in events
    ]
    (tmp_path / "scenes.tsv").write_text("scene\tevent\trole\tsource\n" + "".join(lines))
    return tmp_path


def test_many_scenes_keep_to_their_memory_and_one_that_fails_is_named(queue: Path) -> None:
    more = ("--keep-going", "--resources", f"mem_mb={MEMORY_MB}", "--quiet", "all")
    with (
        (queue / "run.log").open("wb") as log,
        Sampler(every_s=0.5) as sampler,
        subprocess.Popen(
            [sys.executable, "-m", "snakemake", *command(2, *more)[1:]],
            cwd=queue, env=environment(), stdout=log, stderr=log,
        ) as process,
    ):  # fmt: skip
        sampler.process = process.pid
        status = process.wait()
    said = (queue / "run.log").read_text()
    run = queue / "results/load"

    assert status == 1, said[-3000:]
    mapped = {path.parent.name for path in run.glob("maps/*/flood.tif")}
    assert mapped == {f"e{number:02}" for number in range(SCENES)} - {BROKEN}, said[-3000:]
    (failure,) = (run / LISTED).read_text().splitlines()
    assert failure.startswith(f"calibrate {BROKEN}-after failed: ")
    assert "broken.zip" in failure
    assert failure in said
    report = (run / INCOMPLETE / "report.html").read_text()
    assert failure.replace("'", "&#39;") in report
    assert report.count('<a href="#event-') == SCENES - 1
    assert (run / INCOMPLETE / "map.html").is_file()

    most = max(one.tree_mib for one in sampler.taken) * _MB_PER_MIB
    own = max(one.own_mib for one in sampler.taken) * _MB_PER_MIB
    print(f"{len(mapped)} of {SCENES} scenes; {len(sampler.taken)} samples: at most {most:.0f} MB,")
    print(f"of which Snakemake took {own:.0f} MB; given were {MEMORY_MB} MB")
    assert most <= MEMORY_MB
