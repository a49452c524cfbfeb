"""Scenes that others have corrected for the terrain come from a catalogue, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.affinity import translate

from floodloom.acquire.credentials import TOKENS
from floodloom.config.load import load_config, load_scenes
from floodloom.prepare.candidates import candidate_of
from floodloom.prepare.found import look_at
from floodloom.raster.store import open_store
from floodloom.sentinel1.settings import BackscatterSettings, CalibrateSettings, GeocodeSettings
from floodloom.stages.calibrate import calibrate
from floodloom.stages.gather import gather
from floodloom.stages.geocode import geocode
from tests.prepare.catalogue import CORRECTED, Api, item, served
from tests.prepare.test_search import floodloom, iou, place
from tests.privacy import telling

SECRET = "s3cret-t0ken"
BANDS = ("vv", "vh")
AROUND = 700
"""Pixels around what a scene shows, as in real ones, whose swath lies askew in the raster."""


@pytest.fixture(scope="module")
def corrected(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both dates as Planetary Computer writes them: gamma0, power, -32768 no data."""
    folder = tmp_path_factory.mktemp("corrected")
    for name in ("pre", "post"):
        scene = folder / f"{name}.zarr"
        calibrate(
            safe=own / f"{name}.SAFE",
            out=folder / f"{name}-beta0.zarr",
            settings=CalibrateSettings(quantity="beta0"),
        )
        geocode(
            scene=folder / f"{name}-beta0.zarr",
            out=scene,
            dem=own / "dem.tif",
            settings=GeocodeSettings(flatten=True),
        )
        for band in BANDS:
            path = folder / name / "measurement" / f"iw-{band}.rtc.tiff"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_band(open_store(scene)[band].values, open_store(scene).odc.geobox, path)
    return folder


def write_band(values: np.ndarray, grid: GeoBox, path: Path) -> None:
    profile = {"driver": "COG", "dtype": "float32", "count": 1, "nodata": -32768.0}
    values = np.pad(values, AROUND, constant_values=np.nan)
    grid = grid.pad(AROUND)
    height, width = values.shape
    with rasterio.open(
        path, "w", **profile, height=height, width=width, crs=grid.crs.to_wkt(),
        transform=grid.affine, blocksize=128, compress="none",
    ) as raster:  # fmt: skip
        raster.write(np.where(np.isnan(values), -32768.0, values), 1)


def corrected_item(own: Path, product: str, name: str, **other: object) -> dict:
    """The item of a scene, as Planetary Computer describes it."""
    found = look_at(own / f"{product}.SAFE", BackscatterSettings())
    stated = {
        "platform": f"SENTINEL-{str(found.facts['platform'])[1:]}",
        "sar:instrument_mode": "IW",
        "sar:product_type": "GRD",
        "sar:polarizations": ["VV", "VH"],
        "sat:orbit_state": str(found.facts["orbit_direction"]).lower(),
        "sat:relative_orbit": found.facts["relative_orbit"],
        "proj:shape": [1000, 500],
        "proj:transform": [10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0],
    }
    folder = other.pop("folder", f"/{product}/measurement")
    names = other.pop("names", "iw-{}.rtc.tiff")
    assets = {band: {"href": f"{folder}/{names.format(band)}"} for band in BANDS}
    when = other.pop("when", f"{found.taken:%Y-%m-%dT%H:%M:%S}")
    outline = other.pop("outline", found.outline)
    return item(name, when, outline, assets, collection=CORRECTED, **{**stated, **other})


def offered(own: Path) -> list[dict]:
    """The right pair, among decoys without files."""
    outline = look_at(own / "post.SAFE", BackscatterSettings()).outline
    west, _, east, _ = outline.bounds
    aside = translate(outline, 0.5 * (east - west))

    def decoy(product: str, name: str, **other: object) -> dict:
        return corrected_item(own, product, f"{name}_rtc", folder="/gone", **other)

    return [
        decoy("post", "too-early", when="2023-05-13T04:50:00", **{"sat:relative_orbit": 117}),
        decoy("post", "other-orbit", when="2023-05-14T04:50:00", **{"sat:relative_orbit": 95}),
        decoy("post", "other-mode", when="2023-05-14T10:00:00", **{"sar:instrument_mode": "EW"}),
        decoy("post", "partial", when="2023-05-14T12:00:00", outline=aside),
        decoy("post", "unknown", when="2023-05-14T16:00:00", names="a-{}.tif"),
        corrected_item(own, "post", "post_rtc"),
        decoy("post", "later", when="2023-05-25T04:50:00"),
        decoy("pre", "one-band", when="2023-05-08T16:58:21", **{"sar:polarizations": ["VV"]}),
        corrected_item(own, "pre", "pre_rtc"),
        decoy("pre", "long-ago", when="2023-04-20T16:58:21"),
    ]


@pytest.fixture
def api(own: Path, corrected: Path, monkeypatch) -> Iterator[Api]:
    monkeypatch.setenv(TOKENS, f"127.0.0.1={SECRET}")
    files = {f"/{path.relative_to(corrected)}": path for path in corrected.rglob("*.tiff")}
    with served(Api(items=offered(own), files=files, secret=SECRET)) as running:
        yield running


