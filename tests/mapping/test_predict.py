import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from floodloom.mapping.blend import blend_rows, window_weights
from floodloom.mapping.predict import predict_mosaic, water_probability
from floodloom.raster.windows import plan_windows

Floats = NDArray[np.float32]


def inputs(height: int = 203, width: int = 331) -> xr.DataArray:
    draw = np.random.default_rng(2)
    values = draw.uniform(-1, 1, (2, height, width)).astype("float32")
    values[0, 40:90, 60:75] = np.nan
    values[1, -3:, :] = np.nan
    values[:, 100:, 250:] = np.nan
    return xr.DataArray(values, dims=("band", "y", "x"))


def sigmoid(images: Floats) -> Floats:
    """A network that looks at one pixel alone."""
    return 1 / (1 + np.exp(-3 * np.nan_to_num(images).sum(axis=1)))


@pytest.mark.parametrize("rim", [0, 5])
@pytest.mark.parametrize("shape", [(64, 64), (100, 130), (65, 300), (40, 40)])
def test_painted_weights_sum_to_one(shape: tuple[int, int], rim: int) -> None:
    windows = plan_windows(*shape, 64, 24)
    ones = ((w, np.ones((w.height, w.width), "float32")) for w in windows)
    painted = np.full(shape, np.nan, "float32")
    for row, values in blend_rows(ones, shape, rim):
        painted[row : row + len(values)] = values
    np.testing.assert_allclose(painted, 1.0, atol=1e-6)


def test_rim_is_kept_only_at_the_rasters_edge() -> None:
    first, *_, last = plan_windows(100, 100, 64, 24)
    weights = window_weights(first, (100, 100), rim=5)
    assert (weights[:-5, :-5] > 0).all()
    assert (weights[-5:] == 0).all()
    assert (weights[:, -5:] == 0).all()
    weights = window_weights(last, (100, 100), rim=5)
    assert (weights[5:, 5:] > 0).all()
    assert (weights[:5] == 0).all()


def test_overlapping_values_blend_between_their_neighbours() -> None:
    windows = plan_windows(64, 104, 64, 24)
    values = [np.full((64, 64), float(n), "float32") for n in range(len(windows))]
    ((_, blended),) = blend_rows(zip(windows, values, strict=True), (64, 104), 4)
    assert (np.diff(blended, axis=1) >= -1e-6).all()
    assert blended[0, 0] == 0
    assert blended[0, -1] == 1
    assert 0.4 < blended[30, 51:53].mean() < 0.6


@pytest.mark.parametrize("tile", [64, 128, 400])
@pytest.mark.parametrize("batch", [1, 3])
def test_windows_and_batches_change_nothing(tile: int, batch: int) -> None:
    scene = inputs()
    known = np.isfinite(scene.values).all(axis=0)
    expected = np.where(known, np.rint(100 * sigmoid(scene.values[np.newaxis])[0]), 255)
    mosaic = predict_mosaic(scene, sigmoid, tile=tile, overlap=32, rim=8, batch=batch)
    assert mosaic.dtype == np.uint8
    np.testing.assert_array_equal(mosaic, expected)


def test_lazy_inputs_give_the_same() -> None:
    scene = inputs()
    eager = predict_mosaic(scene, sigmoid, tile=64, overlap=32, rim=8, batch=2)
    lazy = predict_mosaic(
        scene.chunk(band=1, y=50, x=70), sigmoid, tile=64, overlap=32, rim=8, batch=2
    )
    np.testing.assert_array_equal(eager, lazy)


def test_empty_windows_are_skipped() -> None:
    seen = []

    def network(images: Floats) -> Floats:
        seen.append(len(images))
        return sigmoid(images)

    scene = inputs(128, 256)
    scene[:, :, 64:] = np.nan
    predict_mosaic(scene, network, tile=64, overlap=0, rim=0, batch=1)
    assert sum(seen) == 2


def test_small_windows_are_padded_for_the_network() -> None:
    def ensemble(images: Floats) -> Floats:
        assert min(images.shape[-2:]) >= 32
        return np.stack([np.zeros_like(images[:, 0]), sigmoid(images)], axis=1)

    images = inputs(20, 40).values[np.newaxis]
    expected = sigmoid(images)
    np.testing.assert_allclose(water_probability(ensemble)(images), expected)
