"""Inference: symmetries, ensembles, no data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import rotate_and_flip, undo_rotate_and_flip
from floodloom.learning.inference import Ensemble, ensemble_of
from floodloom.models.registry import build
from floodloom.raster.recipe import Recipe

ARGUMENTS = {"in_channels": 2, "classes": 2, "width": 4}
RECIPE = Recipe(quantity="gamma0").for_inputs(("vv", "vh"))


def member(seed: int, temperature: float = 1.0) -> Checkpoint:
    torch.manual_seed(seed)
    weights = build("unet", **ARGUMENTS).state_dict()
    return Checkpoint("unet", ARGUMENTS, ("dry", "water"), RECIPE, weights, temperature=temperature)


@pytest.fixture
def ensemble() -> Ensemble:
    return ensemble_of([member(0), member(1, 2.0)], torch.device("cpu"))


@pytest.mark.parametrize("element", range(8))
def test_symmetries_are_undone(element):
    image = torch.randn(2, 3, 5, 7)
    assert torch.equal(undo_rotate_and_flip(rotate_and_flip(image, element), element), image)


def test_the_eight_symmetries_differ():
    image = torch.arange(9.0).view(3, 3)
    views = {tuple(rotate_and_flip(image, element).flatten().tolist()) for element in range(8)}
    assert len(views) == 8


@pytest.mark.parametrize("element", range(8))
def test_augmented_logits_turn_with_the_image(ensemble, element):
    image = torch.randn(1, 2, 40, 48)
    turned = ensemble.logits(rotate_and_flip(image, element), tta=True)
    expected = rotate_and_flip(ensemble.logits(image, tta=True), element)
    torch.testing.assert_close(turned, expected, atol=1e-5, rtol=1e-4)


def test_logits_are_the_mean_of_calibrated_members(ensemble):
    image = torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        first, second = (member(s).model()(image) for s in (0, 1))
    torch.testing.assert_close(
        ensemble.logits(image), (first + second / 2) / 2, atol=1e-5, rtol=1e-4
    )


def test_no_data_stays_no_data_and_probabilities_sum_to_one(ensemble):
    batch = np.random.default_rng(0).normal(size=(2, 2, 33, 35)).astype(np.float32)
    batch[0, 1, :4] = np.nan
    probability = ensemble.probabilities(batch)
    assert np.isnan(probability[0, :, :4]).all()
    assert np.isfinite(probability[0, :, 4:]).all()
    assert np.isfinite(probability[1]).all()
    np.testing.assert_allclose(probability[1].sum(axis=0), 1, rtol=1e-5)


def test_the_batch_does_not_change_the_result(ensemble):
    batch = np.random.default_rng(0).normal(size=(3, 2, 32, 32)).astype(np.float32)
    together = ensemble.probabilities(batch)
    apart = np.concatenate([ensemble.probabilities(one[np.newaxis]) for one in batch])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_bfloat16_agrees_to_its_rounding(ensemble):
    batch = np.random.default_rng(0).normal(size=(1, 2, 32, 32)).astype(np.float32)
    exact = ensemble.probabilities(batch)
    np.testing.assert_allclose(
        ensemble.probabilities(batch, precision="bfloat16"), exact, atol=0.02
    )


@pytest.mark.parametrize("tta", [False, True])
def test_uncalibrated_members_average_their_own_logits(ensemble, tta):
    """As Paul and Ganju do: no temperature divides, and probabilities are those of the mean."""
    batch = np.random.default_rng(0).normal(size=(1, 2, 32, 32)).astype(np.float32)
    image, members = torch.from_numpy(batch), [member(s).model() for s in (0, 1)]
    with torch.inference_mode():
        views = [
            undo_rotate_and_flip(model(rotate_and_flip(image, element)), element)
            for model in members
            for element in range(8 if tta else 1)
        ]
    expected = torch.stack(views).mean(dim=0).softmax(dim=1).numpy()
    raw = ensemble.uncalibrated()
    np.testing.assert_allclose(raw.probabilities(batch, tta=tta), expected, atol=1e-5)
    logits = raw.logits(image, tta=tta).softmax(dim=1).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert np.abs(ensemble.probabilities(batch, tta=tta) - expected).max() > 1e-3
