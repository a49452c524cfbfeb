"""What is published, and over what; against a server: tests/cloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from floodloom.errors import InputError
from floodloom.publish import MANIFEST, publish

TO = "s3://floods/demo"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A bucket in memory, which checks conditions as servers do."""
    store = MemoryStore()
    monkeypatch.setattr("floodloom.publish.open_bucket", lambda _: store)
    return store


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in ("report.html", "maps/a/flood.tif", "logs/x.log", "geocoded/a.zarr/zarr.json"):
        file = tmp_path / "results" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "results"


def stated(bucket: MemoryStore) -> set[str]:
    return set(json.loads(bytes(bucket.get(f"demo/{MANIFEST}").bytes()))["objects"])


def test_products_and_all_but_logs(bucket: MemoryStore, results: Path) -> None:
    publish(results=results, to=TO)
    assert stated(bucket) == {"report.html", "maps/a/flood.tif"}
    publish(results=results, to=TO, everything=True)
    assert stated(bucket) == {"report.html", "maps/a/flood.tif", "geocoded/a.zarr/zarr.json"}
    publish(results=results, to=TO)
    with pytest.raises(FileNotFoundError):
        bucket.head("demo/geocoded/a.zarr/zarr.json")


def test_another_run_is_refused_unless_it_is_to_replace(bucket: MemoryStore, results: Path) -> None:
    publish(results=results, to=TO)
    (results / MANIFEST).unlink()
    (results / "report.html").write_text("another")
    with pytest.raises(InputError, match="another run has published there"):
        publish(results=results, to=TO)
    assert bytes(bucket.get("demo/report.html").bytes()) == b"report.html"
    publish(results=results, to=TO, replace=True)
    assert bytes(bucket.get("demo/report.html").bytes()) == b"another"


def test_links_and_runs_without_a_report(bucket: MemoryStore, results: Path) -> None:
    (results / "maps" / "own").symlink_to("/etc/passwd")
    publish(results=results, to=TO)
    assert "maps/own" not in stated(bucket)
    (results / "report.html").unlink()
    with pytest.raises(InputError, match="report of a finished run not found"):
        publish(results=results, to=TO)


def test_what_is_no_manifest_is_not_replaced(bucket: MemoryStore, results: Path) -> None:
    bucket.put(f"demo/{MANIFEST}", b"[]")
    with pytest.raises(InputError, match="not what floodloom publishes"):
        publish(results=results, to=TO)
