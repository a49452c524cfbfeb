"""A machine that refuses ends a stage in one line; the old result stays, and nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodloom.stages import STAGES
from tests.stages.conftest import Whole
from tests.stages.jobs import arguments, command, lay_old, names
from tests.stages.server import Server
from tests.stages.test_kills import state

pytestmark = pytest.mark.xdist_group("stages")


@pytest.mark.parametrize("stage", STAGES)
def test_files_that_may_not_grow(
    stage: str, have: Path, whole: Whole, server: Server, tmp_path: Path
) -> None:
    """What GDAL, SQLite, Zarr, safetensors and Python write: any of it may be cut short."""
    out, log = tmp_path / "out", tmp_path / "log"
    words = command(stage, arguments(stage, have, out))
    results, largest = whole.results, whole.largest

    for share in (0.02, 0.5, 0.97):
        lay_old(out, results)
        limits = {"RLIMIT_FSIZE": int(share * largest)}
        ended = server.run(words, log, out=out, limits=limits)
        found = state(out, results)
        assert names(out) == set(results)
        assert (ended.status, found) in ((1, "old"), (0, "new")), ended.lines[-20:]
        assert not any("Traceback" in line for line in ended.lines), ended.lines[-20:]
        assert ended.status == 0 or ended.lines[-1].startswith("floodloom: "), ended.lines[-20:]


@pytest.mark.parametrize("stage", ["calibrate", "predict", "delineate"])
@pytest.mark.parametrize("files", [4, 14])
def test_too_few_files_may_be_open(
    stage: str, files: int, have: Path, server: Server, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    results = {"calibrate": ["calibrated.zarr"], "predict": ["p.tif"]}.get(
        stage, ["flood.tif", "flood.gpkg", "flood.json", "likelihood.tif", "depth.tif", "areas.csv"]
    )
    lay_old(out, results)
    words = command(stage, arguments(stage, have, out))
    ended = server.run(words, log, out=out, limits={"RLIMIT_NOFILE": files})
    assert (ended.status, state(out, results)) in ((1, "old"), (0, "new")), ended.lines[-20:]
    assert not any("Traceback" in line for line in ended.lines), ended.lines[-20:]
