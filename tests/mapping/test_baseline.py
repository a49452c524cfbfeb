"""`predict` with a baseline: the raster is that of networks, and no checkpoint is needed."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import xarray as xr
from odc.geo.xr import assign_crs, xr_coords

from floodloom.cli import main
from floodloom.errors import InputError, RecipeMismatchError
from floodloom.mapping.settings import PredictFiles, PredictSettings
from floodloom.mapping.sources import read_percent
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.stages.predict import predict
from tests.classical.conftest import disc, iou, power

SIDE = 384
GRID = grid_from_bounds((400000, 5000000, 403840, 5003840), 32633, 10.0)
LAKE, FLOOD = disc(100, 100, 60, SIDE), disc(260, 250, 80, SIDE)
PRODUCT = Recipe(quantity="gamma0", spacing=10.0)


def store(path, water, recipe: Recipe = PRODUCT, seed: int = 1, **attributes):
    vv = power(water, seed)
    vv[:5] = np.nan
    vh = power(water, seed + 1, wet=-27.0, dry=-15.0)
    bands = {"vv": (("y", "x"), vv), "vh": (("y", "x"), vh)}
    made = assign_crs(xr.Dataset(bands).assign_coords(xr_coords(GRID)), GRID.crs)
    attributes = {"orbit_direction": "ascending", **attributes}
    write_store(stamp(made.assign_attrs(acquisition_time="2023-05-14", **attributes), recipe), path)
    return path


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    return store(tmp_path_factory.mktemp("scene") / "after.zarr", LAKE | FLOOD)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return store(tmp_path_factory.mktemp("scene") / "before.zarr", LAKE, seed=3)


def test_the_raster_is_that_of_networks(after, tmp_path) -> None:
    settings = PredictSettings(baseline="hsba", event="dunlin")
    path = predict(scene=after, out=tmp_path / "p.tif", settings=settings)
    found = read_percent(path)
    assert iou(found.percent, (LAKE | FLOOD)) > 0.95
    assert (found.percent[:5] == 255).all()
    assert (found.percent[5:] <= 100).all()
    assert found.grid == GRID
    with rasterio.open(path) as raster:
        assert raster.nodata == 255
        assert raster.dtypes == ("uint8",)
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        tags = raster.tags()
    assert tags["FLOODLOOM_PRODUCT"] == "water_probability"
    assert tags["FLOODLOOM_CHECKPOINT"] == "hsba"
    assert tags["FLOODLOOM_EVENT"] == "dunlin"
    assert tags["FLOODLOOM_RECIPE"] == PRODUCT.fingerprint
    assert tags["ACQUISITION_TIME"] == "2023-05-14"
    assert tags["FLOODLOOM_THRESHOLD"].startswith("vv -1")


def test_the_command_takes_one(after, before, tmp_path) -> None:
    out = tmp_path / "p.tif"
    arguments = ["--scene", str(after), "--before", str(before), "--out", str(out)]
    assert main(["predict", *arguments, "--baseline", "change"]) == 0
    assert iou(read_percent(out).percent, FLOOD) > 0.9


def test_elevations_make_high_ground_dry(after, tmp_path) -> None:
    rows, cols = np.mgrid[:SIDE, :SIDE]
    valley = 0.01 * rows + 0.3 * np.abs(cols - 110)  # the lake lies in it, the flood is above
    write_cog(valley.astype(np.float32), tmp_path / "dem.tif", geobox=GRID, nodata=-9999)
    settings, files = PredictSettings(baseline="otsu"), PredictFiles(dem=tmp_path / "dem.tif")
    found = predict(scene=after, out=tmp_path / "p.tif", files=files, settings=settings)
    percent = read_percent(found).percent
    height = 0.3 * np.abs(cols - 110)
    assert (percent[20:][height[20:] > 20] == 0).all()
    wet = (percent >= 50) & (percent <= 100)
    assert wet[LAKE & (height < 10)].mean() > 0.98


def test_reference_water_is_read_for_what_learns_from_it(after, tmp_path) -> None:
    """Of two lakes one is known, and both are mapped."""
    write_cog(LAKE.astype(np.uint8), tmp_path / "water.tif", geobox=GRID, nodata=255)
    arguments = {"window": 64, "windows": 2, "iterations": 20}
    found = predict(
        scene=after,
        out=tmp_path / "p.tif",
        files=PredictFiles(reference_water=tmp_path / "water.tif"),
        settings=PredictSettings(baseline="kim", arguments=arguments),
    )
    assert iou(read_percent(found).percent, LAKE | FLOOD) > 0.8


def test_what_doesn_t_fit_together_is_named(after, before, tmp_path) -> None:
    def refused(match: str, name: str = "hsba", error=InputError, **arguments) -> None:
        settings = PredictSettings(baseline=name)
        with pytest.raises(error, match=match):
            predict(scene=after, out=tmp_path / "p.tif", settings=settings, **arguments)

    refused(r"hsba takes no checkpoint", checkpoint=[tmp_path / "c.safetensors"])
    refused(r"change: compares two dates; give the scene before", name="change")
    refused(r"hsba: sees one date; leave .*before\.zarr out", files=PredictFiles(before=before))
    water = PredictFiles(reference_water=tmp_path / "water.tif")
    refused(r"hsba: sees no reference water; leave .*water\.tif out", files=water)
    refused(r"hsba: sees radar alone", files=PredictFiles(optical=tmp_path / "o.tif"))
    other = store(tmp_path / "other.zarr", LAKE, Recipe(quantity="sigma0", spacing=10.0))
    refused("quantity", "change", RecipeMismatchError, files=PredictFiles(before=other))
    turned = store(tmp_path / "turned.zarr", LAKE, orbit_direction="descending")
    refused("mixed_orbits", "change", files=PredictFiles(before=turned))
