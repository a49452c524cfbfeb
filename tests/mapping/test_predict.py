import gc
import itertools
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from dask.callbacks import Callback
from odc.geo.xr import wrap_xr
from rio_cogeo.cogeo import cog_validate

from floodloom.errors import CheckpointError, InputError, RecipeMismatchError
from floodloom.learning.checkpoint import load_checkpoint, save_checkpoint
from floodloom.learning.inference import ensemble_of
from floodloom.learning.relabelling.local_likelihood import LikelihoodWeighting
from floodloom.learning.relabelling.scene_likelihood import HeldImage, add_local_likelihood
from floodloom.mapping.mosaic import seam_ratio, window_borders
from floodloom.mapping.plan import plan_scene
from floodloom.mapping.predict import (
    _STEPS,
    _Coverage,
    _percent,
    predict_rows,
    read_ahead,
    read_windows,
    water_network,
)
from floodloom.models.cropped_decoder import WHOLE, crop_rim
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.raster.store import stamp, write_store
from floodloom.settings import arguments_of
from floodloom.stages.predict import predict
from tests.mapping.conftest import PRODUCT, as_inputs, backscatter, fitted, flooded, untrained

GRID = grid_from_bounds((400000, 5000000, 403310, 5002030), 32633, 10.0)


def sigmoid(images, rim=WHOLE):
    """A network that looks at one pixel alone."""
    inner = crop_rim(np.nan_to_num(images), rim)
    return 1 / (1 + np.exp(-3 * inner.sum(axis=1, keepdims=True)))


def predicted(inputs, network, tile=128, field=33, **arguments):
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    plan = plan_scene(
        height, width, **{"tile": tile, "field": field, "overlap": None, "rim": None, **arguments}
    )
    rows = [p for _, p in predict_rows(read_ahead(inputs, plan), network, plan, layers=1)]
    return np.concatenate(rows, axis=1)[0]


@pytest.mark.parametrize("tile", [64, 128, 416])
def test_every_valid_pixel_is_predicted_and_no_other(tile) -> None:
    scene = as_inputs(backscatter(203, 331))
    known = np.isfinite(scene.values).all(axis=0)
    mosaic = predicted(scene, sigmoid, tile, field=1, overlap=32)
    assert mosaic.dtype == np.uint8
    np.testing.assert_array_equal(mosaic == 255, ~known)
    exact = 100 * sigmoid(scene.values[np.newaxis])[0, 0]
    np.testing.assert_allclose(mosaic[known], exact[known], atol=0.52)


@pytest.mark.parametrize("tile", [96, 128, 256])
def test_windows_change_nothing(tile) -> None:
    scene = as_inputs(backscatter(203, 331))
    ensemble = ensemble_of([untrained()])
    assert 32 < ensemble.receptive_field() < 96
    network, field = water_network(ensemble), ensemble.receptive_field()
    whole = predicted(scene, network, 352, field=field)
    assert np.ptp(whole[whole < 255].astype(int)) > 80
    windows = predicted(scene, network, tile, field=field)
    apart = np.abs(windows.astype(int) - whole)  # small windows are summed up in another order
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-4
    np.testing.assert_array_equal(windows >= 50, whole >= 50)


def test_windows_are_read_from_left_to_right_and_mirror_the_border(monkeypatch) -> None:
    monkeypatch.setattr("floodloom.mapping.predict.MOST_COLUMNS", 64)
    scene = as_inputs(backscatter(203, 331))
    reads = []

    def block(values):
        reads.append(values.shape)
        return values

    lazy = scene.chunk(band=2, y=203, x=31).map_blocks(block, template=scene.chunk(y=203, x=31))
    plan = plan_scene(203, 331, tile=96, field=33, overlap=None, rim=None)
    mirrored = np.pad(scene.values, ((0, 0), (0, 21), (0, 21)), mode="symmetric")
    windows = read_windows(read_ahead(lazy, plan), plan)
    for row, col in itertools.product(plan.rows, plan.cols):
        expected = mirrored[:, row : row + plan.size[0], col : col + plan.size[1]]
        np.testing.assert_array_equal(next(windows), expected)
    columns = sum(columns for _, rows, columns in reads if rows > 1)  # dask tries one pixel first
    assert columns == len(plan.rows) * 331


