"""Losses against values worked out by hand, and 255 ignored."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from floodloom.errors import ConfigError
from floodloom.learning.losses import LOSSES
from floodloom.learning.losses.border_cross_entropy import border_cross_entropy, border_weights
from floodloom.learning.losses.ce_dice import ce_dice
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.losses.dice import soft_dice
from floodloom.learning.losses.focal import focal

OF_LOGITS = [name for name in LOSSES.names if LOSSES.load(name).of_prediction is None]


def logits_of(*probabilities: float) -> torch.Tensor:
    """Two-class logits of one row of pixels with these probabilities of class 1."""
    p = torch.tensor(probabilities)
    return torch.stack([(1 - p).log(), p.log()]).view(1, 2, 1, -1)


def labels(*values: int) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, -1)


def test_cross_entropy_by_hand():
    value = cross_entropy(logits_of(0.8, 0.4, 0.9), labels(1, 0, 255))
    assert float(value) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)


def test_weighted_cross_entropy_is_that_of_torch():
    torch.manual_seed(0)
    logits, label = torch.randn(2, 3, 5, 5), torch.randint(3, (2, 5, 5))
    label[0, 0] = 255
    weights = torch.tensor([0.2, 1.0, 3.0])
    expected = F.cross_entropy(logits, label, weights, ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, label, weights), expected)


def test_soft_dice_by_hand():
    # class 0: t·y = .6, t + y = .2 + .6 + 1; class 1: t·y = .8, t + y = .8 + .4 + 1
    value = soft_dice(logits_of(0.8, 0.4), labels(1, 0))
    assert float(value) == pytest.approx(1 - (2 * 0.6 / 1.8 + 2 * 0.8 / 2.2) / 2)


def test_soft_dice_leaves_absent_classes_out():
    value = soft_dice(logits_of(0.5, 0.25), labels(0, 0))
    assert float(value) == pytest.approx(1 - 2 * 1.25 / 3.25)


def test_focal_by_hand_and_plain_at_gamma_zero():
    logits, label = logits_of(0.8, 0.4), labels(1, 0)
    by_hand = -(0.2**2 * math.log(0.8) + 0.4**2 * math.log(0.6)) / 2
    assert float(focal(logits, label)) == pytest.approx(by_hand, rel=1e-5)
    torch.testing.assert_close(focal(logits, label, 0.0), cross_entropy(logits, label))


def test_ce_dice_is_the_sum():
    logits, label = logits_of(0.8, 0.4), labels(1, 0)
    assert float(ce_dice(logits, label)) == pytest.approx(
        float(cross_entropy(logits, label) + soft_dice(logits, label))
    )


@pytest.mark.parametrize("name", OF_LOGITS)
def test_ignored_pixels_change_neither_value_nor_gradient(name):
    torch.manual_seed(1)
    label = torch.randint(2, (2, 8, 8))
    label[:, :3] = 255
    first = torch.randn(2, 2, 8, 8, requires_grad=True)
    second = first.detach().clone()
    second[:, :, :3] += 10 * torch.randn(2, 2, 3, 8)
    torch.testing.assert_close(
        LOSSES.load(name).of_logits(first, label), LOSSES.load(name).of_logits(second, label)
    )
    LOSSES.load(name).of_logits(first, label).backward()
    assert not first.grad[:, :, :3].any()
    assert first.grad[:, :, 3:].any()


@pytest.mark.parametrize("name", OF_LOGITS)
def test_nothing_labelled_costs_nothing(name):
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    value = LOSSES.load(name).of_logits(logits, torch.full((1, 4, 4), 255))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("name", OF_LOGITS)
def test_certainty_of_the_truth_is_the_minimum(name):
    label = torch.tensor([[[0, 1], [1, 0]]])
    sure = 50 * (F.one_hot(label, 2).movedim(-1, 1).float() - 0.5)
    assert float(LOSSES.load(name).of_logits(sure, label)) == pytest.approx(0, abs=1e-6)
    assert float(LOSSES.load(name).of_logits(-sure, label)) > 0.9


def test_border_weights_by_hand():
    """Objects in columns 0 and 4: column 1 is 1 px from one and 3 px from the other."""
    label = torch.tensor([[1, 0, 0, 0, 1, 0, 255]] * 3).unsqueeze(0)
    between = 10 * math.exp(-(4**2) / 50)
    beyond = 10 * math.exp(-((1 + 5) ** 2) / 50)
    expected = torch.tensor([0, between, between, between, 0, beyond, 0]).expand(3, 7)
    torch.testing.assert_close(border_weights(label)[0], expected)


def test_border_weights_are_those_of_all_distances():
    """Against the distance to every object, taken over the whole tile."""
    draw = np.random.default_rng(0)
    label = (ndimage.gaussian_filter(draw.normal(size=(90, 90)), 2) > 0.12).astype(int)
    objects, count = ndimage.label(label)
    assert count > 10
    each = [ndimage.distance_transform_edt(objects != n) for n in range(1, count + 1)]
    first, second = np.sort(each, axis=0)[:2]
    expected = 10 * np.exp(-((first + second) ** 2) / 50) * (label == 0)
    found = border_weights(torch.from_numpy(label).unsqueeze(0))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_border_weights_need_two_objects():
    label = torch.zeros(1, 8, 8, dtype=torch.int64)
    label[0, 2:4, 2:4] = 1
    assert not border_weights(label).any()


def test_border_weighted_cross_entropy_by_hand():
    logits, label = logits_of(0.8, 0.4, 0.7, 0.9), labels(1, 0, 1, 255)
    between = 10 * math.exp(-(2**2) / 50)
    losses = -math.log(0.8), -(1 + between) * math.log(0.6), -math.log(0.7)
    value = border_cross_entropy(logits, label)
    assert float(value) == pytest.approx(sum(losses) / 3, rel=1e-5)
    weighted = border_cross_entropy(logits, label, torch.tensor([2.0, 0.5]))
    losses = 0.5 * losses[0], -(2 + between) * math.log(0.6), 0.5 * losses[2]
    assert float(weighted) == pytest.approx(sum(losses) / 3, rel=1e-5)


def class_weights(fractions):
    return torch.tensor(LOSSES.load("weighted_cross_entropy").weigh_classes(fractions).weights)


def test_class_weights_average_one_over_pixels():
    fractions = (0.7, 0.2, 0.1)
    weights = class_weights(fractions)
    assert float(weights @ torch.tensor(fractions)) == pytest.approx(1)
    assert float(weights[1] / weights[2]) == pytest.approx(0.5)
    assert class_weights((0.5, 0.5, 0.0)).tolist() == [1.0, 1.0, 0.0]


def test_priors_weigh_the_losses_that_take_them():
    logits, label = logits_of(0.8, 0.4), labels(1, 0)
    weights = class_weights((0.75, 0.25))
    weighted = LOSSES.load("weighted_cross_entropy").weigh_classes((0.75, 0.25))
    found = weighted.of_logits(logits, label)
    torch.testing.assert_close(found, F.cross_entropy(logits, label, weights))
    assert LOSSES.load("dice").weigh_classes((0.75, 0.25)).of_logits is soft_dice


def test_unknown_loss_is_refused():
    with pytest.raises(ConfigError, match=r"dise.*: unknown; choose one of border_cross_entropy"):
        LOSSES.load("dise")
