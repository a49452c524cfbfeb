"""Tiles to tensors, sampling, splits and augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.errors import InputError, RecipeMismatchError
from floodloom.learning.data import (
    has_optical,
    optical_samples,
    radar_samples,
    standardise_optical,
)
from floodloom.learning.splits import hold_out, training_and_validation
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
