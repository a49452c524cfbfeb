"""A run whose inputs lie in a bucket is that of files; what it publishes is safe from others."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from benchmarks.compare import differences
from floodloom.acquire.bucket import open_bucket
from floodloom.errors import InputError
from floodloom.publish import MANIFEST, publish
from tests.cloud.seaweed import KEY, SECRET, Store, seaweed
from tests.compiled import link_compiled
from tests.workflow.conftest import environment, project, write_config

BUCKET = "floods"
CONFIG = {
    "run": {"name": "cloud", "rounds": 0},
    "scenes": "config/scenes.tsv",
    "events": {"valley": {"split": "target", "dem": ["items/dem.json"]}},
}


LEARNED = yaml.safe_load((Path(__file__).parents[1] / "workflow/tiny.yaml").read_text())
"""The smallest run that goes through every stage of learning, of the same events as files."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with an empty bucket, which this process reaches, too."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as running, pytest.MonkeyPatch.context() as to:
        for name, value in running.environment.items():
            to.setenv(name, value)
        made = make_bucket(running)
        assert made.returncode == 0, made.stderr
        yield running


def make_bucket(store: Store) -> subprocess.CompletedProcess[str]:
    """Make the bucket by a signed request, as a client of others would."""
    host = store.environment["AWS_ENDPOINT_URL"]
    signing = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{KEY}:{SECRET}"]
    command = ["curl", "--silent", "--fail", *signing, "-X", "PUT", f"{host}/{BUCKET}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(folder: Path, module: str, *arguments: str) -> str:
    """Run a module in a project; return all that it shows."""
    found = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    text = found.stdout + found.stderr
    assert found.returncode == 0, text[-6000:]
    return text


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a product and elevations."""
    return simulated(tmp_path_factory.mktemp("inputs"), 3)


def simulated(folder: Path, seed: int) -> Path:
    """Lay an event as files: products, elevations, an optical image and labels."""
    names = {"out-before": "before.SAFE", "out-after": "after.SAFE", "dem": "dem.tif"}
    names |= {"optical": "optical.tif", "truth": "truth.tif"}
    options = [part for key, name in names.items() for part in (f"--{key}", str(folder / name))]
    source = Path(__file__).resolve().parents[2]
    run(source, "floodloom.cli", "simulate", *options, "--size", "256", "--seed", str(seed))
    for role in ("before", "after"):
        shutil.make_archive(str(folder / role), "zip", folder, f"{role}.SAFE")
    return folder


def laid(folder: Path, sources: str) -> Path:
    """Lay a project whose scene and elevations lie at a place."""
    made = project(folder)
    link_compiled(made / "src" / "floodloom")
    sheet = f"scene\tevent\trole\tsource\nvalley_after\tvalley\tafter\t{sources}after.zip\n"
    write_config(made, CONFIG)
    (made / "config" / "scenes.tsv").write_text(sheet)
    (made / "items").mkdir()
    href = f"{sources}dem.tif" if sources.startswith("s3:") else "dem.tif"
    item = {"type": "Feature", "id": "dem", "assets": {"data": {"href": href}}}
    (made / "items" / "dem.json").write_text(json.dumps(item))
    return made


@pytest.fixture(scope="module")
def finished(store: Store, inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project of a run whose inputs came from the bucket and whose products went there."""
    bucket = open_bucket(BUCKET)
    for name in ("after.zip", "dem.tif"):
        bucket.put(f"given/{name}", inputs / name)
    store.requests.clear()
    folder = laid(tmp_path_factory.mktemp("cloud") / "project", f"s3://{BUCKET}/given/")
    shown = run(folder, "snakemake", "--cores", "2")
    shown += run(folder, "floodloom.cli", "publish", *publication(folder, "made/here"))
    (folder / "shown.txt").write_text(shown)
    (folder / "requests.json").write_text(json.dumps(store.requests))
    return folder


def publication(folder: Path, prefix: str) -> list[str]:
    return ["--results", str(folder / "results/cloud"), "--to", f"s3://{BUCKET}/{prefix}"]


def fetched(prefix: str, folder: Path) -> Path:
    """Lay down what a manifest states."""
    bucket = open_bucket(BUCKET)
    manifest = json.loads(bytes(bucket.get(f"{prefix}/{MANIFEST}").bytes()))
    for name in manifest["objects"]:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(bucket.get(f"{prefix}/{name}").bytes()))
    return folder


