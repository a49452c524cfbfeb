"""The model that floodloom brings: any usual scene is mapped without being told how."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from floodloom.errors import RecipeMismatchError
from floodloom.learning.checkpoint import read_metadata
from floodloom.mapping.sources import read_percent
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, stamp, write_store
from floodloom.stages.predict import predict
from floodloom.tiles.inputs import standardisation

SIDE = 192
LAND_DB, WATER_DB = {"vv": -9.0, "vh": -15.0}, {"vv": -20.0, "vh": -27.0}


def scene(folder, recipe: Recipe, bands: tuple[str, ...] = ("vv", "vh")):
    """A lake in level land, with speckle of 4.4 looks."""
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    lake = (rows - 96) ** 2 + (columns - 96) ** 2 < 50**2
    box = GeoBox.from_bbox(
        (500_000, 5_000_000, 501_920, 5_001_920), "EPSG:32633", shape=(SIDE,) * 2
    )
    power = {
        name: 10 ** (np.where(lake, WATER_DB[name], LAND_DB[name]) / 10)
        * draw.gamma(4.4, 1 / 4.4, lake.shape)
        for name in bands
    }
    made = xr.Dataset({n: wrap_xr(p.astype(np.float32), box) for n, p in power.items()})
    write_store(stamp(made, recipe), folder / "scene.zarr")
    return folder / "scene.zarr", lake


@pytest.mark.parametrize(
    ("recipe", "bands"),
    [
        (Recipe(quantity="gamma0", noise_removed=True, spacing=10.0), ("vv", "vh")),
        (Recipe(quantity="sigma0", spacing=20.0), ("vv", "vh")),
        (Recipe(quantity="gamma0", flattened=True, speckle_filter="lee 5", spacing=10.0), ("vv",)),
    ],
)
def test_a_lake_is_water_and_land_is_none(tmp_path, recipe: Recipe, bands) -> None:
    path, lake = scene(tmp_path, recipe, bands)
    percent = read_percent(predict(scene=path, out=tmp_path / "p.tif")).percent
    assert ((percent >= 50) == lake).mean() > 0.95


def test_display_values_are_mapped_with_a_warning(tmp_path, caplog) -> None:
    path, lake = scene(tmp_path, Recipe(quantity="gamma0", spacing=10.0))
    store = open_store(path).load()
    decibel = {name: 10 * np.log10(store[name]) for name in ("vv", "vh")}
    shown = {name: ((d + 30) * 8).clip(0, 255).astype("uint8") for name, d in decibel.items()}
    statistics = {name: standardisation(values) for name, values in shown.items()}
    display = store.assign(shown).assign_attrs(statistics=json.dumps(statistics))
    write_store(stamp(display, Recipe(quantity="display")), tmp_path / "display.zarr")
    percent = read_percent(predict(scene=tmp_path / "display.zarr", out=tmp_path / "p.tif")).percent
    assert ((percent >= 50) == lake).mean() > 0.95
    assert "display values, whose stretch isn't known" in caplog.text


def test_scenes_of_another_kind_are_refused(tmp_path) -> None:
    path, _ = scene(tmp_path, Recipe(quantity="beta0", spacing=10.0))
    with pytest.raises(
        RecipeMismatchError, match="quantity is 'beta0' but sigma0 or gamma0 or display"
    ):
        predict(scene=path, out=tmp_path / "p.tif")


def test_it_is_small_and_states_what_it_takes() -> None:
    assert DEFAULT_CHECKPOINT.stat().st_size < 10 * 2**20
    found = read_metadata(DEFAULT_CHECKPOINT)
    assert found["accepts"]["quantities"] == ["sigma0", "gamma0", "display"]
    assert found["classes"] == ["dry", "water"]
