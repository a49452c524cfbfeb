"""What each loss minimises, and the choice by name."""

from __future__ import annotations

import pytest
import torch

from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Prediction
from floodloom.learning.losses import LOSSES
from floodloom.learning.losses.contrast import CONTRAST_WEIGHT, class_contrast
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.losses.dice import soft_dice
from floodloom.learning.losses.festa import FESTA_WEIGHT, festa
from floodloom.learning.losses.scribble import SCRIBBLE_WEIGHT, continuity, similarity
from floodloom.models.blocks import resize
from floodloom.models.registry import build


@pytest.fixture
def batch():
    torch.manual_seed(0)
    image = torch.randn(2, 2, 32, 32)
    valid = torch.ones(2, 2, 32, 32, dtype=torch.bool)
    image[:, :, :4], valid[:, :, :4] = 0, False
    label = torch.full((2, 32, 32), 255, dtype=torch.uint8)
    label[:, 10:12], label[:, 20:22] = 0, 1
    return Samples(image, label, valid=valid)


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
    found = LOSSES.load("cross_entropy")(Prediction(model, batch.image), batch)
    torch.testing.assert_close(found, expected)


def minimised(name, network, batch, fractions=()):
    loss = LOSSES.load(name).weigh_classes(fractions) if fractions else LOSSES.load(name)
    return loss(Prediction(network, batch.image), batch)


def test_the_loss_of_logits_is_what_is_minimised(network, batch):
    assert LOSSES.load("dice").of_logits is soft_dice
    expected = soft_dice(network(batch.image), batch.label.long())
    torch.testing.assert_close(minimised("dice", network, batch), expected)


def test_festa_is_added_to_the_cross_entropy(network, batch):
    assert LOSSES.load("festa").of_logits is cross_entropy
    supervised = cross_entropy(network(batch.image), batch.label.long())
    torch.manual_seed(7)
    terms = festa(network.features(batch.image)[-1], batch.any_valid)
    torch.manual_seed(7)
    found = minimised("festa", network, batch)
    torch.testing.assert_close(found, supervised + FESTA_WEIGHT * terms)


def test_contrast_is_added_to_the_cross_entropy(network, batch):
    label = batch.label.long()
    terms = class_contrast(network.features(batch.image)[-1], label, 2)
    expected = cross_entropy(network(batch.image), label) + CONTRAST_WEIGHT * terms
    torch.testing.assert_close(minimised("contrast", network, batch), expected)


def test_contrast_of_features_that_are_smaller_than_the_tile(batch):
    model = build("hourglass", 2, 2, width=2)
    assert minimised("contrast", model, batch).isfinite()


def test_scribbles_are_added_to_similarity_and_continuity(network, batch):
    logits, valid = network(batch.image), batch.any_valid
    expected = similarity(logits, valid) + continuity(logits, valid)
    expected = expected + SCRIBBLE_WEIGHT * cross_entropy(logits, batch.label.long())
    torch.testing.assert_close(minimised("scribble", network, batch), expected)


@pytest.mark.parametrize("name", LOSSES.names)
def test_every_choice_teaches_every_weight(network, batch, name):
    network.train()
    minimised(name, network, batch, (0.5, 0.5)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_loss_is_named_alike_in_every_process():
    """Otherwise no training would be taken up after a kill."""
    weighted = LOSSES.load("weighted_cross_entropy").weigh_classes((0.5, 0.5))
    assert " at 0x" not in repr(weighted)
    assert repr(weighted) != repr(LOSSES.load("cross_entropy"))
