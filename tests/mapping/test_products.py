"""The files of a flood map, as other programs see them."""

import json
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pystac
import pytest
import rasterio
import xarray as xr
from odc.geo.xr import wrap_xr
from pydantic import ValidationError
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.sar import SarExtension
from pystac.validation import stac_validator
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import box

from floodloom.errors import InputError
from floodloom.mapping.exclusion import Ground, Reason, exclusions
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.zones import WHOLE, require_placed
from floodloom.raster.cog import read_raster, write_cog
from floodloom.raster.grid import grid_from_bounds, pixel_geobox
from floodloom.raster.recipe import Flag, Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.settings import arguments_of
from floodloom.stages.delineate import delineate
from tests.privacy import host, telling

GRID = grid_from_bounds((400000, 5000000, 406000, 5006000), 32633, 10.0)
SHAPE = tuple(GRID.shape.yx)
ROWS, COLS = np.mgrid[: SHAPE[0], : SHAPE[1]]
LAKE = np.hypot(ROWS - 150, COLS - 150) < 60
WET = LAKE | (np.abs(COLS - 400) < 50)
TAGS = {
    "ACQUISITION_TIME": "2023-05-14T16:58:21",
    "FLOODLOOM_SCENE": "s",
    "FLOODLOOM_BACKEND": "openvino",
    "ORBIT_DIRECTION": "ascending",
}
SENSOR = {"instrument_mode": "EW", "product_type": "GRD"}


def mosaic(path: Path, wet=WET, grid=GRID, **tags) -> Path:
    percent = np.where(wet, 90, 2).astype("uint8")
    percent[:20] = 255
    return write_cog(percent, path, geobox=grid, nodata=255, tags={**TAGS, **tags})


def scene(path: Path, wet, direction: str = "ascending", quantity: str = "gamma0") -> Path:
    power = np.where(wet, 0.01, 0.1).astype("float32")
    flags = np.where((ROWS > 580), Flag.LAYOVER.value, 0).astype("uint8")
    bands = {"vv": wrap_xr(power, GRID), "vh": wrap_xr(power / 5, GRID)}
    dataset = xr.Dataset({**bands, "flags": wrap_xr(flags, GRID)})
    dataset = dataset.assign_attrs(orbit_direction=direction, **SENSOR)
    return write_store(stamp(dataset, Recipe(quantity=quantity)), path)


def run(folder: Path, **arguments) -> Path:
    usual = {
        "out": folder / "flood.tif",
        "vectors": folder / "flood.gpkg",
        "item": folder / "flood.json",
        "likelihood": folder / "likelihood.tif",
        "areas": folder / "areas.csv",
        "event": "e",
    }
    arguments.setdefault("probability", [mosaic(folder / "p.tif")])
    return delineate(**arguments_of(delineate, {**usual, **arguments}))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """All products of an event with everything given."""
    folder = tmp_path_factory.mktemp("made")
    elevation = np.where(WET, 100.0, 101.0 + np.abs(COLS - 400) / 20).astype("float32")
    zones = gpd.GeoDataFrame(
        {"name": ["west", "east"]},
        geometry=[box(400000, 5000000, 403005, 5006000), box(403005, 5000000, 406000, 5006000)],
        crs=32633,
    )
    zones.to_crs(4326).to_file(folder / "zones.gpkg")
    run(
        folder,
        before=[mosaic(folder / "b.tif", LAKE)],
        scene=scene(folder / "after.zarr", WET),
        before_scene=scene(folder / "before.zarr", LAKE),
        dem=write_cog(elevation, folder / "dem.tif", geobox=GRID, nodata=np.nan),
        depth=folder / "depth.tif",
        zones=folder / "zones.gpkg",
        maximum_height=12.0,
        minimum_change=1.0,
    )
    return folder


@pytest.mark.parametrize("name", ["flood", "likelihood", "depth"])
def test_rasters_are_valid_cogs_that_gdal_understands(made, name) -> None:
    path = made / f"{name}.tif"
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as raster:
        assert raster.crs.to_epsg() == 32633
        assert raster.overviews(1)
        assert raster.profile["tiled"]
        assert all(raster.descriptions)
        assert np.isnan(raster.nodata) if name == "depth" else raster.nodata == 255
        assert raster.tags()["FLOODLOOM_PRODUCT"] == {"flood": "flood_map"}.get(
            name, f"flood_{name}"
        )
        assert raster.tags()["FLOODLOOM_BACKEND"] == "openvino"


