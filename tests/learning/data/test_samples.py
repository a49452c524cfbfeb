"""Tiles to tensors, sampling, splits and augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from floodloom.errors import InputError
from floodloom.learning.data.samples import Samples, radar_samples
from floodloom.learning.data.splits import ground_blocks, hold_out, training_and_validation
from floodloom.tiles.store import concatenate_tiles


def test_no_data_becomes_zero_and_ignored(make_tiles):
    tiles = make_tiles(2)
    samples = radar_samples(tiles)
    assert torch.isfinite(samples.image).all()
    assert not samples.image[:, :, :2].any()
    assert (samples.label[:, :2] == 255).all()
    np.testing.assert_array_equal(samples.label[:, 2:], tiles.label[:, 2:])


def test_splits_are_taken_as_they_are(make_tiles):
    tiles = concatenate_tiles(
        [make_tiles(5), make_tiles(3, "validation"), make_tiles(4, "target"), make_tiles(2, "test")]
    )
    training, validation = training_and_validation(tiles)
    assert set(training.split.values) == {"train"}
    assert training.sizes["tile"] == 5
    assert validation.sizes["tile"] == 3


def test_without_validation_blocks_are_held_out_with_a_warning(make_tiles, caplog):
    tiles = make_tiles(40)
    training, validation = training_and_validation(tiles)
    assert "held out" in caplog.text
    assert training.sizes["tile"] + validation.sizes["tile"] == 40
    assert not set(training.tile_id.values) & set(validation.tile_id.values)
    again = training_and_validation(tiles)[1]
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
        training_and_validation(make_tiles(3, labelled=False))
    with pytest.raises(InputError, match="fewer than two"):
        training_and_validation(make_tiles(1))


def test_ground_is_cut_into_blocks_of_an_events_ground(make_tiles):
    tiles = concatenate_tiles([make_tiles(64), make_tiles(1, event="other")])
    found = ground_blocks(tiles)
    assert len(set(found)) == 5
    assert found[0] == found[27] != found[4]
    assert found[64] == "other|0|0"


def test_what_is_not_finite_is_no_data() -> None:
    image = np.ones((1, 2, 2, 2), dtype=np.float32)
    image[0, 0, 0] = np.nan, np.inf
    samples = Samples.of(image, np.ones((1, 2, 2), dtype=np.uint8))
    assert samples.image[0, 0].tolist() == [[0, 0], [1, 1]]
    assert samples.label[0].tolist() == [[255, 255], [1, 1]]
