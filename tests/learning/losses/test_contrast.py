"""Contrasts by hand, and what takes no part in them."""

from __future__ import annotations

import math

import pytest
import torch

from floodloom.learning.losses.contrast import class_contrast


def test_class_contrast_by_hand():
    """Two classes along two axes; T = 1/2."""
    features = torch.tensor([[[4.0, 0.0, 3.0], [0.0, 1.0, 5.0]]]).view(1, 2, 1, 3)
    label = torch.tensor([0, 1, 255]).view(1, 1, 3)
    value = class_contrast(features, label, 2)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))
    mixed = class_contrast(features, torch.tensor([0, 0, 1]).view(1, 1, 3), 2)
    first, second = math.sqrt(0.5), 1 / math.sqrt(34)
    expected = [
        math.log(1 + math.exp(2 * (3 * second - first))),
        math.log(1 + math.exp(2 * (5 * second - first))),
        math.log(1 + math.exp(2 * (first * 8 * second - 1))),
    ]
    assert float(mixed) == pytest.approx(sum(expected) / 3)


def test_class_contrast_knows_only_the_classes_that_are_shown():
    torch.manual_seed(0)
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    label = torch.randint(2, (2, 4, 4))
    torch.testing.assert_close(
        class_contrast(features, label, 5), class_contrast(features, label, 2)
    )
    nothing = class_contrast(features, torch.full((2, 4, 4), 255), 2)
    nothing.backward()
    assert nothing.item() == 0
    assert not features.grad.any()


def test_class_contrast_draws_the_classes_apart():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 8, 8, requires_grad=True)
    label = torch.randint(2, (2, 8, 8))
    optimizer = torch.optim.Adam([features], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        class_contrast(features, label, 2).backward()
        optimizer.step()
    flat, classes = features.detach().movedim(1, -1).flatten(0, 2), label.flatten()
    means = [torch.nn.functional.normalize(flat[classes == c], dim=1).mean(0) for c in (0, 1)]
    assert float(torch.nn.functional.cosine_similarity(means[0], means[1], dim=0)) < -0.9
