"""No window, thread count or chunk size shows in a prediction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.datasets import etci2021
from floodloom.learning.inference import Ensemble, ensemble_of
from floodloom.mapping.backends import Request, accelerate
from floodloom.mapping.mosaic import seam_ratio, window_borders
from floodloom.mapping.plan import plan_scene
from floodloom.mapping.precision import choose_precision, sample
from floodloom.mapping.predict import predict_rows, read_ahead, water_network
from floodloom.raster.recipe import Recipe
from floodloom.tiles.inputs import compose_inputs
from tests.mapping.conftest import as_inputs, backscatter, fitted, flooded, untrained

SCENE = "northal_20190302t234651"


def predicted(inputs: xr.DataArray, ensemble: Ensemble, tile: int, precision: str = "float32"):
    """Percent (y, x), and the plan."""
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    field = ensemble.receptive_field()
    plan = plan_scene(height, width, tile=tile, field=field, overlap=None, rim=None)
    request = Request("torch", precision, plan.predicted_pixels)
    windows = sample(precision, ensemble, inputs)
    running = choose_precision(precision, ensemble, windows).ensemble
    network = water_network(accelerate(running, request)[0], precision=precision)
    rows = [p[0] for _, p in predict_rows(read_ahead(inputs, plan), network, plan, layers=1)]
    return np.concatenate(rows), plan


def assert_same(percent: np.ndarray, expected: np.ndarray) -> None:
    """Equal, but for the last bit of a float that lies between two percents."""
    np.testing.assert_array_equal(percent == 255, expected == 255)
    apart = np.abs(percent.astype(int) - expected)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-4
    assert ((percent >= 50) != (expected >= 50)).mean() < 1e-6


@pytest.fixture
def threads():
    """Sets torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def simulated() -> xr.DataArray:
    return as_inputs(backscatter(2001, 1303))


@pytest.fixture(scope="module")
def reference(simulated) -> np.ndarray:
    percent, _ = predicted(simulated, ensemble_of([untrained()]), 1024)
    return percent


@pytest.mark.parametrize(
    ("tile", "cores", "chunk"),
    [(256, 1, 512), (512, 2, 300), (512, 1, 1024), (1024, 2, 777)],
)
def test_simulated_scene_does_not_depend_on_how_it_is_cut(
    simulated, reference, threads, tile, cores, chunk
) -> None:
    threads(cores)
    lazy = simulated.chunk(band=1, y=chunk, x=chunk)
    percent, plan = predicted(lazy, ensemble_of([untrained()]), tile)
    assert_same(percent, reference)
    assert seam_ratio(percent, *window_borders(plan.as_dict())) <= 1.02


def test_every_valid_pixel_of_the_simulated_scene_is_predicted(simulated, reference) -> None:
    known = np.isfinite(simulated.values).all(axis=0)
    assert 0.7 < known.mean() < 0.95
    np.testing.assert_array_equal(reference <= 100, known)
    assert known[-1].any()
    assert known[:, -1].any()
    assert np.ptp(reference[known].astype(int)) == 100


@pytest.fixture(scope="module", params=["bfloat16", "int8"])
def reduced(request) -> tuple[str, xr.DataArray, Ensemble, np.ndarray]:
    """A number format, a scene, an ensemble, and the scene's percents in one window by it."""
    power, _ = flooded(544, 350, seed=5)
    power[0, 100:140, 50:90] = np.nan
    inputs, ensemble = as_inputs(power), ensemble_of([fitted(width=8)])
    whole, _ = predicted(inputs, ensemble, 1024, request.param)
    exact, _ = predicted(inputs, ensemble, 1024)
    assert 0 < ((whole >= 50) != (exact >= 50)).mean() < 1e-3
    return request.param, inputs, ensemble, whole


@pytest.mark.parametrize(("tile", "cores"), [(96, 1), (256, 2), (512, 1)])
def test_reduced_precision_does_not_depend_on_the_windows_either(
    reduced, tile, cores, threads
) -> None:
    precision, inputs, ensemble, whole = reduced
    threads(cores)
    assert_same(predicted(inputs, ensemble, tile, precision)[0], whole)


@pytest.fixture(scope="module")
def mosaic(shared_data) -> xr.DataArray:
    """The mosaic of ETCI's North Alabama scene."""
    recipe = Recipe(quantity="display").for_inputs(("vv", "vh"), normalisation="scene")
    return compose_inputs(etci2021.read_scene(shared_data / "etci2021", SCENE).scene, recipe)


def test_real_mosaic_does_not_depend_on_its_windows(mosaic) -> None:
    ensemble = ensemble_of([untrained()])
    found = {tile: predicted(mosaic, ensemble, tile) for tile in (512, 1024)}
    percent, plan = found[512]
    assert_same(percent, found[1024][0])
    known = np.isfinite(mosaic.values).all(axis=0)
    np.testing.assert_array_equal(percent <= 100, known)
    assert seam_ratio(percent, *window_borders(plan.as_dict())) <= 1.02


def test_wide_receptive_field_on_real_ground(mosaic, caplog) -> None:
    """U-Net of depth 4 sees 220 px: windows from 256 px on agree, smaller ones nearly."""
    ensemble = ensemble_of([untrained(depth=4, width=2)])
    assert ensemble.receptive_field() == 220
    part = mosaic[:, 500:1012, 3000:3416]
    whole, _ = predicted(part, ensemble, 1024)
    for tile in (256, 352):
        assert_same(predicted(part, ensemble, tile)[0], whole)
    assert "receptive field" not in caplog.text
    small, _ = predicted(part, ensemble, 192)
    assert "values near their borders depend on the windows" in caplog.text
    known = whole <= 100
    assert np.abs(small.astype(int) - whole)[known].mean() < 1


def test_two_predictions_by_auto_are_the_same_map(monkeypatch) -> None:
    """What is chosen depends on no clock, and what is chosen gives the same map."""

    def clock() -> float:
        raise AssertionError("a stopwatch decides")

    def by_auto() -> tuple[str, str, bytes]:
        height, width = inputs.sizes["y"], inputs.sizes["x"]
        field = ensemble.receptive_field()
        plan = plan_scene(height, width, tile=256, field=field, overlap=None, rim=None)
        with monkeypatch.context() as patch:
            for name in ("perf_counter", "monotonic", "process_time"):
                patch.setattr(f"time.{name}", clock)
            chosen = choose_precision("auto", ensemble, sample("auto", ensemble, inputs))
            request = Request("auto", chosen.name, plan.predicted_pixels)
            running, backend = accelerate(chosen.ensemble, request)
        network = water_network(running, precision=chosen.name)
        rows = [p for _, p in predict_rows(read_ahead(inputs, plan), network, plan, layers=1)]
        return backend, chosen.name, np.concatenate(rows, axis=1).tobytes()

    for least in ("_WORTH_IT", "_WORTH_IT_IN_FLOAT32"):
        monkeypatch.setattr(f"floodloom.mapping.precision.{least}", 1)
    inputs = as_inputs(flooded(300, 400)[0])
    ensemble = ensemble_of([fitted(width=8)])
    assert by_auto() == by_auto()