def test_layers_agree_with_one_another(made) -> None:
    classes, _ = read_raster(made / "flood.tif")
    likelihood, _ = read_raster(made / "likelihood.tif")
    depth, _ = read_raster(made / "depth.tif")
    assert (likelihood[classes == 2] >= 85).all()
    assert (likelihood[classes == 1] <= 90).all()
    np.testing.assert_array_equal(likelihood == 255, classes == 255)
    assert np.isnan(depth[classes != 2]).all()
    assert np.nanmax(depth) < 5
    assert (classes[:20] == 255).all()
    assert (classes[300:400, 380:420] == 2).all()
    assert (classes[140:160, 140:160] == 1).all()
    with rasterio.open(made / "flood.tif") as raster:
        reasons = raster.read(2)
    assert (reasons[582:, 50:] == Reason.LAYOVER.value).any()
    assert (reasons[100:500, 10:60] == Reason.ABOVE_DRAINAGE.value).mean() > 0.9
    np.testing.assert_array_equal(reasons == 255, classes == 255)
    np.testing.assert_array_equal((reasons > 0) & (reasons < 255), classes == 3)


def test_areas_agree_with_the_pixels_and_zones_add_up(made) -> None:
    classes, _ = read_raster(made / "flood.tif")
    table = pd.read_csv(made / "areas.csv").set_index("zone")
    assert list(table.index) == [WHOLE, "west", "east"]
    for name, value in (("dry", 0), ("permanent", 1), ("flood", 2), ("excluded", 3)):
        hectares = (classes == value).sum() / 100
        assert table.loc[WHOLE, name] == pytest.approx(hectares, rel=1e-3)
        assert table.loc[["west", "east"], name].sum() == pytest.approx(hectares, rel=1e-3)
    polygons = pyogrio.read_dataframe(made / "flood.gpkg")
    for name, value in (("flood", 2), ("permanent water", 1)):
        area = polygons.loc[polygons["name"] == name, "area_ha"].sum()
        assert area == pytest.approx((classes == value).sum() / 100, rel=1e-3)


def test_item_validates_and_describes_every_file(made) -> None:
    content = json.loads((made / "flood.json").read_text())
    bare = {**content, "stac_extensions": []}  # schemas of extensions aren't at hand offline
    stac_validator.JsonSchemaSTACValidator().validate_core(
        bare, pystac.STACObjectType.ITEM, "1.1.0"
    )
    item = pystac.Item.from_dict(content)
    assert set(item.assets) == {"flood", "polygons", "likelihood", "depth", "areas"}
    projection = ProjectionExtension.ext(item)
    assert projection.epsg == 32633
    assert projection.shape == list(SHAPE)
    assert projection.transform == list(GRID.affine)[:6]
    sar = SarExtension.ext(item)
    assert {p.value for p in sar.polarizations} == {"VV", "VH"}
    assert (sar.instrument_mode, sar.product_type) == ("EW", "GRD")
    for asset in item.assets.values():
        file = FileExtension.ext(asset)
        assert file.size == (made / asset.href).stat().st_size
        assert file.checksum.startswith("1220")
    classes = ClassificationExtension.ext(item.assets["flood"]).classes
    assert {c.value: c.name for c in classes}[2] == "flood"
    assert item.properties["floodloom"]["floodloom_backend"] == "openvino"
    excluded = item.properties["excluded_ha"]
    assert set(excluded) == {"layover", "high above the drainage"}
    assert sum(excluded.values()) == pytest.approx(item.properties["area_ha"]["excluded"])


def test_flatgeobuf_holds_the_same_polygons(made) -> None:
    files = {"probability": [made / "p.tif"], "out": made / "o.tif", "item": made / "o.json"}

    def mapped(**names: str) -> None:
        polygons = {argument: made / name for argument, name in names.items()}
        delineate(**arguments_of(delineate, {**files, **polygons}))

    mapped(vectors="o.gpkg", flatgeobuf="o.fgb")
    assert "flatgeobuf" in json.loads((made / "o.json").read_text())["assets"]
    one, other = (pyogrio.read_dataframe(made / f"o.{kind}") for kind in ("fgb", "gpkg"))
    assert len(one) == len(other) > 0
    assert one["area_ha"].sum() == pytest.approx(other["area_ha"].sum())
    with pytest.raises(InputError, match=r"polygons are \.gpkg or \.fgb"):
        mapped(vectors="o.shp")
    mapped(vectors="p.fgb")
    assert (made / "p.fgb").stat().st_size == (made / "o.fgb").stat().st_size


