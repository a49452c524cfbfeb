"""The local likelihood of tiles whose distributions are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from floodloom.learning.data.samples import Samples
from floodloom.learning.relabelling import local_likelihood as likelihood
from floodloom.learning.relabelling.labeller import Labeller, calibrate_labeller
from floodloom.learning.relabelling.local_likelihood import local_likelihood
from floodloom.learning.relabelling.mixture import Mixture

SIDE = 64


@pytest.fixture(scope="module")
def flood():
    """A tile (band, y, x) with water on its left half, brighter than where a network learnt."""
    draw = np.random.default_rng(0)
    water = np.zeros((SIDE, SIDE), bool)
    water[:, : SIDE // 2] = True
    means = np.where(water, [[[0.2]], [[-0.1]]], [[[0.9]], [[0.5]]])
    return (means + draw.normal(0, 0.15, means.shape)).astype(np.float32), water


def timid(image, offset):
    """Logits of a network that calls only the darkest part of the water water."""
    score = offset - 10 * image.mean(axis=0)
    return np.stack([np.zeros_like(score), score])[np.newaxis].astype(np.float32)


def everywhere(image):
    return np.ones((1, *image.shape[1:]), bool)


def test_the_tile_corrects_a_network_that_misses_most_of_the_water(flood):
    image, water = flood
    logits = timid(image, -0.5)
    missed = (logits[0].argmax(axis=0) == 1) != water
    found = local_likelihood(image[np.newaxis], everywhere(image), logits)
    wrong = ((logits + found)[0].argmax(axis=0) == 1) != water
    assert missed.mean() > 0.25
    assert wrong.mean() < 0.03


def test_it_is_the_ratio_of_the_mixtures_densities_averaged_over_neighbours(flood, monkeypatch):
    monkeypatch.setattr(likelihood, "_ROUNDS", 1)
    image, water = flood
    certain = np.where(water, 5, -5).astype(np.float32)  # all equally sure: all pixels are used
    logits = np.stack([-certain, certain])[np.newaxis]
    found = local_likelihood(image[np.newaxis, :1], everywhere(image), logits)[0]
    assert found.max() <= 0
    assert found.min() >= -8.00001
    features = np.stack([image[0], gaussian_filter(image[0], 1.0)]).reshape(2, -1)
    density = []
    for inside, components in ((~water, 3), (water, 2)):
        sample = features[:, inside.ravel()].astype(float)
        mixture = Mixture.divide(sample, components).fit(sample, 6)
        density.append(mixture.log_density(features).reshape(water.shape))
    expected = gaussian_filter(np.clip(density[1] - density[0], -8, 8), 1.0)
    assert_allclose(found[1] - found[0], expected, atol=1e-3)


def test_a_band_that_the_scene_lacks_changes_nothing(flood):
    image, _ = flood
    logits = timid(image, -0.5)
    lacking = np.concatenate([image, np.zeros_like(image[:1])])
    known = everywhere(image)
    known[..., :9] = False
    lacking[..., :9] = 1e3  # of any value where there are no data
    without, found = (local_likelihood(i[np.newaxis], known, logits) for i in (image, lacking))
    np.testing.assert_array_equal(found, without)
    nothing = np.zeros_like(image)
    assert (local_likelihood(nothing[np.newaxis], known, logits) == 0).all()


def test_a_lone_dark_pixel_of_a_field_is_no_water(flood):
    image, water = flood
    lone = image.copy()
    lone[:, 20, 50] = 0.0
    certain = np.where(water, 1, -1).astype(np.float32)
    found = local_likelihood(
        lone[np.newaxis], everywhere(lone), np.stack([-certain, certain])[np.newaxis]
    )[0]
    assert (found[1] - found[0])[20, 50] < 0
    assert ((found[1] - found[0])[:, :30] > 0).all()


def test_maps_are_averaged_and_pseudo_labels_are_not(flood):
    image, _ = flood
    logits = timid(image, -0.5)
    batch = torch.from_numpy(image[np.newaxis])
    for averaged in (False, True):
        labeller = Labeller(Networks(logits), likelihood=1.0, averaged=averaged)
        found = labeller.evidence(batch, torch.ones(1, *batch.shape[-2:], dtype=torch.bool))[
            1
        ].numpy()
        expected = local_likelihood(image[np.newaxis], everywhere(image), logits, averaged=averaged)
        np.testing.assert_array_equal(found, expected)
    single = local_likelihood(image[np.newaxis], everywhere(image), logits, averaged=False)[0]
    assert (single.max(axis=0) == 0).all()
    assert not Labeller(Networks(logits)).averaged


def test_a_river_does_not_blur_what_land_looks_like(monkeypatch):
    """A flood with plants in it, which a network sees in part, is between fields and a river."""
    monkeypatch.setattr(likelihood, "holds_two_classes", lambda *_: True)  # it holds three
    draw = np.random.default_rng(1)
    river, water = np.zeros((2, SIDE, SIDE), bool)
    river[:, :16], water[:, 40:] = True, True
    level = np.where(river, -1.0, np.where(water, 0.0, 0.8))
    image = (level + draw.normal(0, 0.25, (2, SIDE, SIDE))).astype(np.float32)
    score = np.where(river, -3.0, -0.5 - 5 * image.mean(axis=0))
    logits = np.stack([np.zeros_like(score), score])[np.newaxis].astype(np.float32)

    def wrong() -> float:
        found = local_likelihood(image[np.newaxis], everywhere(image), logits)
        return float((((logits + found)[0].argmax(axis=0) == 1) != water).mean())

    assert ((score > 0) != water).mean() > 0.25
    assert wrong() < 0.04
    monkeypatch.setattr(likelihood, "_COMPONENTS", (1,))
    assert wrong() > 0.1


@pytest.mark.parametrize(
    ("apart", "share", "held"), [(1.0, 0.5, True), (1.0, 0.1, True), (0.4, 0.5, False)]
)
def test_two_classes_are_seen_in_the_pixels_themselves(apart, share, held):
    draw = np.random.default_rng(0)
    water = draw.random(SIDE * SIDE) < share
    features = np.where(water, 0, apart) + draw.normal(0, 0.25, (1, SIDE * SIDE))
    assert likelihood.holds_two_classes(features.astype(np.float32), water.astype(int)) == held
    assert not likelihood.holds_two_classes(features.astype(np.float32), np.zeros_like(water))


def test_the_darkest_part_of_land_is_left_as_it_is_predicted():
    """Without a second class, the distributions of both sides of a boundary would spread one."""
    draw = np.random.default_rng(0)
    image = draw.normal(0.9, 0.15, (2, SIDE, SIDE)).astype(np.float32)
    image += gaussian_filter(draw.normal(0, 1.2, (SIDE, SIDE)), 4).astype(np.float32)
    logits = timid(image, 8.0)
    assert 0.05 < (logits[0, 1] > 0).mean() < 0.3
    assert (local_likelihood(image[np.newaxis], everywhere(image), logits) == 0).all()


def test_no_data_are_neither_fitted_nor_classified(flood):
    image, _ = flood
    logits = timid(image, -0.5)
    spoilt, valid = image[np.newaxis].copy(), everywhere(image)
    clean = local_likelihood(spoilt[:, :, :48], valid[:, :48], logits[:, :, :48])
    spoilt[..., 48:, :], valid[..., 48:, :] = 1e3, False
    found = local_likelihood(spoilt, valid, logits)
    assert (found[..., 48:, :] == 0).all()
    assert_allclose(found[..., :44, :], clean[..., :44, :], atol=0.05)


def test_tiles_with_one_class_or_with_no_data_have_no_likelihood(flood):
    image, _ = flood
    dry = timid(image, -40.0)
    assert (local_likelihood(image[np.newaxis], everywhere(image), dry) == 0).all()
    nowhere = ~everywhere(image)
    logits = timid(image, 0.0)
    assert (local_likelihood(image[np.newaxis], nowhere, logits) == 0).all()


def test_a_class_that_is_hardly_predicted_is_left_alone(flood):
    image, _ = flood
    two = timid(image, 5.0)[0]
    third = np.full((1, SIDE, SIDE), -9, np.float32)
    third[0, 0, :40] = 9
    logits = np.concatenate([two, third])[np.newaxis]
    found = local_likelihood(image[np.newaxis], everywhere(image), logits)[0]
    assert (found[2] == 0).all()
    assert (found[:2] < 0).any()


class Networks:
    """Networks whose logits are given."""

    def __init__(self, logits):
        self.given = torch.from_numpy(logits)

    def logits(self, image, *, tta):
        return self.given


def test_its_weight_is_the_greatest_that_costs_little_on_held_out_labels(flood):
    image, water = flood
    label = torch.from_numpy(water[np.newaxis].astype(np.uint8))
    held_out = Samples(torch.from_numpy(image[np.newaxis]), label)
    labeller, calibration = calibrate_labeller(
        Labeller(Networks(timid(image, -0.5)), likelihood=1.0), held_out
    )
    assert list(calibration.likelihood) == ["0", "0.1", "0.25", "0.5", "1"]
    assert labeller.likelihood == 1
    _, prediction = labeller.predict(image[np.newaxis])
    assert (prediction[0] == water).mean() > 0.97
    without, calibration = calibrate_labeller(Labeller(Networks(timid(image, -0.5))), held_out)
    assert without.likelihood == 0
    assert list(calibration.likelihood) == ["0"]


def test_networks_that_know_the_ground_are_left_alone(flood):
    image, water = flood
    rare = water.copy()
    rare[16:] = False  # a quarter of what looks like water is
    known = np.stack([np.zeros_like(image[0]), np.where(rare, 1, -1)])[np.newaxis]
    label = torch.from_numpy(rare[np.newaxis].astype(np.uint8))
    held_out = Samples(torch.from_numpy(image[np.newaxis]), label)
    found, calibration = calibrate_labeller(
        Labeller(Networks(known.astype(np.float32)), likelihood=1.0), held_out
    )
    tried = calibration.likelihood
    assert tried["1"] < 0.9
    assert tried[f"{found.likelihood:g}"] > 0.99
