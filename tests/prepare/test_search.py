"""A place and a date become a map: from an API on this machine, and from a static catalogue."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform
from shapely.affinity import translate

from floodloom.acquire.credentials import TOKENS
from floodloom.acquire.orbits import LISTING
from floodloom.cli import main
from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.errors import ConfigError, InputError
from floodloom.prepare.found import look_at
from floodloom.prepare.search import scenes_of
from floodloom.sentinel1.settings import BackscatterSettings
from tests.prepare.catalogue import COVER, TILES, WATER, Api, item, item_of, served, static
from tests.privacy import telling
from tests.sentinel1.test_heights import undulation, write_grid
from tests.sentinel1.test_product import orbit_file
from tests.warm import interpreter

SINCE = datetime(2023, 5, 14)
SECRET = "s3cret-t0ken"
TILE = "Copernicus_DSM_COG_10_N45_00_E014_00_DEM"


@pytest.fixture(scope="module")
def stored(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the products as zips, and their elevations above the geoid as a tile."""
    folder = tmp_path_factory.mktemp("stored")
    for name in ("pre", "post"):
        shutil.make_archive(str(folder / name), "zip", own, f"{name}.SAFE")
    with rasterio.open(own / "dem.tif") as raster:
        heights, profile = raster.read(1), raster.profile
        columns, rows = np.meshgrid(np.arange(raster.width), np.arange(raster.height))
        x, y = raster.transform * (columns + 0.5, rows + 0.5)
        longitude, latitude = transform(raster.crs, 4326, x.ravel(), y.ravel())
    above = undulation(np.array(longitude), np.array(latitude)).reshape(heights.shape)
    with rasterio.open(folder / f"{TILE}.tif", "w", **profile) as raster:
        raster.write((heights - above).astype(profile["dtype"]), 1)
    with rasterio.open(own / "truth.tif") as raster:
        truth, profile = raster.read(1), raster.profile
    layers = {"occurrence": np.where(truth == 1, 90, 0), "map": np.full_like(truth, 40)}
    for name, values in layers.items():
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as raster:
            raster.write(values.astype(profile["dtype"]), 1)
    for kind, name, day in (("POEORB", "pre", 20230501), ("RESORB", "post", 20230513)):
        listed = folder / "orbits" / kind
        valid = f"V{day}T225942_{day + 2}T005942"
        file = f"S1A_OPER_AUX_{kind}_OPOD_20230603T080617_{valid}.EOF"
        listed.mkdir(parents=True)
        orbit_file(own / f"{name}.SAFE", listed, file)
        (listed / "index.html").write_text(f'<a href="{file}">{file}</a>')
    (folder / "data" / "proj").mkdir(parents=True)
    write_grid(folder / "data" / "proj" / "us_nga_egm08_25.tif")
    return folder


def asset(file: Path) -> dict[str, object]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {
        "href": f"/{file.name}",
        "file:size": file.stat().st_size,
        "file:checksum": f"1220{digest}",
    }


def offered(own: Path, stored: Path) -> list[dict]:
    """The right pair and its elevations, among decoys without files."""
    post, pre = own / "post.SAFE", own / "pre.SAFE"
    outline = look_at(post, BackscatterSettings()).outline
    west, _, east, _ = outline.bounds
    aside = translate(outline, 0.5 * (east - west))

    def decoy(product: Path, name: str, **other: object) -> dict:
        return item_of(product, name, {"href": "/gone.zip", "file:size": 9}, **other)

    return [
        decoy(post, "too-early", when="2023-05-13T04:50:00", **{"sat:relative_orbit": 117}),
        decoy(post, "other-orbit", when="2023-05-14T04:50:00", **{"sat:relative_orbit": 95}),
        decoy(post, "other-mode", when="2023-05-14T10:00:00", **{"sar:instrument_mode": "EW"}),
        decoy(post, "partial", when="2023-05-14T12:00:00", outline=aside),
        decoy(post, "post-old-baseline", **{"processing:version": "003.40"}),
        item_of(post, "post", asset(stored / "post.zip")),
        decoy(post, "later", when="2023-05-25T04:50:00"),
        decoy(pre, "one-band", when="2023-05-08T16:58:21", **{"sar:polarizations": ["VV"]}),
        item_of(pre, "pre", asset(stored / "pre.zip")),
        decoy(pre, "pre-duplicate", **{"processing:version": "003.52"}),
        decoy(pre, "long-ago", when="2023-04-20T16:58:21"),
        item(
            TILE,
            "2021-04-22T00:00:00",
            outline,
            {"data": asset(stored / f"{TILE}.tif")},
            collection=TILES,
        ),
        *(
            item(name, when, outline, {key: asset(stored / f"{key}.tif")}, collection=collection)
            for name, when, key, collection in (
                ("cover-old", "2020-01-01T00:00:00", "map", COVER),
                ("cover-new", "2021-01-01T00:00:00", "map", COVER),
                ("water-all", "2020-12-31T00:00:00", "occurrence", WATER),
            )
        ),
    ]