def test_nothing_beside_the_prefixes_is_asked_for_and_nothing_listed(finished: Path) -> None:
    requests = json.loads((finished / "requests.json").read_text())
    assert {method for method, _ in requests} == {"GET", "PUT"}
    for method, target in requests:
        path, query = unquote(urlsplit(target).path), urlsplit(target).query
        assert path.startswith((f"/{BUCKET}/given/", f"/{BUCKET}/made/here/")), (method, target)
        assert "list-type" not in query, (method, target)
        assert "prefix=" not in query, (method, target)
        assert method == "GET" or path.startswith(f"/{BUCKET}/made/here/"), (method, target)


def test_credentials_are_in_no_file_and_in_nothing_shown(finished: Path) -> None:
    for file in finished.rglob("*"):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            for secret in (SECRET, KEY, "X-Amz-Signature"):
                assert secret.encode() not in content or file.name == "requests.json", file


def test_maps_are_those_of_a_run_of_files(finished: Path, inputs: Path, tmp_path: Path) -> None:
    alone = laid(tmp_path / "alone", f"{inputs}/")
    shutil.copy(inputs / "dem.tif", alone / "items")
    run(alone, "snakemake", "--cores", "2")
    expected, found = alone / "results/cloud", fetched("made/here", tmp_path / "fetched")
    for name in ("maps", "mosaics"):
        assert list(differences(expected / name, found / name)) == []
    stores = "geocoded"
    assert list(differences(expected / stores, finished / "results/cloud" / stores)) == []


def test_stores_are_published_and_found_whole(finished: Path, tmp_path: Path) -> None:
    results = copied(finished, tmp_path)
    publish(results=results, to=f"s3://{BUCKET}/all", everything=True)
    found = fetched("all", tmp_path / "fetched")
    for name in ("geocoded", "calibrated"):
        assert list(differences(results / name, found / name)) == []


def copied(finished: Path, folder: Path) -> Path:
    """A copy of the results that knows of no publication."""
    results = folder / "results"
    shutil.copytree(finished / "results/cloud", results)
    (results / MANIFEST).unlink()
    return results


def test_another_run_is_refused_and_changes_nothing(
    store: Store, finished: Path, tmp_path: Path
) -> None:
    other = copied(finished, tmp_path)
    (other / "report.html").write_text("another")
    before = fetched("made/here", tmp_path / "before")
    store.requests.clear()
    with pytest.raises(InputError, match="another run has published there"):
        publish(results=other, to=f"s3://{BUCKET}/made/here")
    assert {method for method, _ in store.requests} == {"GET"}
    assert (before / "report.html").read_bytes() != b"another"


def test_of_two_that_write_at_once_one_is_told(finished: Path, tmp_path: Path) -> None:
    """The other's object appears after this one saw that nothing had been published."""
    results = copied(finished, tmp_path)
    open_bucket(BUCKET).put("race/report.html", b"of another run")
    with pytest.raises(InputError, match=r"report\.html: another run has written it"):
        publish(results=results, to=f"s3://{BUCKET}/race")
    assert bytes(open_bucket(BUCKET).get("race/report.html").bytes()) == b"of another run"
    with pytest.raises(FileNotFoundError):
        open_bucket(BUCKET).get(f"race/{MANIFEST}")
    publish(results=results, to=f"s3://{BUCKET}/race", replace=True)
    found = fetched("race", tmp_path / "fetched")
    assert (found / "report.html").read_bytes() == (results / "report.html").read_bytes()


