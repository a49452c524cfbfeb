"""Objectives for sparse labels, and the choice by name."""

from __future__ import annotations

import pytest
import torch

from floodloom.errors import ConfigError
from floodloom.learning.data.samples import Samples
from floodloom.learning.losses.contrast import class_contrast
from floodloom.learning.losses.pixels import LOSSES, cross_entropy, soft_dice
from floodloom.learning.losses.unlabelled import continuity, festa, similarity
from floodloom.learning.training.objective import (
    CONTRAST_WEIGHT,
    FESTA_WEIGHT,
    OBJECTIVES,
    SCRIBBLE_WEIGHT,
    objective_of,
)
from floodloom.learning.training.settings import LossName, SupervisedLossName
from floodloom.models.blocks import resize
from floodloom.models.registry import build


@pytest.fixture
def batch():
    torch.manual_seed(0)
    image = torch.randn(2, 2, 32, 32)
    image[:, :, :4] = 0  # no data
    label = torch.full((2, 32, 32), 255, dtype=torch.uint8)
    label[:, 10:12], label[:, 20:22] = 0, 1
    return Samples(image, label)


@pytest.fixture
def network():
    torch.manual_seed(1)
    return build("unet", 2, 2, width=4, depth=2).eval()


@pytest.mark.parametrize(("name", "sides"), [("unet", 0), ("hourglass", 1), ("u2net", 6)])
def test_side_outputs_are_learnt_from_too(name, sides, batch):
    model = build(name, 2, 2, width=2).eval()
    features = model.features(batch.image)
    predictions = [model.classify(features), *model.side_logits(features)]
    assert len(predictions) == 1 + sides
    enlarged = [resize(one, batch.image.shape[-2:]) for one in predictions]
    expected = sum(cross_entropy(one, batch.label.long()) for one in enlarged)
    found = objective_of("cross_entropy")[1](model, batch)
    torch.testing.assert_close(found, expected)


def test_the_config_offers_every_loss():
    assert set(LossName.__args__) == {*LOSSES, *OBJECTIVES}
    assert set(SupervisedLossName.__args__) == set(LOSSES)


def test_losses_are_their_own_objective(network, batch):
    loss, objective = objective_of("dice")
    assert loss is soft_dice
    expected = soft_dice(network(batch.image), batch.label.long())
    torch.testing.assert_close(objective(network, batch), expected)


def test_festa_is_added_to_the_cross_entropy(network, batch):
    loss, objective = objective_of("festa")
    assert loss is cross_entropy
    supervised = cross_entropy(network(batch.image), batch.label.long())
    torch.manual_seed(7)
    terms = festa(network.features(batch.image)[-1], (batch.image != 0).any(dim=1))
    torch.manual_seed(7)
    torch.testing.assert_close(objective(network, batch), supervised + FESTA_WEIGHT * terms)


def test_contrast_is_added_to_the_cross_entropy(network, batch):
    _, objective = objective_of("contrast")
    label = batch.label.long()
    terms = class_contrast(network.features(batch.image)[-1], label, 2)
    expected = cross_entropy(network(batch.image), label) + CONTRAST_WEIGHT * terms
    torch.testing.assert_close(objective(network, batch), expected)


def test_contrast_of_features_that_are_smaller_than_the_tile(batch):
    model = build("hourglass", 2, 2, width=2)
    _, objective = objective_of("contrast")
    assert objective(model, batch).isfinite()


def test_scribbles_are_added_to_similarity_and_continuity(network, batch):
    _, objective = objective_of("scribble")
    logits, valid = network(batch.image), (batch.image != 0).any(dim=1)
    expected = similarity(logits, valid) + continuity(logits, valid)
    expected = expected + SCRIBBLE_WEIGHT * cross_entropy(logits, batch.label.long())
    torch.testing.assert_close(objective(network, batch), expected)


@pytest.mark.parametrize("name", [*LOSSES, *OBJECTIVES])
def test_every_choice_teaches_every_weight(network, batch, name):
    _, objective = objective_of(name, (0.5, 0.5))
    network.train()
    objective(network, batch).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"'kim': unknown; choose one of cross_entropy, .*festa"):
        objective_of("kim")
