"""The orbit file that covers a product is found among those that are published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from floodloom.acquire.orbits import LISTING, listed_orbits
from floodloom.config.load import load_config
from floodloom.errors import InputError
from floodloom.raster.store import open_store
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.settings import CalibrateSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.orbit import orbit
from floodloom.workflow.inputs import inputs
from floodloom.workflow.plan import Plan
from tests.acquire.conftest import Server, answer
from tests.sentinel1.test_product import DAY, orbit_file
from tests.simulated import lay_event

SHIFT = 900.0
OTHER_DAY = "V20230512T225942_20230514T005942"
PRECISE = f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}.EOF"
RESTITUTED = f"S1A_OPER_AUX_RESORB_OPOD_20230514T200617_{DAY}.EOF"


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("product")
    return lay_event(folder, size=128)


def bucket(names: list[str], token: str = "") -> bytes:
    """A page of a listing of Amazon S3."""
    keys = "".join(f"<Contents><Key>AUX_X/{n}</Key><Size>9</Size></Contents>" for n in names)
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f'<?xml version="1.0"?><ListBucketResult>{more}{keys}</ListBucketResult>'.encode()


def page(names: list[str]) -> bytes:
    """An index of a web server."""
    rows = "".join(f'<a href="{name}">{name}</a> 2023-06-03 4.4M\n' for name in names)
    return f"<html><body>{rows}</body></html>".encode()


@pytest.fixture
def published(server: Server, safe: Path, tmp_path: Path, monkeypatch) -> Server:
    """A bucket with a restituted and a precise orbit, on two pages, among others."""
    monkeypatch.setenv(LISTING, f"{server.address}/?kind={{kind}}&m={{mission}}&after={{day}}")
    files = orbit_file(safe, tmp_path / "files", PRECISE, shift=SHIFT)
    orbit_file(safe, files, RESTITUTED, shift=-SHIFT)
    others = [
        PRECISE.replace(DAY, OTHER_DAY),
        PRECISE.replace("S1A", "S1B"),
        PRECISE.replace("20230603", "20230601"),
    ]

    def listing(handler) -> None:
        kind = "POEORB" if "POEORB" in handler.path else "RESORB"
        if "continuation-token=a%2Fb%26" in handler.path:
            answer(bucket([PRECISE]))(handler)
        elif kind == "POEORB":
            answer(bucket(others, token="a/b&amp;"))(handler)
        else:
            answer(bucket([RESTITUTED]))(handler)

    server.answers["/"] = listing
    for file in files.iterdir():
        server.answers[f"/AUX_X/{file.name}"] = answer(file.read_bytes())
    return server


def shift_of(safe: Path, folder: Path, orbits: Path) -> np.ndarray:
    """By how much the orbit that is used differs from the product's own, m."""
    places = []
    for name, given in (("own", None), ("given", orbits)):
        out = folder / f"{name}.zarr"
        calibrate(safe=safe, out=out, settings=CalibrateSettings(orbit=given))
        geometry = ImageGeometry.from_json(open_store(out).attrs["geometry"])
        places.append(geometry.orbit.position(np.array(0.5)))
    return places[1] - places[0]


def test_the_precise_orbit_is_taken(published, safe, tmp_path) -> None:
    out = orbit(product=safe, out=tmp_path / "orbit")
    assert sorted(path.name for path in out.iterdir()) == [PRECISE, "gathered.json"]
    told = json.loads((out / "gathered.json").read_text())
    assert told == {"gathered": [f"{published.address}/AUX_X/{PRECISE}"]}
    assert shift_of(safe, tmp_path, out) == pytest.approx([SHIFT, 0, 0], abs=5e-3)
    asked = [request["path"] for request in published.requests]
    assert asked[0] == "/?kind=POEORB&m=S1A&after=20230514"


def test_a_restituted_one_until_there_is_one(published, safe, tmp_path) -> None:
    published.answers["/"] = lambda handler: answer(
        bucket([RESTITUTED] if "RESORB" in handler.path else [])
    )(handler)
    out = orbit(product=safe, out=tmp_path / "orbit")
    assert shift_of(safe, tmp_path, out) == pytest.approx([-SHIFT, 0, 0], abs=5e-3)


def test_none_is_one_line(published, safe, tmp_path) -> None:
    published.answers["/"] = answer(bucket([PRECISE.replace(DAY, OTHER_DAY)]))
    with pytest.raises(InputError, match=r"no published file of S1A covers 2023-05-14.*later") as e:
        orbit(product=safe, out=tmp_path / "orbit")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "orbit").exists()


@pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b"", b"<a/>"])
def test_what_is_no_orbit_file_is_one_line(published, safe, tmp_path, body) -> None:
    published.answers[f"/AUX_X/{PRECISE}"] = answer(body)
    said = rf"{published.address}/AUX_X/{PRECISE}.*(damaged|not a readable|no state vector)"
    with pytest.raises(InputError, match=said):
        orbit(product=safe, out=tmp_path / "orbit")
    assert not (tmp_path / "orbit").exists()


def test_an_index_of_a_mirror_is_read(server, monkeypatch) -> None:
    monkeypatch.setenv(LISTING, f"{server.address}/aux_{{kind}}/")
    zipped = f"{PRECISE}.zip"
    server.answers["/aux_POEORB/"] = answer(page(["../", PRECISE, f"{PRECISE}.md5", zipped]))
    assert listed_orbits("POEORB", "S1A", "20230514") == {
        PRECISE: f"{server.address}/aux_POEORB/{PRECISE}",
        zipped: f"{server.address}/aux_POEORB/{zipped}",
    }


def test_an_index_names_no_file_of_the_machine(server, monkeypatch) -> None:
    monkeypatch.setenv(LISTING, f"{server.address}/")
    server.answers["/"] = answer(page([f"file:///etc/{PRECISE}", f"ftp://h/{PRECISE}"]))
    assert listed_orbits("POEORB", "S1A", "20230514") == {}


def test_a_listing_that_is_no_template_is_one_line(monkeypatch) -> None:
    monkeypatch.setenv(LISTING, "https://h/{kind}/{nothing}?token=s3cret")
    with pytest.raises(InputError, match=r"FLOODLOOM_ORBIT_LISTING: .*correct it") as caught:
        listed_orbits("POEORB", "S1A", "20230514")
    assert "s3cret" not in str(caught.value)


def test_a_run_fetches_what_it_is_asked_to(tmp_path) -> None:
    content = {
        "run": {"name": "r"},
        "scenes": "scenes.tsv",
        "events": {"e": {"split": "target"}},
        "calibrate": {"orbit": "fetch"},
    }
    plan = Plan(load_config(content), {})
    assert "orbit" not in plan.settings("calibrate")
    assert plan.fetched_orbit("a") == "resources/orbits/a"
    content["calibrate"] = {"orbit": "files"}
    plan = Plan(load_config(content), {})
    assert plan.settings("calibrate")["orbit"] == "files"
    assert plan.fetched_orbit("a") is None
    assert "orbit" not in inputs(plan, "evaluate", {})


def test_calibrate_alone_fetches_none(safe, tmp_path) -> None:
    with pytest.raises(InputError, match="give the folder that `floodloom orbit` writes"):
        calibrate(safe=safe, out=tmp_path / "x.zarr", settings=CalibrateSettings(orbit="fetch"))
