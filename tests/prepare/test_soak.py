"""`make test-soak`: a watch under faults; nothing is lost, repeated, left behind, or grows."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import psutil
import pystac
import pytest
import rasterio

from floodloom.watch.ledger import Ledger
from floodloom.watch.products import results_of
from tests.prepare.catalogue import Api, item_of, served
from tests.prepare.test_search import asset, place
from tests.sampler import Sample, Sampler, gone, thirds

pytestmark = pytest.mark.xdist_group("workflow")
MINUTES = float(os.environ.get("FLOODLOOM_SOAK_MINUTES", "30"))
SEED = int(os.environ.get("FLOODLOOM_SEED", "0"))
NAMES = ("pre", "post")
DISK_MIB = 300
SINCE = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
BALLAST = "ballast"
START_S = 20.0
"""Seconds in which a watch has begun, also on a busy machine."""
QUEUE = 2
"""Passes that wait at any time."""
SETTLING = 0.2
"""Share of the time in which the watch itself is killed; then it has to last."""
MEASURED = ("own_mib", "tree_mib", "handles", "files")
PAUSE_S = 120
"""After the last fault, the time for what a pass takes."""


@pytest.fixture(scope="module")
def stored(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both products as zips, and one that is broken."""
    folder = tmp_path_factory.mktemp("stored")
    for name in NAMES:
        shutil.make_archive(str(folder / name), "zip", own, f"{name}.SAFE")
    whole = (folder / "post.zip").read_bytes()
    (folder / "broken.zip").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def api(stored: Path) -> Iterator[Api]:
    files = {f"/{path.name}": path for path in stored.iterdir()}
    with served(Api(files=files)) as running:
        yield running


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, where one may be mounted; else a folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass
class Soak:
    """A watch that goes on for as long as the test, and what happens to it."""

    own: Path
    stored: Path
    api: Api
    out: Path
    temporary: Path
    sampler: Sampler
    released: int = 0
    happened: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    first_seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def begin(self) -> None:
        """Start the watch."""
        given = ("--bbox", place(self.own), "--catalogue", self.api.address)
        how = ("--since", SINCE, "--every", "0.05", "--attempts", "999", "--cores", "2")
        kept = ("--dem", self.own / "dem.tif", "--disk-gib", DISK_MIB / 2 / 1024, "--out", self.out)
        words = ("-m", "floodloom.cli", "watch", *given, *how, *kept)
        with (self.temporary.parent / "watch.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, words)],
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )
        self.sampler.process = self.process.pid
        self.began = time.monotonic()

    def require_life(self) -> None:
        """Start the watch again where it was ended by this test; nothing else may end it."""
        assert self.process is not None
        status = self.process.poll()
        if status is None:
            return
        assert self.happened[-1] in ("kill", "end"), f"ended by itself, status {status}"
        self.begin()

    def end(self) -> None:
        """End the watch."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        self.sampler.process = None

    def release(self) -> None:
        """Let so many new passes appear, each on an orbit of its own, that some wait."""
        while self.released < len(self.mapped()) + QUEUE:
            name = NAMES[self.released % 2]
            self.released += 1
            self.api.items.append(
                item_of(
                    self.own / f"{name}.SAFE", f"{name}-{self.released}",
                    asset(self.stored / f"{name}.zip"),
                    when=f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%S}",
                    **{"sat:relative_orbit": self.released},
                )
            )  # fmt: skip

    def mapped(self) -> list[str]:
        """Names of the passes that are mapped; a map that is seen must stay as it is."""
        ledger = Ledger.read(self.out)
        names = [] if ledger is None else [name for name, _ in ledger.mapped()]
        for name in names:
            (file,) = results_of(self.out, name).glob("maps/*/flood.tif")
            status = file.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            assert self.first_seen.setdefault(name, seen) == seen, f"{name}: mapped twice"
        return names

    def disturb(self, kind: str, chance: random.Random) -> None:
        """Do what may happen to a watch."""
        assert self.process is not None
        self.happened.append(kind)
        seconds = chance.uniform(3, 10)
        if kind == "kill":
            self.process.kill()
            self.process.wait()
        elif kind == "end":
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        elif kind == "job":
            with gone():
                running = psutil.Process(self.process.pid).children(recursive=True)
                if running:
                    chance.choice(running).kill()
        elif kind == "cut":
            self.api.broken = 5
        elif kind == "full":
            self._fill(seconds)
        else:
            self._take_away(kind, seconds)

    def _take_away(self, kind: str, seconds: float) -> None:
        """Let nothing of the catalogue or of its files be there for a while, or broken files."""
        kept = dict(self.api.files)
        if kind == "dead":
            self.api.away = True
        for name in NAMES:
            self.api.files[f"/{name}.zip"] = self.stored / f"{kind}.zip"
        if kind != "broken":
            self.api.files.clear()
        time.sleep(seconds)
        self.api.files |= kept
        self.api.away = False

    def _fill(self, seconds: float) -> None:
        """Leave no room on the disk for a while, or let no file grow where it isn't ours."""
        assert self.process is not None
        # A watch that begins where there is no room ends at once, in one line.
        time.sleep(max(self.began + START_S - time.monotonic(), 0))
        disk = self.out.parent
        if disk.is_mount():
            with suppress(OSError), (disk / BALLAST).open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**16))
            time.sleep(seconds)
            (disk / BALLAST).unlink()
            return
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (2000, most))
        time.sleep(seconds)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (most, most))