def test_what_is_held_hardly_grows_with_the_width() -> None:
    def peak(width: int) -> int:
        block = da.map_blocks(
            lambda block_info: np.zeros(block_info[None]["chunk-shape"], np.float32),
            chunks=(2, 160, (512,) * (width // 512)),
            dtype=np.float32,
            meta=np.empty((0, 0, 0), np.float32),
        )
        scene = xr.DataArray(block, dims=("band", "y", "x"))
        plan = plan_scene(160, width, tile=96, field=33)
        tracemalloc.start()
        for _ in predict_rows(read_ahead(scene, plan), sigmoid, plan, layers=1):
            gc.collect()  # when Python does so depends on the tests before
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2048)  # imports and caches
    # Of a column: what two strips share and a strip of percents; whole strips would take 1,200.
    assert (peak(32768) - peak(8192)) / (32768 - 8192) < 500


def test_empty_windows_are_skipped() -> None:
    seen = []

    def network(images, rim):
        seen.append(len(images))
        return sigmoid(images, rim)

    scene = as_inputs(np.full((2, 128, 256), 0.1, "float32"))
    scene[:, :, 64:] = np.nan
    mosaic = predicted(scene, network, 64, overlap=0)
    assert sum(seen) == 2
    assert (mosaic[:, 64:] == 255).all()
    assert (mosaic[:, :64] < 255).all()


def scene_store(path: Path, power, recipe: Recipe = PRODUCT, grid=GRID, **attrs) -> Path:
    bands = {name: wrap_xr(values, grid) for name, values in zip(("vv", "vh"), power, strict=True)}
    dataset = xr.Dataset(bands).assign_attrs(
        acquisition_time="2023-05-14T16:58:21", orbit_direction="ascending", **attrs
    )
    return write_store(stamp(dataset, recipe), path, chunk=128, shard=256)


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "s.zarr"
    return scene_store(path, backscatter(203, 331), instrument_mode="EW", product_type="GRD")


def mosaic_of(**given: Any) -> Path:
    """The mosaic that `predict` makes, with its arguments by their flat names."""
    return predict(**arguments_of(predict, given))


def test_mosaic_is_a_valid_cog_that_says_how_it_was_made(scene, checkpoints, tmp_path) -> None:
    out = mosaic_of(
        scene=scene, checkpoint=checkpoints, out=tmp_path / "p.tif", event="e", tile=128
    )
    assert cog_validate(out, strict=True)[0]
    with rasterio.open(out) as raster:
        tags = raster.tags()
        percent, spread = raster.read()
        assert raster.nodata == 255
        assert raster.descriptions[1].startswith("standard deviation")
    assert tags["FLOODLOOM_BACKEND"] == "torch"
    assert tags["FLOODLOOM_PRECISION"] == "float32"
    assert tags["FLOODLOOM_SAMPLES"] == "2"
    assert tags["ORBIT_DIRECTION"] == "ascending"
    assert (tags["INSTRUMENT_MODE"], tags["PRODUCT_TYPE"]) == ("EW", "GRD")
    windows = json.loads(tags["FLOODLOOM_WINDOWS"])
    assert max(windows["size"]) <= 128
    ratio = seam_ratio(percent, *window_borders(windows))
    assert float(tags["FLOODLOOM_SEAM_RATIO"]) == pytest.approx(ratio, abs=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.qml", "p.sld", "p.tif"]
    known = percent < 255
    np.testing.assert_array_equal(known, np.isfinite(backscatter(203, 331)).all(axis=0))
    assert (spread[~known] == 255).all()
    assert 1 < spread[known].mean() < 50


def test_windows_suit_the_coarsest_map_of_a_network(scene, tmp_path) -> None:
    deep = save_checkpoint(untrained(depth=6, width=2), tmp_path / "deep.safetensors")
    out = mosaic_of(scene=scene, checkpoint=[deep], out=tmp_path / "p.tif", tile=224)
    with rasterio.open(out) as raster:
        windows = json.loads(raster.tags()["FLOODLOOM_WINDOWS"])
    assert len(windows["cols"]) > 1
    for pixels in (*windows["size"], *windows["rows"], *windows["cols"]):
        assert pixels % 64 == 0


def test_ensemble_is_the_mean_of_its_members(scene, checkpoints, tmp_path) -> None:
    def mosaic(members):
        out = mosaic_of(scene=scene, checkpoint=members, out=tmp_path / "p.tif", tile=128)
        with rasterio.open(out) as raster:
            return raster.read().astype(float)

    first, other, both = (mosaic(m) for m in (checkpoints[:1], checkpoints[1:], checkpoints))
    known = both[0] < 255
    assert len(first) == 1
    np.testing.assert_allclose(both[0][known], ((first + other)[0] / 2)[known], atol=1.01)
    np.testing.assert_allclose(both[1][known], (abs(first - other)[0] / 2)[known], atol=1.01)


def test_without_calibration_the_members_own_logits_are_averaged(
    scene, checkpoints, tmp_path
) -> None:
    def mosaic(members, **given):
        out = tmp_path / "p.tif"
        mosaic_of(scene=scene, checkpoint=members, out=out, tile=128, **given)
        with rasterio.open(out) as raster:
            return raster.read(1)

    flat = [
        save_checkpoint(replace(load_checkpoint(path), temperature=5.0), tmp_path / path.name)
        for path in checkpoints
    ]
    first, other, both = (mosaic(m) for m in (checkpoints[:1], checkpoints[1:], checkpoints))
    raw = mosaic(flat, calibrate=False)
    inside = (np.minimum(first, other) > 5) & (np.maximum(first, other) < 95)
    odds = [np.log(p[inside] / (100.0 - p[inside])) for p in (first, other)]
    expected = 100 / (1 + np.exp(-(odds[0] + odds[1]) / 2))
    assert inside.mean() > 0.1
    assert np.abs(raw[inside] - expected).mean() < 0.6  # percents of percents
    assert np.abs(raw[inside] - expected).max() < 3
    assert np.abs(mosaic(flat)[inside] - expected).max() > 5
    assert (raw == 255).sum() == (both == 255).sum()


def test_scene_without_any_data_gives_an_empty_valid_mosaic(checkpoints, tmp_path) -> None:
    empty = scene_store(tmp_path / "s.zarr", np.full((2, 203, 331), np.nan, "float32"))
    out = predict(scene=empty, checkpoint=checkpoints, out=tmp_path / "p.tif")
    assert cog_validate(out)[0]
    with rasterio.open(out) as raster:
        assert (raster.read() == 255).all()


def test_precision_that_is_used_is_said(scene, checkpoints, tmp_path) -> None:
    arguments = {"scene": scene, "checkpoint": checkpoints[:1], "out": tmp_path / "p.tif"}
    for asked, used in (("auto", "float32"), ("bfloat16", "bfloat16")):
        with rasterio.open(mosaic_of(precision=asked, **arguments)) as raster:
            assert raster.tags()["FLOODLOOM_PRECISION"] == used
            assert "FLOODLOOM_CLASSES_CHANGED" not in raster.tags()


def test_a_scene_is_heard_as_far_as_the_checkpoint_says(tmp_path) -> None:
    power, _ = flooded(203, 331)
    heard = {"likelihood": {"weight": 0.5, "temperature": 2.0, "tried": {}}}
    plain = save_checkpoint(fitted(12), tmp_path / "plain.safetensors")
    softer = save_checkpoint(replace(fitted(12), temperature=2.0), tmp_path / "softer.safetensors")
    noted = save_checkpoint(replace(fitted(12), notes=heard), tmp_path / "noted.safetensors")
    store = scene_store(tmp_path / "s.zarr", power)

    tasks = []

    def mosaic(checkpoint):
        tasks.append(0)
        with Callback(posttask=lambda *_: tasks.append(tasks.pop() + 1)):
            out = mosaic_of(scene=store, checkpoint=[checkpoint], out=tmp_path / "p.tif")
        with rasterio.open(out) as raster:
            return raster.read(1), raster.tags()["FLOODLOOM_LIKELIHOOD"]

    alone, weight = mosaic(plain)
    assert weight == "0"
    together, weight = mosaic(noted)
    assert weight == "0.5"
    assert tasks[0] == tasks[1] > 0  # the likelihood reads nothing of the scene again
    inputs = as_inputs(power)
    networks, _ = mosaic(softer)
    image = HeldImage()
    image.keep(0, 0, inputs.values)
    rows = add_local_likelihood(
        iter([(0, networks[np.newaxis])]), image, networks.shape, LikelihoodWeighting(0.5, 2.0)
    )
    expected = np.concatenate([part[0] for _, part in rows])
    np.testing.assert_allclose(together.astype(int), expected, atol=1)
    assert (together != alone).mean() > 0.1


def test_scene_smaller_than_any_window(checkpoints, tmp_path) -> None:
    grid = grid_from_bounds((0, 0, 70, 190), 32633, 10.0)
    small = scene_store(tmp_path / "s.zarr", np.full((2, 19, 7), 0.1, "float32"), grid=grid)
    with rasterio.open(
        predict(scene=small, checkpoint=checkpoints, out=tmp_path / "p.tif")
    ) as raster:
        assert raster.shape == (19, 7)
        assert (raster.read(1) <= 100).all()


def refused(tmp_path, error, message, **arguments) -> None:
    with pytest.raises(error, match=message):
        mosaic_of(out=tmp_path / "p.tif", **arguments)
    assert not list(tmp_path.glob("*p.*tif"))


def test_other_recipe_is_refused_by_its_field(checkpoints, tmp_path) -> None:
    power = np.full((2, 203, 331), 0.1, "float32")
    other = scene_store(tmp_path / "s.zarr", power, Recipe(quantity="sigma0", spacing=10.0))
    refused(tmp_path, RecipeMismatchError, "quantity", scene=other, checkpoint=checkpoints)


def test_missing_band_is_named(checkpoints, tmp_path) -> None:
    one = xr.Dataset({"vv": wrap_xr(np.full((203, 331), 0.1, "float32"), GRID)})
    path = write_store(stamp(one, PRODUCT), tmp_path / "s.zarr")
    refused(tmp_path, InputError, "band vh: not in the scene", scene=path, checkpoint=checkpoints)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> list[Path]:
    """A checkpoint that needs a scene before the flood."""
    recipe = PRODUCT.for_inputs(("vv", "before_vv"))
    path = tmp_path_factory.mktemp("pair") / "c.safetensors"
    return [save_checkpoint(untrained(recipe=recipe), path)]


def test_before_on_another_grid_is_reprojected_and_said_so(scene, pair, tmp_path, caplog) -> None:
    wide = grid_from_bounds((399900, 4999900, 403410, 5002130), 32633, 10.0)
    power = np.pad(np.full((2, 203, 331), 0.1, "float32"), ((0, 0), (10, 10), (10, 10)))
    before = scene_store(tmp_path / "b.zarr", power, grid=wide)
    same = scene_store(tmp_path / "a.zarr", np.full((2, 203, 331), 0.1, "float32"))
    mosaics = []
    for path in (before, same):
        out = mosaic_of(scene=scene, checkpoint=pair, before=path, out=tmp_path / "p.tif")
        with rasterio.open(out) as raster:
            mosaics.append(raster.read(1))
    assert "b.zarr: on another grid; reprojected bilinearly" in caplog.text
    np.testing.assert_array_equal(*mosaics)


def test_before_of_the_other_direction_is_refused_unless_forced(scene, pair, tmp_path) -> None:
    power = np.full((2, 203, 331), 0.1, "float32")
    before = scene_store(tmp_path / "b.zarr", power)
    store = json.loads((before / "zarr.json").read_text())
    store["attributes"]["orbit_direction"] = "descending"
    (before / "zarr.json").write_text(json.dumps(store))
    arguments = {"scene": scene, "checkpoint": pair, "before": before}
    refused(tmp_path, InputError, "taken descending, but .* ascending", **arguments)
    assert mosaic_of(out=tmp_path / "p.tif", mixed_orbits=True, **arguments).exists()


def test_a_scene_before_is_seen_where_it_is_there_and_left_alone_by_others(
    scene, checkpoints, tmp_path
) -> None:
    recipe = PRODUCT.for_inputs(("vv", "before_vv"))
    accepts = Accepted(quantities=("gamma0",), spacing=(5, 20), absent=("before_vv",))
    both = [
        save_checkpoint(
            replace(untrained(recipe=recipe), accepts=accepts), tmp_path / "c.safetensors"
        )
    ]
    before = scene_store(tmp_path / "b.zarr", np.full((2, 203, 331), 0.5, "float32"))

    def percent(checkpoint, **files):
        out = mosaic_of(scene=scene, checkpoint=checkpoint, out=tmp_path / "p.tif", **files)
        with rasterio.open(out) as raster:
            return raster.read(1)

    assert (percent(both, before=before) != percent(both)).any()
    np.testing.assert_array_equal(percent(checkpoints, before=before), percent(checkpoints))


def test_where_a_network_overflows_there_is_no_data() -> None:
    values = np.array([[[0.5, np.nan, np.inf, -np.inf, 1.0]]], "float32") * _STEPS
    known = np.array([[True, True, True, True, False]])
    seen = _Coverage()
    assert _percent(values, known, seen).tolist() == [[[50, 255, 255, 255, 255]]]
    assert (seen.known, seen.predicted) == (4, 1)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_network_without_numbers_maps_nothing(number: float, caplog) -> None:
    scene = as_inputs(np.full((2, 128, 128), 0.1, "float32"))
    scene[:, :, 100:] = np.nan

    def broken(images, rim=WHOLE):
        return np.full_like(sigmoid(images, rim), number)

    with pytest.raises(CheckpointError, match=r"no number .* anywhere on the scene"):
        predicted(scene, broken, 64, field=1, overlap=32)

    def partly(images, rim=WHOLE):
        found = sigmoid(images, rim)
        return np.where(found > 0.9, np.float32(number), found)

    scene[:, 30:40] = 1.0
    mosaic = predicted(scene, partly, 128, field=1, overlap=32)
    assert (mosaic[30:40] == 255).all()
    assert (mosaic[:30, :100] < 255).all()
    assert "no number on 1280 of 13080 px" in caplog.text
