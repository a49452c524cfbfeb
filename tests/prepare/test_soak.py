"""`make test-soak`: a watch under faults; nothing is lost, repeated or left behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.compare import differences
from floodloom.watch.ledger import Ledger
from floodloom.watch.products import results_of
from tests.prepare.catalogue import Api, item_of, served
from tests.prepare.test_search import asset, place

pytestmark = pytest.mark.xdist_group("workflow")
MINUTES = float(os.environ.get("FLOODLOOM_SOAK_MINUTES", "30"))
SEED = int(os.environ.get("FLOODLOOM_SEED", "0"))
PASSES = ("20230502T165821-044", "20230514T165821-044")


@pytest.fixture(scope="module")
def stored(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both products as zips, and one that is broken."""
    folder = tmp_path_factory.mktemp("stored")
    for name in ("pre", "post"):
        shutil.make_archive(str(folder / name), "zip", own, f"{name}.SAFE")
    whole = (folder / "post.zip").read_bytes()
    (folder / "broken.zip").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def api(own: Path, stored: Path) -> Iterator[Api]:
    items = [item_of(own / f"{n}.SAFE", n, asset(stored / f"{n}.zip")) for n in ("pre", "post")]
    files = {f"/{path.name}": path for path in stored.iterdir()}
    with served(Api(items=items, files=files)) as running:
        yield running


def command(own: Path, api: Api, out: Path) -> list[str]:
    given = ("--bbox", place(own), "--catalogue", api.address, "--dem", own / "dem.tif")
    how = ("--since", "2023-05-01", "--looks", "1", "--attempts", "99", "--cores", "2")
    words = ("-m", "floodloom.cli", "watch", *given, *how, "--out", out)
    return [sys.executable, *map(str, words)]


def disturb(process: subprocess.Popen[bytes], api: Api, stored: Path, chance: random.Random) -> str:
    """Do what may happen to a watch; return what."""
    kind = chance.choice(["kill", "end", "cut", "away", "broken", "nothing"])
    time.sleep(chance.uniform(1, 40))
    if kind == "kill":
        process.kill()
    elif kind == "end":
        process.send_signal(signal.SIGTERM)
    elif kind == "cut":
        api.broken = 5
    elif kind in ("away", "broken"):
        kept = dict(api.files)
        for name in ("/pre.zip", "/post.zip"):
            api.files.pop(name)
            if kind == "broken":
                api.files[name] = stored / "broken.zip"
        process.wait()
        api.files |= kept
    return kind


def test_a_watch_under_faults_maps_each_pass_once(own, stored, api, tmp_path) -> None:
    subprocess.run(command(own, api, tmp_path / "expected"), check=True, capture_output=True)
    chance, until, happened = random.Random(SEED), time.monotonic() + 60 * MINUTES, []
    turn = 0
    while time.monotonic() < until:
        turn += 1
        out = tmp_path / f"turn-{turn}"
        while True:
            with subprocess.Popen(command(own, api, out), stderr=subprocess.PIPE) as process:
                happened.append(disturb(process, api, stored, chance))
                _, said = process.communicate()
            assert b"Traceback" not in said, said[-3000:]
            if process.returncode == 0:
                break
        ledger = Ledger.read(out)
        assert ledger is not None
        assert {name: one.state for name, one in ledger.passes.items()} == dict.fromkeys(
            PASSES, "mapped"
        )
        for name in PASSES:
            before, after = (results_of(at, name) for at in (tmp_path / "expected", out))
            assert list(differences(before / "maps", after / "maps")) == []
        assert not list(out.rglob(".*.part*"))
        shutil.rmtree(out)
    print(turn, "turns;", {kind: happened.count(kind) for kind in sorted(set(happened))})
