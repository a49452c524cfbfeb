"""Kills in the midst of a stage's writing leave the old result or the new one, never between."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from safetensors.torch import load_file

from floodloom.files import read_json
from floodloom.raster.chunks import damage, require_chunks
from floodloom.raster.opener import is_whole, read_through
from floodloom.stages import STAGES
from tests.stages.conftest import Whole
from tests.stages.jobs import arguments, command, lay_old, names
from tests.stages.server import Ended, Server

pytestmark = pytest.mark.xdist_group("stages")
KILLS = int(os.environ.get("FLOODLOOM_STAGE_KILLS", "1"))
SEED = int(os.environ.get("FLOODLOOM_SEED", "0"))
SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP)[: 2 if KILLS == 1 else 3]


def is_old(path: Path) -> bool:
    inside = {".zarr": "zarr.json", ".SAFE": "manifest.safe", "": "gathered.json"}.get(
        path.suffix, ""
    )
    file = path / inside
    return file.is_file() and file.stat().st_size < 50 and file.read_text().endswith("old")


def require_whole(path: Path) -> None:
    """Read a result to its end."""
    if path.suffix == ".zarr":
        require_chunks(path)
        assert damage(path) is None
    elif path.suffix == ".SAFE":
        assert (path / "manifest.safe").read_text().endswith("XFDU>\n")
        assert all(is_whole(file) for file in path.rglob("*.tiff"))
    elif path.suffix == "":
        for file in path.iterdir():
            require_whole(file)
    elif path.suffix == ".tif":
        assert is_whole(path)
        read_through(path)
    elif path.suffix == ".gpkg":
        assert not pyogrio.read_dataframe(path).geometry.is_empty.any()
    elif path.suffix == ".json":
        read_json(path)
    elif path.suffix == ".safetensors":
        assert all(np.isfinite(tensor.numpy()).all() for tensor in load_file(path).values())
    elif path.suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")
    else:
        assert path.stat().st_size > 3


def state(out: Path, results: list[str]) -> str:
    """Tell whether a set of results is the old one or the new one."""
    old = {name: is_old(out / name) for name in results}
    assert len(set(old.values())) == 1, f"neither the old set nor the new one: {old}"
    if old[results[0]]:
        return "old"
    for name in results:
        require_whole(out / name)
    return "new"


def moments(count: int, whole: Ended, chance: random.Random) -> list[float]:
    """Draw moments of one writing: by what is done in the folder, and by the clock."""
    by_event = [1 + int((n + chance.random()) * whole.events / count) for n in range(count)]
    by_clock = [(n + chance.random()) * whole.seconds / count for n in range(count)]
    return [by_event[n] if n % 2 == 0 else by_clock[n] for n in range(count)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_leaves_the_old_result_or_the_new_one(
    stage: str, have: Path, whole: Whole, server: Server, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    words = command(stage, arguments(stage, have, out))
    results = whole.results
    assert not [name for name in results if name.startswith(".")]
    chance = random.Random(f"{SEED} {stage}")

    seen: dict[str, int] = {}
    for number in SIGNALS:
        for turn, moment in enumerate(moments(KILLS, whole.ended, chance)):
            lay_old(out, results)
            ended = server.run(words, log, out=out, number=int(number), moment=moment)
            expected = -number if number == signal.SIGKILL else 128 + number
            late = () if number == signal.SIGKILL else (-signal.SIGALRM,)
            assert ended.status in (expected, 0, *late), (moment, ended.lines[-20:])
            assert not any("Traceback" in line for line in ended.lines), ended.lines[-20:]

            found = state(out, results)
            if number != signal.SIGKILL:
                assert names(out) == set(results), moment
            key = f"{number.name} {'late' if ended.status == 0 else found}"
            seen[key] = seen.get(key, 0) + 1
            if number == signal.SIGKILL and turn % 4 == 0:
                again = server.run(words, log, out=out)
                assert again.status == 0, again.lines[-20:]
                assert names(out) == set(results), moment
                assert state(out, results) == "new"
    print(stage, whole.ended.events, "events", f"{whole.ended.seconds:.2f} s", seen)