def test_the_right_corrected_pair_is_written_down(own, api, tmp_path) -> None:
    given = ("--bbox", place(own), "--date", "2023-05-14", "--catalogue", api.address, "--rtc")
    run = floodloom({}, "init", *given, "--out", tmp_path / "beira")
    assert run.returncode == 0, run.stderr
    for text in (
        "after post_rtc: shows all of the area, since 2023-05-14 00:00",
        "not partial_rtc: shows ",
        "not other-mode_rtc: mode EW, not IW",
        "not unknown_rtc: isn't of a known producer: give --scale and --quantity",
        "not other-orbit_rtc: no scene before the flood can be compared with it",
        "not later_rtc: later",
        "before pre_rtc: relative orbit 44, too, 12 days earlier",
        "not one-band_rtc: without VH",
        "not too-early_rtc: relative orbit 117, not 44",
        "fetches: 2 scenes, 8.0 MB",
        "elevations: none; the scenes are terrain-corrected",
        "taken for: scale power, quantity gamma0 (Planetary Computer sentinel-1-rtc)",
    ):
        assert text in run.stdout, run.stdout
    config = load_config(yaml.safe_load((tmp_path / "beira/config.yaml").read_text()))
    scenes = load_scenes(config, tmp_path / "beira")
    assert [(s.role, s.source.rpartition("/")[2], s.assets) for s in scenes.values()] == [
        ("after", "post_rtc", BANDS),
        ("before", "pre_rtc", BANDS),
    ]
    assert not {path for path in api.asked if path.endswith(".tiff")}
    assert telling(tmp_path, [SECRET]) == []


def test_what_names_do_not_state_can_be_stated(own) -> None:
    source = "http://h/items/a_rtc"
    strange = corrected_item(own, "post", "a_rtc", folder="http://h", names="a-{}.tif")
    stated = BackscatterSettings(scale="db", quantity="sigma0", flattened=True)
    known = candidate_of(strange, source, stated)
    assert known.problem == ""
    assert known.found.recipe is not None
    assert (known.found.recipe.quantity, known.found.recipe.flattened) == ("sigma0", True)
    one = candidate_of(strange, source, BackscatterSettings(scale="db"))
    assert one.problem == "isn't of a known producer: give --quantity"


@pytest.mark.xdist_group("workflow")
def test_a_corrected_pair_becomes_a_map(own, api, tmp_path) -> None:
    out = tmp_path / "beira"
    given = ("--bbox", place(own), "--date", "2023-05-14", "--catalogue", api.address, "--rtc")
    run = floodloom({}, "map", *given, "--out", out, "--cores", 2)
    assert run.returncode == 0, run.stderr[-3000:]
    assert not (out / "results/beira/calibrated").exists()
    for path in (api.files[one] for one in api.sent):
        assert sum(api.sent.values()) < 0.3 * len(api.sent) * path.stat().st_size
    assert len(api.sent) == 4
    scene = open_store(out / "results/beira/geocoded" / f"{geocoded(out)}.zarr")
    assert scene.attrs["relative_orbit"] == 44
    assert scene.attrs["platform"] == "S1A"
    assert iou(out / "results/beira/maps/beira/flood.tif", own / "truth.tif") > 0.3
    assert telling(tmp_path, [SECRET]) == []
    assert SECRET not in run.stdout + run.stderr


SIDE = 1500
BOUNDS = (506_000.0, 4_992_000.0, 508_000.0, 4_994_000.0)


@pytest.fixture
def wide(tmp_path: Path, monkeypatch) -> Iterator[Api]:
    """A scene that is much larger than what is mapped."""
    monkeypatch.setenv(TOKENS, f"127.0.0.1={SECRET}")
    grid = GeoBox((SIDE, SIDE), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
    power = np.random.default_rng(0).gamma(4, 0.02, (2, SIDE, SIDE)).astype("float32")
    power[:, :, 700:710] = np.nan
    folder = tmp_path / "wide" / "measurement"
    folder.mkdir(parents=True)
    for band, values in zip(BANDS, power, strict=True):
        write_band(values, grid, folder / f"iw-{band}.rtc.tiff")
    assets = {band: {"href": f"/iw-{band}.rtc.tiff"} for band in BANDS}
    when = "2023-05-14T16:58:21"
    one = item("wide_rtc", when, grid.extent.to_crs("EPSG:4326").geom, assets, collection=CORRECTED)
    files = {f"/{path.name}": path for path in folder.iterdir()}
    with served(Api(items=[one], files=files, secret=SECRET)) as running:
        yield running


@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_of_a_scene_is_mapped_as_the_whole_is(wide, tmp_path, ranges) -> None:
    wide.ranges = ranges
    settings = GeocodeSettings(bounds=BOUNDS, epsg=32633, resolution=10.0)
    source = f"{wide.address}/collections/{CORRECTED}/items/wide_rtc?sig={SECRET}"
    place = {"bounds": BOUNDS, "epsg": 32633}
    part = gather(tiles=[source], out=tmp_path / "part", asset=BANDS, **place)
    came = dict(wide.sent)
    whole = gather(tiles=[source], out=tmp_path / "whole", asset=BANDS)
    for path in sorted(whole.glob("*.tiff")):
        share = came[f"/{path.name}"] / path.stat().st_size
        assert share < 0.15 if ranges else share >= 1
    stores = [
        open_store(geocode(scene=folder, out=tmp_path / f"{folder.name}.zarr", settings=settings))
        for folder in (part, whole)
    ]
    assert stores[0].attrs["acquisition_time"] == "2023-05-14T16:58:21"
    for name in (*BANDS, "flags"):
        assert np.array_equal(stores[0][name], stores[1][name], equal_nan=True)
    assert stores[0].odc.geobox == stores[1].odc.geobox
    assert np.isnan(stores[0].vv).any()
    assert telling(tmp_path, [SECRET]) == []


def geocoded(out: Path) -> str:
    (store,) = (out / "results/beira/geocoded").glob("after*.zarr")
    return store.stem
