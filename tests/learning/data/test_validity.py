"""Where there are data is a mask: a value that is exactly 0 is one like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from floodloom.learning.calibration import seen_pixels
from floodloom.learning.data.augmentation import Augmentation, radar_noise
from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Prediction
from floodloom.learning.losses import LOSSES
from floodloom.models.registry import build
from floodloom.raster.recipe import Recipe

RECIPE = Recipe(quantity="gamma0").for_inputs(("vv", "vh"))
ZERO = (5, 5)
"""A pixel of -12.5 dB in every band, which is 0 after normalisation."""


@pytest.fixture
def tiles() -> Samples:
    draw = np.random.default_rng(0)
    image = draw.uniform(-0.9, 0.9, (2, 2, 16, 16)).astype(np.float32)
    image[:, :, *ZERO], image[:, :, :2], image[:, 0, 2] = 0, np.nan, np.nan
    return Samples.of(image, draw.integers(0, 2, (2, 16, 16), dtype=np.uint8))


def test_zero_is_data_and_what_is_missing_is_not(tiles) -> None:
    assert tiles.valid[:, :, *ZERO].all()
    assert not tiles.valid[:, :, :2].any()
    assert tiles.valid[:, 1, 2].all()
    assert tiles.any_valid[:, 2].all()
    assert not tiles.all_valid[:, 2].any()
    assert len(seen_pixels(lambda part: part.image, tiles)) == 2 * 16 * 13


def test_noise_changes_zero_as_any_other_value(tiles) -> None:
    noise = radar_noise(RECIPE, 4.0, 1.0)
    noisy = Augmentation(noise)(tiles, torch.arange(2))
    assert torch.equal(noisy.image == 0, ~noisy.valid)


def test_the_mask_is_turned_and_mixed_with_the_image(tiles) -> None:
    """Without noise an image is 0 where it was: without data, or at the one pixel."""
    change = Augmentation(cutmix=0.5)
    whole = replace(tiles, image=torch.where(tiles.valid, 0.5, 0.0))
    seeds = torch.arange(100, 108)
    eight = whole.take(torch.arange(8) % 2)
    partners = replace(eight, image=torch.full_like(eight.image, 0.7))
    partners = replace(partners, valid=torch.ones_like(eight.valid))
    mixed = change(eight, seeds, partners.take(change.mixes(seeds).nonzero().flatten()))
    assert torch.equal(mixed.image != 0, mixed.valid)


def test_a_lost_band_has_no_data(tiles) -> None:
    lost = Augmentation(band_drop=1.0)(tiles, torch.arange(2))
    assert (lost.valid.flatten(2).any(dim=2).sum(dim=1) == 1).all()


@pytest.mark.parametrize("name", ["festa", "scribble"])
def test_losses_without_labels_count_zero(tiles, name) -> None:
    torch.manual_seed(0)
    network = build("unet", 2, 2, width=4, depth=2)
    prediction = Prediction(network, tiles.image)

    def value(batch: Samples) -> float:
        torch.manual_seed(1)
        return float(LOSSES.load(name)(prediction, batch).detach())

    without = tiles.valid.clone()
    without[:, :, *ZERO] = False
    found = value(tiles), value(replace(tiles, valid=without))
    assert found[0] != found[1]