def wait_for(soak: Soak, passes: int, seconds: float) -> None:
    """Wait until so many passes are mapped."""
    until = time.monotonic() + seconds
    while len(soak.mapped()) < passes:
        assert time.monotonic() < until, (soak.temporary.parent / "watch.log").read_text()[-3000:]
        soak.require_life()
        time.sleep(1)


def test_a_watch_under_faults_maps_each_pass_once(own, stored, api, disk, tmp_path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Sampler(folder=temporary, every_s=1) as sampler:
        soak = Soak(own, stored, api, disk / "watch", temporary, sampler)
        try:
            names = _watch_for(60 * MINUTES, soak)
        finally:
            soak.end()
    print(f"{len(names)} passes;", {k: soak.happened.count(k) for k in sorted(set(soak.happened))})
    _require_no_growth(sampler.taken)
    _require_alike(soak, names)
    assert not list(soak.out.rglob(".*.part*"))
    assert not list(temporary.iterdir())
    _require_plain_lines((tmp_path / "watch.log").read_text())


def _watch_for(seconds: float, soak: Soak) -> list[str]:
    """Let a watch run among faults, and return which passes it has mapped at the end."""
    chance = random.Random(SEED)
    soak.release()
    soak.begin()
    wait_for(soak, QUEUE, 600)  # undisturbed
    began = time.monotonic()
    kinds: list[str] = []
    while (passed := (time.monotonic() - began) / seconds) < 1:
        if not kinds:
            kinds = ["job", "cut", "dead", "missing", "broken", "full", "nothing"]
            kinds += ["kill", "end"] if passed < SETTLING else []
            chance.shuffle(kinds)
        soak.release()
        time.sleep(chance.uniform(1, 20))
        soak.disturb(kinds.pop(), chance)
        soak.require_life()
    wait_for(soak, soak.released, PAUSE_S + 60 * soak.released)
    time.sleep(10)
    return soak.mapped()


def _require_alike(soak: Soak, names: list[str]) -> None:
    """All passes are mapped, catalogued once, with the maps of the two that weren't disturbed."""
    assert len(set(names)) == len(names) == soak.released
    catalog = pystac.Catalog.from_file(str(soak.out / "catalog.json"))
    assert len(list(catalog.get_children())) == soak.released
    expected: dict[str, list[np.ndarray]] = {}
    for number, name in zip(count(), sorted(names, key=lambda one: one[-3:]), strict=False):
        found = []
        for file in ("maps/*/flood.tif", "mosaics/*/*.tif"):
            for path in sorted(results_of(soak.out, name).glob(file)):
                with rasterio.open(path) as raster:
                    found.append(raster.read())
        for one, other in zip(expected.setdefault(NAMES[number % 2], found), found, strict=True):
            np.testing.assert_array_equal(one, other)


def _require_plain_lines(log: str) -> None:
    """Each failure has its reason; no traceback is shown but Snakemake's own of a full disk."""
    shown = re.findall(
        r"^Traceback .*\n(?:(?!\d\d:\d\d:\d\d |floodloom: |Traceback ).*\n)*", log, re.M
    )
    full = re.compile(r"\[Errno 2[78]\]|No space left on device|File too large")
    assert [one for one in shown if not full.search(one)] == []
    failed = re.findall(r"attempt \d+ failed: (.*)", log)
    assert [one for one in failed if not one or "for the reason above" in one] == []


def _require_no_growth(samples: list[Sample]) -> None:
    """The process that lasted longest takes no more in the last third than in the first."""
    processes = [one.process for one in samples]
    longest = max(set(processes), key=processes.count)
    lasting = [one for one in samples if one.process == longest]
    memory = thirds(lasting, lambda one: one.own_mib)
    handles = thirds(lasting, lambda one: one.handles)
    files = thirds(samples, lambda one: one.files)
    minutes = (lasting[-1].at - lasting[0].at) / 60
    print(f"{len(lasting)} samples of {minutes:.1f} min; medians of the first and last third:")
    print(f"memory {memory} MiB, open files {handles}, temporary files {files}")
    most = {name: max(vars(one)[name] for one in samples) for name in MEASURED}
    print("at most:", most)
    assert memory[1] <= 1.1 * memory[0] + 5
    assert handles[1] <= handles[0] + 2
    assert files[1] <= files[0] + 5
