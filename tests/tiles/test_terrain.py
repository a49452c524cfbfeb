"""Bands that aren't backscatter: their scaling, elevations beside a scene, and late fusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from floodloom.config.load import Scene, load_config
from floodloom.errors import ConfigError, InputError
from floodloom.learning.checkpoint import read_metadata
from floodloom.learning.training.settings import TrainSettings
from floodloom.mapping.settings import PredictFiles
from floodloom.raster.cog import read_raster, write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, stamp, write_store
from floodloom.sentinel1.bands import RANGES
from floodloom.stages.predict import predict
from floodloom.stages.tile import tile
from floodloom.stages.train import train
from floodloom.tiles.inputs import compose_inputs, inputs_recipe
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles
from floodloom.tiles.terrain import with_terrain
from floodloom.workflow.inputs import inputs
from floodloom.workflow.plan import Plan

SIDE = 128
GRID = grid_from_bounds((500_000, 5_300_000, 500_000 + 10 * SIDE, 5_300_000 + 10 * SIDE), 32633, 10)
FUSED = ("vv", "vh", "incidence_angle", "slope", "height_above_drainage")


def scene_on(grid: GeoBox, **layers: np.ndarray) -> xr.Dataset:
    variables = {name: (("y", "x"), values.astype("float32")) for name, values in layers.items()}
    coords = xr_coords(grid, always_yx=True)
    recipe = Recipe(quantity="sigma0", spacing=10.0)
    return stamp(xr.Dataset(variables, coords=coords), recipe)


def plane(side: int = SIDE, rise: float = 1.0) -> np.ndarray:
    """Ground that rises by so many metres from pixel to pixel eastwards."""
    return np.tile(100 + rise * np.arange(side, dtype="float32"), (side, 1))


@pytest.fixture
def event(tmp_path: Path) -> dict[str, Path]:
    draw = np.random.default_rng(0)
    water = plane() < 140
    power = np.where(water, 0.005, 0.1) * draw.gamma(4, 0.25, (SIDE, SIDE))
    angle = np.tile(np.linspace(30, 45, SIDE), (SIDE, 1))
    scene = scene_on(GRID, vv=power, vh=power / 5, incidence_angle=angle)
    paths = {name: tmp_path / name for name in ("scene.zarr", "dem.tif", "labels.tif")}
    write_store(scene, paths["scene.zarr"])
    write_cog(plane(), paths["dem.tif"], geobox=GRID, nodata=np.nan)
    write_cog(water.astype("uint8"), paths["labels.tif"], geobox=GRID, nodata=255)
    return paths


def test_every_angle_and_height_has_a_range_of_its_own() -> None:
    for band, (low, high) in RANGES.items():
        values = np.array([[low, (low + high) / 2, high, high + 1, np.nan]])
        scene = scene_on(GRID[:1, :5], vv=np.full((1, 5), 0.1), **{band: values})
        for normalisation in ("fixed", "scene"):
            found = compose_inputs(scene, inputs_recipe(scene, (band, "vv"), normalisation))
            np.testing.assert_allclose(found.values[0, 0], [-1, 0, 1, 1, np.nan], atol=1e-6)


def test_incidence_angles_aren_t_taken_for_backscatter(event) -> None:
    scene = open_store(event["scene.zarr"])
    found = compose_inputs(scene, inputs_recipe(scene, ("incidence_angle",))).values[0, 0]
    assert found.std() > 0.1  # decibel of degrees would be clipped to one value
    np.testing.assert_allclose(found, np.linspace(-1 / 3, 2 / 3, SIDE), atol=1e-5)


def test_what_is_neither_is_refused(event) -> None:
    scene = open_store(event["scene.zarr"]).assign(coherence=(("y", "x"), plane()))
    with pytest.raises(InputError, match="band coherence: neither backscatter nor one of inc"):
        compose_inputs(scene, inputs_recipe(scene, ("vv", "coherence")))


def test_elevation_slope_and_height_lie_on_the_scene(event) -> None:
    scene = open_store(event["scene.zarr"])
    bands = ("elevation", "slope", "height_above_drainage")
    found = with_terrain(scene, bands, event["dem.tif"])
    np.testing.assert_allclose(found["elevation"], plane(), atol=1e-3)
    inner = found["slope"].values[2:-2, 2:-2]
    np.testing.assert_allclose(inner, np.degrees(np.arctan(0.1)), atol=0.02)
    # All water runs west and leaves there; without a channel heights are above that place.
    np.testing.assert_allclose(found["height_above_drainage"], plane() - 100, atol=0.5)
    assert all(found[band].chunks == scene["vv"].chunks for band in bands)
    assert with_terrain(scene, ("vv",), None) is scene
    own = scene.assign(slope=(("y", "x"), plane()))
    assert with_terrain(own, ("slope",), None) is own


def test_terrain_without_elevations_is_refused(event) -> None:
    scene = open_store(event["scene.zarr"])
    with pytest.raises(InputError, match=r"band slope: neither in the scene .* give `dem`"):
        with_terrain(scene, ("vv", "slope"), None)


def test_backscatter_and_elevation_are_fused_late_by_the_names_of_their_bands(
    event, tmp_path
) -> None:
    """Marmanis et al.: one branch sees the image, the other the ground."""
    cut = tile(
        scene=[event["scene.zarr"]],
        labels=event["labels.tif"],
        dem=event["dem.tif"],
        out=tmp_path / "t.zarr",
        settings=TileSettings(bands=FUSED, size=32, event="here", split="train"),
    )
    assert np.isfinite(open_tiles([cut]).image.values).all()
    groups = [["vv", "vh"], ["slope", "height_above_drainage"]]
    network = {"model": "late_fusion", "width": 4, "arguments": {"groups": groups}}
    out = tmp_path / "m.safetensors"
    train(tiles=[cut], out=out, settings=TrainSettings(epochs=1, **network), threads=1)
    assert read_metadata(out)["arguments"]["groups"] == [[0, 1], [3, 4]]

    found = predict(
        scene=event["scene.zarr"],
        checkpoint=[out],
        out=tmp_path / "p.tif",
        files=PredictFiles(dem=event["dem.tif"]),
    )
    assert (read_raster(found)[0] != 255).all()
    with pytest.raises(InputError, match="give `dem`"):
        predict(scene=event["scene.zarr"], checkpoint=[out], out=tmp_path / "q.tif")

    wrong = {**network, "arguments": {"groups": [["vv"], ["hand"]]}}
    with pytest.raises(ConfigError, match="band 'hand' is none of vv, vh, incidence_angle, slope"):
        train(tiles=[cut], out=out, settings=TrainSettings(epochs=1, **wrong), threads=1)


def test_the_workflow_gives_elevations_to_what_sees_them() -> None:
    events = {"a": {"split": "train", "dem": "dem.tif"}}
    content = {"run": {"name": "x"}, "scenes": "config/scenes.tsv", "events": events}
    scenes = {"s": Scene("s", "a", "after", "s.zip")}

    def read_by(stage: str, **changed: object) -> object:
        plan = Plan(load_config({**content, **changed}), scenes)
        return inputs(plan, stage, {"event": "a", "role": "after"}).get("dem")

    for stage in ("tile", "predict"):
        assert read_by(stage) is None
        assert read_by(stage, tile={"bands": ["vv", "slope"]}) == "dem.tif"
