"""Tiles to tensors, sampling, splits and augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from floodloom.errors import InputError, RecipeMismatchError
from floodloom.learning.augment import Augmentation, gamma, radar_noise
from floodloom.learning.data import (
    Samples,
    has_optical,
    optical_samples,
    radar_samples,
    sampling_weights,
    standardise_optical,
)
from floodloom.learning.splits import hold_out, training_and_validation
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import stamp
from floodloom.tiles.inputs import compose_inputs
from floodloom.tiles.store import concatenate_tiles


def test_no_data_becomes_zero_and_ignored(make_tiles):
    tiles = make_tiles(2)
    samples = radar_samples(tiles)
    assert torch.isfinite(samples.image).all()
    assert not samples.image[:, :, :2].any()
    assert (samples.label[:, :2] == 255).all()
    np.testing.assert_array_equal(samples.label[:, 2:], tiles.label[:, 2:])


def test_optical_inputs_are_standardised_and_clouds_ignored(make_tiles):
    tiles = make_tiles(6, optical=True)
    standardisation = standardise_optical(tiles)
    samples = optical_samples(tiles, standardisation)
    clear = samples.image[..., :-4]
    torch.testing.assert_close(clear.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(clear.std((0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)
    assert (samples.label[..., -4:] == 255).all()
    assert not samples.image[..., -4:].any()


def test_the_companion_is_clear_where_both_see(make_tiles):
    tiles = make_tiles(2, optical=True)
    clear = radar_samples(tiles, standardise_optical(tiles)).clear
    assert clear[:, 2:, :-4].all()
    assert not clear[:, :2].any()
    assert not clear[..., -4:].any()


def test_optical_is_asked_for_where_it_is_missing(make_tiles):
    tiles = make_tiles(2)
    assert not has_optical(tiles).any()
    with pytest.raises(InputError, match="none has an optical image"):
        standardise_optical(tiles)
    taught = standardise_optical(make_tiles(2, optical=True))
    with pytest.raises(RecipeMismatchError, match=r"channels are \[\]"):
        radar_samples(tiles, taught)


def test_classes_are_drawn_alike_when_balanced():
    label = torch.zeros(10, 4, 4, dtype=torch.uint8)
    label[0] = 1
    label[1] = 255
    balanced = sampling_weights(label, 2, 1.0)
    torch.testing.assert_close(balanced[0].item(), 0.5)
    assert balanced[1] == 0
    torch.testing.assert_close(balanced.sum().item(), 1.0)
    torch.testing.assert_close(sampling_weights(label, 2, 0.0), torch.full((10,), 0.1).double())


def test_splits_are_taken_as_they_are(make_tiles):
    tiles = concatenate_tiles(
        [make_tiles(5), make_tiles(3, "validation"), make_tiles(4, "target"), make_tiles(2, "test")]
    )
    training, validation = training_and_validation(tiles, 0.2)
    assert set(training.split.values) == {"train"}
    assert training.sizes["tile"] == 5
    assert validation.sizes["tile"] == 3


def test_without_validation_blocks_are_held_out_with_a_warning(make_tiles, caplog):
    tiles = make_tiles(40)
    training, validation = training_and_validation(tiles, 0.2)
    assert "held out" in caplog.text
    assert training.sizes["tile"] + validation.sizes["tile"] == 40
    assert not set(training.tile_id.values) & set(validation.tile_id.values)
    again = training_and_validation(tiles, 0.2)[1]
    assert (again.tile_id.values == validation.tile_id.values).all()


def test_blocks_of_ground_stay_together():
    rows, cols = (axis.ravel() for axis in np.meshgrid(np.arange(16), np.arange(16)))
    tiles = xr.Dataset(
        {"image": (("tile", "band", "y", "x"), np.zeros((256, 1, 32, 32)))},
        {
            "event": ("tile", ["e"] * 256),
            "scene": ("tile", ["s"] * 256),
            "row": ("tile", 32 * rows),
            "col": ("tile", 32 * cols),
        },
    )
    held = hold_out(tiles, 0.25)
    blocks = {(r // 4, c // 4) for r, c in zip(rows[held], cols[held], strict=True)}
    assert held.sum() == 16 * len(blocks)
    assert 0.2 <= held.mean() <= 0.32


def test_nothing_labelled_is_refused(make_tiles):
    with pytest.raises(InputError, match="no labelled tile is in the training split"):
        training_and_validation(make_tiles(3, labelled=False), 0.2)
    with pytest.raises(InputError, match="fewer than two"):
        training_and_validation(make_tiles(1), 0.2)


def test_everything_of_a_tile_turns_together():
    plane = torch.arange(64.0).view(1, 1, 8, 8).repeat(20, 1, 1, 1)
    batch = Samples(plane, plane[:, 0].byte(), plane.clone(), plane[:, 0] > 20)
    turned = Augmentation()(batch, torch.Generator().manual_seed(0))
    assert torch.equal(turned.image[:, 0].byte(), turned.label)
    assert torch.equal(turned.image, turned.optical)
    assert torch.equal(turned.clear, turned.image[:, 0] > 20)
    assert len({tuple(tile.flatten().tolist()) for tile in turned.image}) == 8


@pytest.mark.parametrize("looks", [4.0, 20.0])
def test_speckle_has_mean_one_and_the_variance_of_its_looks(looks):
    drawn = gamma(looks, (400_000,), torch.Generator().manual_seed(0)).double()
    assert drawn.mean().item() == pytest.approx(1, abs=0.01)
    assert drawn.var().item() == pytest.approx(1 / looks, rel=0.02)
    assert stats.kstest(drawn[:20_000].numpy(), stats.gamma(looks, scale=1 / looks).cdf)[0] < 0.015


def test_noise_is_what_it_would_be_in_power():
    """Noise on the inputs equals the inputs of a scene with that noise on its power."""
    bands = ("vv", "vh", "ratio", "before_vv")
    recipe = Recipe(quantity="gamma0").for_inputs(bands)
    gains = {"vv": 1.2, "vh": 0.7, "before_vv": 0.9}
    power = {"vv": 0.08, "vh": 0.02}

    def inputs(changes):
        now = {name: ("yx", value * changes.get(name, 1)) for name, value in power.items()}
        then = {name: value * changes.get(f"before_{name}", 1) for name, value in power.items()}
        planes = [
            stamp(
                xr.Dataset({n: (("y", "x"), np.full((1, 1), v, np.float32)) for n, v in p.items()}),
                recipe,
            )
            for p in ({n: v for n, (_, v) in now.items()}, then)
        ]
        return compose_inputs(planes[0], recipe, before=planes[1]).values[:, 0, 0]

    noise = radar_noise(recipe, None, 1.0)
    sources = [band for band in bands if band != "ratio"]
    decibel = torch.tensor([10 * np.log10(gains[name]) for name in sources], dtype=torch.float32)
    np.testing.assert_allclose(
        inputs({}) + (noise.gain @ decibel).numpy(), inputs(gains), atol=1e-5
    )


def test_noise_spares_no_data_and_stays_in_range():
    recipe = Recipe(quantity="gamma0").for_inputs(("vv", "vh", "ratio"))
    image = torch.full((2, 3, 8, 8), 0.99)
    image[:, :, 0] = 0
    noisy = radar_noise(recipe, 4.0, 1.0)(image, torch.Generator().manual_seed(0))
    assert not noisy[:, :, 0].any()
    assert noisy.abs().max() <= 1
    assert (noisy[:, :, 1:] != image[:, :, 1:]).float().mean() > 0.4


def test_display_products_get_no_decibel_noise():
    display = Recipe(quantity="display").for_inputs(("vv",), normalisation="scene")
    assert radar_noise(display, 4.0, 1.0) is None
    other = Recipe(quantity="gamma0").for_inputs(("slope",))
    assert radar_noise(other, 4.0, 1.0) is None