def test_a_run_replaces_its_own_and_removes_what_it_has_no_longer(
    finished: Path, tmp_path: Path
) -> None:
    results, to = copied(finished, tmp_path), f"s3://{BUCKET}/own"
    publish(results=results, to=to)
    (results / "report.html").write_text("a newer report")
    (results / "maps/valley/areas.csv").unlink()
    publish(results=results, to=to)
    assert (fetched("own", tmp_path / "f") / "report.html").read_text() == "a newer report"
    with pytest.raises(FileNotFoundError):
        open_bucket(BUCKET).get("own/maps/valley/areas.csv")


def test_what_another_has_written_over_is_not_replaced(finished: Path, tmp_path: Path) -> None:
    results, to = copied(finished, tmp_path), f"s3://{BUCKET}/over"
    publish(results=results, to=to)
    open_bucket(BUCKET).put("over/report.html", b"of another run")
    (results / "report.html").write_text("a newer report")
    with pytest.raises(InputError, match="another run has written it"):
        publish(results=results, to=to)
    assert bytes(open_bucket(BUCKET).get("over/report.html").bytes()) == b"of another run"


def test_a_publication_that_was_cut_off_goes_on(finished: Path, tmp_path: Path) -> None:
    results = copied(finished, tmp_path)
    open_bucket(BUCKET).put("cut/map.html", results / "map.html")
    publish(results=results, to=f"s3://{BUCKET}/cut")
    assert (fetched("cut", tmp_path / "f") / "map.html").is_file()


def learned(folder: Path, events: Path, place: str) -> Path:
    """Run a project that learns from products and elevations at a place; return its results."""
    made = project(folder)
    link_compiled(made / "src" / "floodloom")
    (made / "items").mkdir()
    content, rows = copy.deepcopy(LEARNED), ["scene\tevent\trole\tsource"]
    del content["simulate"]
    for event, settings in content["events"].items():
        href = f"{place}/{event}/dem.tif"
        if not place.startswith("s3:"):  # a file lies beside its item
            href = shutil.copy(href, made / "items" / f"{event}.tif").name
        item = {"type": "Feature", "id": event, "assets": {"data": {"href": href}}}
        (made / "items" / f"{event}.json").write_text(json.dumps(item))
        del settings["seed"]
        settings["dem"] = [f"items/{event}.json"]
        for key, name in (("labels", "truth.tif"), ("optical", "optical.tif")):
            settings[key] = str(events / event / name)
        roles = ("before", "after") if event == "c" else ("after",)
        rows += [f"{event}_{role}\t{event}\t{role}\t{place}/{event}/{role}.zip" for role in roles]
    write_config(made, content)
    (made / "config" / "scenes.tsv").write_text("\n".join([*rows, ""]))
    run(made, "snakemake", "--cores", "2")
    return made / "results" / content["run"]["name"]


def test_a_run_that_learns_from_a_bucket_is_that_of_files(store: Store, tmp_path: Path) -> None:
    """Networks, probabilities and maps; labels and optical images are files in both."""
    bucket, events = open_bucket(BUCKET), tmp_path / "events"
    for seed, event in enumerate(LEARNED["events"], start=1):
        (events / event).mkdir(parents=True)
        simulated(events / event, seed)
        for name in ("before.zip", "after.zip", "dem.tif"):
            bucket.put(f"learned/{event}/{name}", events / event / name)
    results = learned(tmp_path / "cloud", events, f"s3://{BUCKET}/learned")
    publish(results=results, to=f"s3://{BUCKET}/products", everything=True)
    expected = learned(tmp_path / "alone", events, str(events))
    found = fetched("products", tmp_path / "fetched")
    for name in ("models", "mosaics", "maps", "geocoded"):
        assert list(differences(expected / name, found / name)) == []


def test_wrong_credentials_are_one_line_without_them(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(InputError, match="check bucket, endpoint") as caught:
        publish(results=copied(finished, tmp_path), to=f"s3://{BUCKET}/wrong")
    assert not re.search("another-secret|\n", str(caught.value))
