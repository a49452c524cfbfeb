"""Each pass over an area is mapped once, whatever happens meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pystac
import pytest
import shapely

from floodloom.cli import main
from floodloom.errors import InputError
from floodloom.prepare.run import RunError
from floodloom.prepare.settings import Area, OwnFiles, Search
from floodloom.watch.commands import watch
from floodloom.watch.ledger import Ledger
from floodloom.watch.products import results_of, size_of
from floodloom.watch.settings import WatchSettings
from floodloom.workflow.lock import LockedError, owned
from tests.prepare.catalogue import Api, item, served

BOX = "13.9,45.9,14.1,46.1"
OUTLINE = shapely.box(13, 45, 15, 47)
BEGIN = datetime(2026, 11, 1, 17)
_MIB = 2**20


def scene(day: float, orbit: int = 44, outline: shapely.Geometry = OUTLINE) -> dict:
    """An item of a product that was taken so many days after `BEGIN`."""
    taken = f"{BEGIN + timedelta(days=day):%Y-%m-%dT%H:%M:%S}"
    asset = {"href": f"/{orbit}-{day}.zip", "file:size": 9}
    return item(
        f"{orbit}-{day}", taken, outline, {"Product": asset},
        **{
            "platform": "sentinel-1a",
            "sar:instrument_mode": "IW",
            "sar:polarizations": ["VV", "VH"],
            "sat:orbit_state": "ascending",
            "sat:relative_orbit": orbit,
            "product:type": "IW_GRDH_1S",
            "processing:version": "003.61",
        },
    )  # fmt: skip


class Runs:
    """Stands for the workflow: notes what it is asked to map, and leaves products and stores."""

    def __init__(self) -> None:
        self.mapped: list[str] = []
        self.faults: list[BaseException] = []

    def __call__(self, folder: Path, cores: int) -> None:
        assert (folder / "config.yaml").is_file()
        assert (folder / "scenes.tsv").is_file()
        if self.faults:
            raise self.faults.pop(0)
        made = folder / "results" / folder.name
        for path, size in (
            (folder / "resources/a.zip", _MIB),
            (made / "geocoded/a.zarr/c", _MIB),
            (made / "maps/flood.tif", 100),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"1" * size)
        (made / "collection.json").write_text("{}")
        self.mapped.append(folder.name)


@pytest.fixture
def runs(monkeypatch) -> Runs:
    made = Runs()
    monkeypatch.setattr("floodloom.watch.look.run", made)
    return made


class Clock:
    """Stands still until it is set: days after `BEGIN`."""

    days = 20.0

    def __call__(self) -> datetime:
        return BEGIN + timedelta(days=self.days)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("floodloom.watch.look.utc_now", made)
    return made


@pytest.fixture
def api(monkeypatch, clock) -> Iterator[Api]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with served(Api(items=[scene(-12), scene(-5, 117)])) as running:
        yield running


def looked(api: Api, out: Path, looks: int = 1, **settings: object) -> None:
    watch(
        out=out,
        area=Area(bbox=BOX),
        search=Search(catalogue=api.address),
        files=OwnFiles(height=100.0),
        settings=WatchSettings(since="2026-11-01", looks=looks, **settings),
        cores=1,
    )


def states(out: Path) -> dict[str, str]:
    ledger = Ledger.read(out)
    assert ledger is not None
    return {name: entry.state for name, entry in ledger.passes.items()}


def test_each_pass_is_mapped_once_and_put_in_the_catalogue(api, runs, clock, tmp_path) -> None:
    clock.days = 8
    looked(api, tmp_path)
    assert runs.mapped == []
    api.items += [scene(7, 117), scene(0)]
    looked(api, tmp_path)
    names = ["20261101T170000-044", "20261108T170000-117"]
    assert runs.mapped == names
    clock.days, api.items = 13, [*api.items, scene(12)]
    looked(api, tmp_path, looks=3)
    names.append("20261113T170000-044")
    assert runs.mapped == names
    assert set(states(tmp_path).values()) == {"mapped"}
    catalog = pystac.Catalog.from_file(str(tmp_path / "catalog.json"))
    ways = [link.href for link in catalog.get_child_links()]
    assert [way.split("/")[2] for way in ways] == names
    assert all((tmp_path / way).is_file() for way in ways)


def test_a_pass_is_compared_with_the_latest_of_its_orbit(api, runs, tmp_path) -> None:
    api.items += [scene(0), scene(7, 117), scene(12)]
    looked(api, tmp_path)
    sheets = sorted(tmp_path.glob("passes/*/scenes.tsv"))
    rows = [[line.split("\t") for line in sheet.read_text().splitlines()] for sheet in sheets]
    roles = [{row[2]: row[3].rpartition("/")[2] for row in sheet[1:]} for sheet in rows]
    assert roles == [
        {"after": "44-0", "before": "44--12"},
        {"after": "117-7", "before": "117--5"},
        {"after": "44-12", "before": "44-0"},
    ]


def test_a_slice_that_comes_late_is_no_pass_of_its_own(api, runs, tmp_path) -> None:
    api.items += [scene(0)]
    looked(api, tmp_path)
    api.items += [scene(-25 / 86400, outline=shapely.box(13, 44, 15, 46))]
    looked(api, tmp_path)
    assert len(runs.mapped) == 1


def test_what_fails_is_tried_again_then_named_and_stops_nothing(api, runs, tmp_path) -> None:
    api.items += [scene(0), scene(7, 117)]
    for attempt in (1, 2):
        runs.faults = [RunError("stopped for the reason above", "the disk burns")]
        with pytest.raises(RunError, match="1 passes failed: 20261101T170000-044: the disk burns"):
            looked(api, tmp_path, attempts=2)
        assert runs.mapped == ["20261108T170000-117"]
        ledger = Ledger.read(tmp_path)
        assert ledger is not None
        assert ledger.passes["20261101T170000-044"].attempts == attempt
        assert ledger.passes["20261101T170000-044"].reason == "the disk burns"
    looked(api, tmp_path, attempts=2)
    assert states(tmp_path)["20261101T170000-044"] == "failed"
    assert runs.mapped == ["20261108T170000-117"]


def test_what_was_killed_goes_on(api, runs, tmp_path) -> None:
    api.items += [scene(0), scene(7, 117)]
    runs.faults = [SystemExit(143)]
    with pytest.raises(SystemExit):
        looked(api, tmp_path)
    assert set(states(tmp_path).values()) == {"waiting"}
    api.items = api.items[:2]  # and the catalogue has forgotten
    sheet = tmp_path / "passes/20261101T170000-044/scenes.tsv"
    written = sheet.stat().st_mtime_ns
    with pytest.raises(RunError, match=r"20261108T170000-117: .* gone from the catalogue"):
        looked(api, tmp_path)
    assert runs.mapped == ["20261101T170000-044"]
    assert sheet.stat().st_mtime_ns == written


def test_a_catalogue_that_is_away_is_asked_again(api, runs, tmp_path, monkeypatch) -> None:
    api.items += [scene(0)]
    answer = api.answer
    monkeypatch.setattr(api, "answer", lambda *a: answer(*a) if there[0] else None)
    there = [False]
    monkeypatch.setattr("time.sleep", lambda seconds: there.insert(0, True))
    looked(api, tmp_path, looks=2)
    assert runs.mapped == ["20261101T170000-044"]
    there.insert(0, False)
    with pytest.raises(InputError, match=r"status 404|not a STAC catalogue"):
        looked(api, tmp_path)


def test_an_empty_catalogue_is_no_error(api, runs, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    api.items = []
    looked(api, tmp_path, looks=2)
    assert [one.levelname for one in caplog.records] == ["INFO", "INFO"]
    assert caplog.messages[0].endswith("no scene of the area yet")


def test_stores_go_before_products_and_what_waits_waits(api, runs, tmp_path) -> None:
    api.items += [scene(day) for day in (0, 6, 12)]
    looked(api, tmp_path, disk_gib=3 / 1024)
    assert len(runs.mapped) == 3
    assert size_of(tmp_path) < 3 * _MIB
    for name in runs.mapped:
        assert (results_of(tmp_path, name) / "maps/flood.tif").is_file()
    cleared = [not (tmp_path / "passes" / name / "resources").exists() for name in runs.mapped]
    assert cleared == [True, True, False]
    (tmp_path / "theirs").write_bytes(b"1" * 4 * _MIB)
    api.items += [scene(18)]
    looked(api, tmp_path, disk_gib=3 / 1024)
    assert len(runs.mapped) == 3
    assert list(states(tmp_path).values()).count("waiting") == 1
    (tmp_path / "theirs").unlink()
    looked(api, tmp_path, disk_gib=3 / 1024)
    assert len(runs.mapped) == 4


def test_faults_in_any_order_lose_and_repeat_nothing(api, runs, clock, tmp_path) -> None:
    chance = random.Random(0)
    for day in range(30):
        clock.days = day + 0.1
        api.items += [scene(day, 44 + 7 * (day % 6))]
        runs.faults = chance.choice([[], [OSError(28, "full")], [RunError("x")], [SystemExit(1)]])
        with suppress(RunError, SystemExit):
            looked(api, tmp_path, attempts=99)
    runs.faults = []
    looked(api, tmp_path)
    assert len(runs.mapped) == len(set(runs.mapped)) == 30
    assert set(states(tmp_path).values()) == {"mapped"}
    assert not list(tmp_path.rglob(".*.part*"))


def test_one_watches_at_a_time(api, runs, tmp_path) -> None:
    with owned(tmp_path / ".floodloom", "watch"), pytest.raises(LockedError, match="run watch"):
        looked(api, tmp_path)


def test_another_file_of_that_name_is_one_line(api, runs, tmp_path) -> None:
    (tmp_path / "watch.json").write_text(json.dumps({"passes": 3}))
    with pytest.raises(InputError, match=r"watch\.json: not what a watch has written"):
        looked(api, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what is watched? Give --bbox"),
        (("--bbox", BOX, "--scenes", "a.zip"), "a watch finds them in a catalogue"),
        (("--bbox", BOX, "--date", "2026-11-01"), "give the begin by --since"),
        (("--bbox", BOX, "--since", "yesterday", "--looks", "1"), "since 'yesterday': not a date"),
    ],
)
def test_what_cannot_be_watched_is_one_line(tmp_path, capsys, arguments, said) -> None:
    assert main(["watch", *arguments, "--out", str(tmp_path / "w")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert said in lines[-1]
    assert len(lines) == 1