def test_two_scenes_of_a_date_are_put_together_before_the_threshold(tmp_path) -> None:
    east = grid_from_bounds((405000, 5000000, 411000, 5006000), 32633, 10.0)
    run(
        tmp_path,
        probability=[
            mosaic(tmp_path / "w.tif"),
            mosaic(tmp_path / "e.tif", np.roll(WET, 90), east),
        ],
    )
    classes, grid = read_raster(tmp_path / "flood.tif")
    assert classes.shape == (600, 1100)
    assert grid.affine.c == 400000
    assert (classes[20:] != 255).all()
    assert (
        json.loads((tmp_path / "flood.json").read_text())["properties"]["floodloom"][
            "floodloom_scene"
        ]
        == "s, s"
    )


def test_permanent_water_is_learned_from_several_scenes(tmp_path) -> None:
    run(
        tmp_path,
        before=[mosaic(tmp_path / "b.tif", LAKE), mosaic(tmp_path / "c.tif", LAKE & (ROWS < 150))],
    )
    with rasterio.open(tmp_path / "flood.tif") as raster:
        classes, reasons = raster.read()
    assert (classes[LAKE & (ROWS < 150)] == 1).all()
    assert (reasons[LAKE & (ROWS > 150)] == Reason.BEFORE_UNKNOWN.value).all()
    assert (classes[300, 360:440] == 2).all()


def test_reference_by_its_minimum_and_where_it_says_nothing(tmp_path, caplog) -> None:
    occurrence = np.where(LAKE, 80, 20).astype("uint8")
    west = grid_from_bounds((400000, 5000000, 403500, 5006000), 32633, 10.0)
    path = write_cog(occurrence[:, :350], tmp_path / "r.tif", geobox=west, nodata=255)
    run(tmp_path, reference_water=path, reference_minimum=50)
    assert "r.tif: has no data for 41.7 % of the map" in caplog.text
    with rasterio.open(tmp_path / "flood.tif") as raster:
        classes, reasons = raster.read()
    assert (classes[140:160, 140:160] == 1).all()
    assert (reasons[300, 360:440] == Reason.BEFORE_UNKNOWN.value).all()
    far = grid_from_bounds((900000, 5000000, 903500, 5006000), 32633, 10.0)
    path = write_cog(occurrence[:, :350], tmp_path / "r.tif", geobox=far, nodata=255)
    refused(tmp_path, "r.tif: covers nothing of the map", reference_water=path)


def test_unchanged_backscatter_is_no_flood(tmp_path) -> None:
    arguments = {"scene": scene(tmp_path / "a.zarr", WET), "minimum_change": 2.0}
    run(tmp_path, before_scene=scene(tmp_path / "b.zarr", LAKE), **arguments)
    with rasterio.open(tmp_path / "flood.tif") as raster:
        classes, reasons = raster.read()
    assert (reasons[140:160, 140:160] == Reason.UNCHANGED.value).all()
    assert (classes[300, 370:430] == 2).all()


def test_edges_in_the_backscatter_refine_the_water(tmp_path) -> None:
    blurred = WET | (np.abs(COLS - 400) < 52)
    percent = np.where(WET, 90, np.where(blurred, 55, 5)).astype("uint8")
    path = write_cog(percent, tmp_path / "p.tif", geobox=GRID, nodata=255, tags=TAGS)
    run(tmp_path, probability=[path], scene=scene(tmp_path / "a.zarr", WET), refine="crf")
    classes, _ = read_raster(tmp_path / "flood.tif")
    river = classes[300:500, 300:500] == 2
    np.testing.assert_array_equal(river, WET[300:500, 300:500])


def refused(folder: Path, message: str, **arguments) -> None:
    for earlier in (*folder.glob("*flood*"), *folder.glob("likelihood*"), *folder.glob("areas*")):
        earlier.unlink()
    with pytest.raises(InputError, match=message):
        run(folder, **arguments)
    assert not list(folder.glob("*flood*"))