@pytest.fixture
def api(own: Path, stored: Path, monkeypatch) -> Iterator[Api]:
    monkeypatch.setenv(TOKENS, f"127.0.0.1={SECRET}")
    monkeypatch.setenv("XDG_DATA_HOME", str(stored / "data"))
    files = {f"/{path.name}": path for path in stored.iterdir() if path.is_file()}
    for path in (stored / "orbits").rglob("*.*"):
        place = f"/{path.relative_to(stored)}"
        files[place.removesuffix("index.html")] = path
    with served(Api(items=offered(own, stored), files=files, secret=SECRET)) as running:
        monkeypatch.setenv(LISTING, f"{running.address}/orbits/{{kind}}/")
        yield running


def box(own: Path) -> tuple[float, float, float, float]:
    west, south, east, north = look_at(own / "post.SAFE", BackscatterSettings()).footprint
    x, y = (west + east) / 2, (south + north) / 2
    return x - 0.005, y - 0.005, x + 0.005, y + 0.005


def place(own: Path) -> str:
    return ",".join(f"{at:.5f}" for at in box(own))


def floodloom(
    env: dict[str, str], *arguments: object, python: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a fork (`tests.warm`), or as a process of the Python that is given."""
    return subprocess.run(
        [python or interpreter(), "-m", "floodloom.cli", *map(str, arguments)],
        env={**os.environ, **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_right_pair_of_an_api_is_written_down(own, api, tmp_path) -> None:
    out = tmp_path / "beira"
    given = ("--bbox", place(own), "--date", "2023-05-14", "--catalogue", api.address)
    run = floodloom({}, "init", *given, "--out", out)
    assert run.returncode == 0, run.stderr
    for text in (
        "after post: shows all of the area, since 2023-05-14 00:00",
        "not post-old-baseline: the same echoes as post, version 003.40, not 003.61",
        "not partial: shows ",
        "not other-mode: mode EW, not IW",
        "not other-orbit: no scene before the flood can be compared with it",
        "not later: later",
        "before pre: relative orbit 44, too, 12 days earlier",
        "not one-band: without VH",
        "not too-early: relative orbit 117, not 44",
        "not long-ago: earlier",
        "fetches: 2 products, ",
        "Copernicus DEM, egm2008 heights; fetches: 1 tile, ",
    ):
        assert text in run.stdout, run.stdout
    config = load_config(yaml.safe_load((out / "config.yaml").read_text()))
    tile = f"{api.address}/collections/{TILES}/items/{TILE}"
    assert config.events["beira"].dem == (tile,)
    assert config.geocode.dem_heights == "egm2008"
    scenes = load_scenes(config, out)
    assert [(s.role, s.source.rpartition("/")[2], str(s.date)) for s in scenes.values()] == [
        ("after", "post", "2023-05-14 16:58:21"),
        ("before", "pre", "2023-05-02 16:58:21"),
    ]
    assert not {path for path in api.asked if path.endswith((".zip", ".tif"))}
    assert telling(tmp_path, [SECRET]) == []


def test_own_products_get_their_elevations_from_a_catalogue(own, api, tmp_path) -> None:
    given = ("--scenes", own / "post.SAFE", "--catalogue", api.address, "--out", tmp_path / "x")
    run = floodloom({}, "init", *given)
    assert run.returncode == 0, run.stderr
    event = yaml.safe_load((tmp_path / "x" / "config.yaml").read_text())["events"]["x"]
    assert event["dem"] == [f"{api.address}/collections/{TILES}/items/{TILE}"]


def test_layers_come_from_a_catalogue(own, api, tmp_path) -> None:
    given = ("--scenes", own / "post.SAFE", "--catalogue", api.address, "--out", tmp_path / "x")
    run = floodloom({}, "init", *given, "--reference-water", "--land-cover")
    assert run.returncode == 0, run.stderr
    assert "reference water: JRC Global Surface Water; fetches: 1 tile, " in run.stdout
    assert "land cover: ESA WorldCover; fetches: 1 tile, " in run.stdout
    assert "reference_water is given" not in run.stdout
    config = load_config(yaml.safe_load((tmp_path / "x" / "config.yaml").read_text()))
    event = config.events["x"]
    assert event.reference_water == (f"{api.address}/collections/{WATER}/items/water-all",)
    assert event.land_cover == (f"{api.address}/collections/{COVER}/items/cover-new",)
    assert config.delineate.reference_minimum == 50


def test_orbits_are_asked_for(own, api, tmp_path) -> None:
    given = ("--scenes", own / "post.SAFE", "--dem", own / "dem.tif", "--orbits")
    run = floodloom({}, "init", *given, "--before", own / "pre.SAFE", "--out", tmp_path / "x")
    assert run.returncode == 0, run.stderr
    said = "orbits: precise, or restituted where there is no other; fetches: 2 files, 9.2 MB"
    assert said in run.stdout
    content = yaml.safe_load((tmp_path / "x" / "config.yaml").read_text())
    assert content["calibrate"] == {"orbit": "fetch"}
    assert load_config(content).calibrate.orbit == "fetch"


@pytest.mark.parametrize("layer", ["reference-water", "land-cover"])
def test_a_catalogue_without_a_layer_is_one_line(own, api, tmp_path, layer) -> None:
    api.items = [one for one in api.items if one["collection"] not in (WATER, COVER)]
    given = ("--scenes", own / "post.SAFE", "--catalogue", api.address, "--out", tmp_path / "x")
    run = floodloom({}, "init", *given, f"--{layer}")
    assert run.returncode == 1
    assert run.stderr.endswith(f"of the area; leave out --{layer}\n")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("dem", "said"),
    [
        (["https://h/items/a?sig=s3cret"], "https://h/items/a: with a login or a query"),
        (["ftp://h/items/a"], "only http, https and s3"),
        (["gone.json"], "gone.json not found"),
        ("https://h/items/a", "https://h/items/a not found"),
        ([], "dem"),
    ],
)
def test_elevations_that_can_not_be_fetched_are_refused(tmp_path, dem, said) -> None:
    (tmp_path / "s.tsv").write_text("scene\tevent\trole\tsource\n")
    event = {"split": "target", "dem": dem}
    content = {"run": {"name": "r"}, "scenes": "s.tsv", "events": {"e": event}}
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        check_paths(load_config(content), tmp_path)
    assert "s3cret" not in str(caught.value)


def test_a_static_catalogue_is_walked_through(own, stored, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(stored / "data"))
    items = offered(own, stored)
    for one in items:
        for part in one["assets"].values():
            part["href"] = f".{part['href']}"
    first = static(tmp_path / "catalogue", items)
    given = ("--bbox", place(own), "--date", "2023-05-14T03:00:00", "--catalogue", first)
    run = floodloom({}, "init", *given, "--out", tmp_path / "x")
    assert run.returncode == 0, run.stderr
    rows = (tmp_path / "x" / "scenes.tsv").read_text().splitlines()
    assert [row.split("\t")[3] for row in rows[1:]] == [
        f"../catalogue/sentinel-1-grd/{name}/{name}.json" for name in ("post", "pre")
    ]


@pytest.mark.xdist_group("workflow")
def test_a_place_and_a_date_become_a_map(own, api, installed, tmp_path) -> None:
    """By what a wheel brings, away from the repository."""
    site, out = {"PYTHONPATH": str(installed)}, tmp_path / "beira"
    api.broken = 2
    given = ("map", "--bbox", place(own), "--date", "2023-05-14", "--catalogue", api.address)
    given = (*given, "--reference-water", "--orbits", "--out", out, "--cores", 2)
    listed = floodloom(site, *given, "--dry-run")
    assert listed.returncode == 0, listed.stderr
    for rule in ("acquire", "gather", "orbit", "delineate"):
        assert rule in listed.stdout + listed.stderr
    assert not (out / "resources").exists()

    refused = floodloom({**site, TOKENS: ""}, *given)
    assert refused.returncode == 1
    assert f"127.0.0.1 asks for a login; give its token in {TOKENS}" in refused.stderr
    assert list(out.glob("resources/*.zip")) == []

    run = floodloom(site, *given, python=sys.executable)
    assert run.returncode == 0, run.stderr[-3000:]
    assert api.broken == 0
    results = out / "results/beira"
    for name in ("map.html", "report.html", "maps/beira/flood.gpkg"):
        assert (results / name).stat().st_size > 0
        assert str(results / name) in run.stdout
    assert iou(results / "maps/beira/flood.tif", own / "truth.tif") > 0.5
    assert (out / "resources/reference_water/beira/occurrence.tif").is_file()
    orbits = sorted(path.name[:26] for path in out.glob("resources/orbits/*/*.EOF"))
    assert orbits == ["S1A_OPER_AUX_POEORB_OPOD_2", "S1A_OPER_AUX_RESORB_OPOD_2"]
    assert permanent(results / "maps/beira/flood.tif", own / "truth.tif") > 0.9
    with (results / "maps/beira/areas.csv").open() as table:
        flood = float(next(csv.DictReader(table))["flood"])
    assert f"area: flood {flood:,.0f} ha" in run.stdout
    assert telling(tmp_path, [SECRET]) == []
    assert SECRET not in "".join(run.stdout + run.stderr + refused.stderr + listed.stdout)

    again = floodloom(site, *given, "--dry-run")
    assert "dry run: all is made already" in again.stdout


def iou(map_file: Path, truth_file: Path) -> float:
    found, true = both_on_the_map(map_file, truth_file)
    known = (found <= 2) & (true <= 2)
    both, either = (found == 2) & (true == 2), (found == 2) | (true == 2)
    return float(np.sum(both & known) / np.sum(either & known))


def permanent(map_file: Path, truth_file: Path) -> float:
    """Share of the permanent water in view that the map doesn't take for flood."""
    found, true = both_on_the_map(map_file, truth_file)
    seen = (true == 1) & (found != 255)
    assert seen.any()
    return float((found[seen] != 2).mean())


def both_on_the_map(map_file: Path, truth_file: Path) -> tuple[np.ndarray, np.ndarray]:
    with rasterio.open(map_file) as made, rasterio.open(truth_file) as truth:
        found = made.read(1)
        grid = {"crs": made.crs, "transform": made.transform}
        with WarpedVRT(truth, **grid, height=made.height, width=made.width, nodata=255) as warped:
            return found, warped.read(1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--date 2023-05-14", "where is the flood? Give --bbox"),
        ("--bbox {place}", "no scenes: give --scenes, or --date"),
        ("--bbox {place} --date yesterday", "date 'yesterday': not a date"),
        ("--bbox {place} --date 2023-05-14 --scenes {own}/post.SAFE", "leave one out"),
        ("--bbox {place} --date 2023-08-14", "no scene of Sentinel-1 (GRD) of the area"),
        ("--bbox=-70,45,-69,46 --date 2023-05-14", "no scene of Sentinel-1 (GRD) of the area"),
        ("--bbox {place} --date 2023-05-27", "can be used (all are earlier)"),
        ("--bbox {place} --date 2023-05-14 --catalogue {api}/gone", "status 404"),
        ("--bbox {place} --date 2023-05-14 --catalogue {api}/post.zip", "not a STAC catalogue"),
        ("--bbox {place} --date 2023-05-14 --catalogue nowhere", "'nowhere': give copernicus, asf"),
    ],
)
def test_what_leads_nowhere_is_one_line(own, api, tmp_path, capsys, arguments, said) -> None:
    given = arguments.format(place=place(own), own=own, api=api.address).split()
    if "--catalogue" not in given:
        given += ["--catalogue", api.address]
    assert main(["init", *given, "--out", str(tmp_path / "x")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert said in lines[-1]
    assert len(lines) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "content",
    [
        '{"type": "Feature", "id": "a", "stac_version": "1.0.0", "links": []}',
        '{"type": "Catalog", "id": 1, "links": {}}',
        '{"type": "Catalog", "stac_version": "1.0.0", "id": "c", "links": [{"href": "x"}]}',
        '{"type": "Catalog", "stac_version": 7, "id": "c", "description": "", "links": []}',
        '{"type": null, "stac_version": "1.0.0", "id": "c", "description": "", "links": [0]}',
        "{}",
        "[]",
        "3",
    ],
)
def test_another_json_file_is_no_catalogue(content: str, tmp_path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"not a STAC catalogue|no scene of Sentinel-1"):
        scenes_of(str(path), (14.0, 45.0, 15.0, 46.0), datetime(2023, 5, 14))


def named(page: dict) -> dict:
    """A page of a search whose next one is asked for otherwise."""
    return {**page, "links": [{"rel": "next", "href": "http://h/search", "method": "POST"}]}


def test_pages_that_ask_for_more_than_reading_are_refused(own, api, monkeypatch) -> None:
    page = api._page
    monkeypatch.setattr(api, "_page", lambda query: named(page(query)))
    with pytest.raises(InputError, match="http://h/search: the catalogue asks for POST"):
        scenes_of(api.address, box(own), SINCE)


def test_pages_that_never_end_do(own, api, monkeypatch) -> None:
    again = {"rel": "next", "href": f"{api.address}/search?collections=x&bbox=0,0,1,1"}
    endless = {"type": "FeatureCollection", "features": [{"id": "a"}], "links": [again]}
    monkeypatch.setattr(api, "_page", lambda query: endless)
    monkeypatch.setattr("floodloom.prepare.search._MOST_REQUESTS", 20)
    with pytest.raises(InputError, match=r"needs over 20 requests|not a STAC catalogue"):
        scenes_of(api.address, box(own), SINCE)
    assert len(api.asked) < 30


@pytest.mark.parametrize("href", ["/etc/passwd", "file:///etc/passwd", "../../../../etc/passwd"])
def test_a_catalogue_on_the_web_names_no_file(own, api, monkeypatch, href) -> None:
    answer = api.answer
    child = {"rel": "child", "href": href}
    root = {**answer("/", {}), "conformsTo": [], "links": [child]}
    monkeypatch.setattr(api, "answer", lambda path, query: root if path == "/" else None)
    with pytest.raises(InputError, match=r"may not name|status 404|not a STAC catalogue") as caught:
        scenes_of(f"{api.address}/", box(own), SINCE)
    assert "root:" not in str(caught.value)


def test_without_the_geoid_one_line_says_what_to_fetch(own, api, tmp_path, monkeypatch) -> None:
    given = ("--bbox", place(own), "--date", "2023-05-14", "--catalogue", api.address)
    run = floodloom({"XDG_DATA_HOME": str(tmp_path)}, "init", *given, "--out", tmp_path / "x")
    assert run.returncode == 1
    assert "us_nga_egm08_25.tif" in run.stderr
    assert "projsync --file" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