def test_inputs_that_do_not_serve_are_refused_and_nothing_is_written(tmp_path) -> None:
    after, before = scene(tmp_path / "a.zarr", WET), scene(tmp_path / "b.zarr", LAKE, "descending")
    flown = mosaic(tmp_path / "b.tif", LAKE, ORBIT_DIRECTION="descending")
    shown = scene(tmp_path / "d.zarr", WET, quantity="display")
    refused(tmp_path, "taken descending", before=[flown])
    refused(tmp_path, "taken descending", scene=after, before_scene=before, minimum_change=1.0)
    refused(tmp_path, "minimum_change needs scene and before_scene", minimum_change=1.0)
    refused(tmp_path, "has no backscatter", scene=shown, refine="crf")
    refused(tmp_path, "refine crf needs the scenes", refine="crf")
    with pytest.raises(ValidationError, match="should be 'none', 'majority'"):
        DelineateSettings(refine="cfr")
    refused(tmp_path, "need a dem", maximum_slope=10.0)
    refused(tmp_path, "not a readable probability mosaic", before=[tmp_path / "none.tif"])
    far = grid_from_bounds((900000, 5000000, 903500, 5006000), 32633, 10.0)
    dem = write_cog(np.zeros((600, 350), "float32"), tmp_path / "d.tif", geobox=far, nodata=np.nan)
    refused(tmp_path, "d.tif: doesn't cover the map", dem=dem, maximum_slope=10.0)
    (tmp_path / "z.gpkg").write_text("no polygons")
    refused(tmp_path, "not a readable file of zones", zones=tmp_path / "z.gpkg")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)]).to_file(tmp_path / "z.fgb")
    refused(tmp_path, "map and zones both need a CRS", zones=tmp_path / "z.fgb")
    refused(tmp_path, "out and likelihood are one file", likelihood=tmp_path / "flood.tif")
    refused(tmp_path, r"areas\.xlsx: areas must end in one of", areas=tmp_path / "areas.xlsx")
    when = mosaic(tmp_path / "w.tif", ACQUISITION_TIME="yesterday")
    refused(tmp_path, r"w\.tif: its tag ACQUISITION_TIME is 'yesterday'", probability=[when])


def test_tags_of_others_are_not_repeated(tmp_path) -> None:
    told = {
        "TIFFTAG_ARTIST": "Anna", "TIFFTAG_HOSTCOMPUTER": "annas-laptop", "SOURCE": "/home/anna",
        "FLOODLOOM_SCENE": "/home/anna/s.zarr", "FLOODLOOM_BACKEND": "C:\\Users\\anna",
        "FLOODLOOM_CHECKPOINT": "anna" * 300, "PLATFORM": "anna\u202eS1A", "RELATIVE_ORBIT": "44",
    }  # fmt: skip
    (tmp_path / "out").mkdir()
    run(tmp_path / "out", probability=[mosaic(tmp_path / "p.tif", **told)])
    assert telling(tmp_path / "out", ["anna", "Anna", str(tmp_path), *host()]) == []
    with rasterio.open(tmp_path / "out" / "flood.tif") as raster:
        assert raster.tags()["RELATIVE_ORBIT"] == "44"
        assert raster.tags()["ACQUISITION_TIME"] == TAGS["ACQUISITION_TIME"]


@pytest.mark.parametrize("time", ["2023-05-14T16:58:21.000000 /home/anna", "soon", "-" * 5000])
def test_a_time_that_is_none_is_refused(tmp_path, time: str) -> None:
    with pytest.raises(InputError, match="its tag ACQUISITION_TIME"):
        run(tmp_path, probability=[mosaic(tmp_path / "q.tif", ACQUISITION_TIME=time)])


def test_products_that_can_t_all_be_written_leave_the_old_ones(tmp_path, monkeypatch) -> None:
    folder = run(tmp_path).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def broken(*arguments: object) -> None:
        raise InputError("the disk is full")

    monkeypatch.setattr("floodloom.mapping.product_set.write_table", broken)
    with pytest.raises(InputError, match="the disk is full"):
        run(tmp_path, threshold=95)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_zones_and_a_map_without_a_crs_are_refused() -> None:
    zones = gpd.GeoDataFrame({"zone": ["a"]}, geometry=[box(0, 0, 1, 1)], crs=32633)
    with pytest.raises(InputError, match="both need a CRS"):
        require_placed(zones, pixel_geobox(3, 3))


def test_exclusions_and_what_paints_over_what() -> None:
    seen = np.ones((1, 8), bool)
    seen[0, 7] = False
    ground = Ground(
        flags=np.array([[0, 0, 0, 0, 0, 0, Flag.SHADOW, Flag.LAYOVER]], "uint8"),
        land_cover=np.array([[0, 50, 10, 95, 40, 255, 50, 50]], "uint8"),
        slope=np.array([[0, 0, 0, 0, 30, np.nan, 30, 30]], "float32"),
        height=np.array([[20, 20, 0, 0, 20, np.nan, 20, 20]], "float32"),
    )
    reasons = exclusions(ground, seen, DelineateSettings(maximum_slope=25.0, maximum_height=15.0))
    assert reasons.tolist() == [[7, 4, 5, 5, 6, 0, 2, 0]]
