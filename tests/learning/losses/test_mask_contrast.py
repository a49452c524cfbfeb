"""MaskContrast by hand, and what takes no part in it."""

from __future__ import annotations

import math

import pytest
import torch

from floodloom.learning.loss import mask_contrast, prototypes


def test_prototypes_are_mean_directions_of_objects():
    key = torch.tensor([[3.0, 0.0, 5.0], [0.0, 2.0, 5.0]]).view(1, 2, 1, 3)
    prototype, there = prototypes(key, torch.tensor([1, 1, 0]).view(1, 1, 3))
    torch.testing.assert_close(prototype, torch.full((1, 2), math.sqrt(0.5)))
    assert there.tolist() == [True]


def test_mask_contrast_by_hand():
    """Two tiles whose objects point along different axes; T = 1/2."""
    query = torch.tensor([[[4.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]).view(2, 2, 1, 2)
    mask = torch.tensor([[1, 0], [1, 255]]).view(2, 1, 2)
    value = mask_contrast(query, query, mask)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))
    memory = torch.tensor([[-1.0, 0.0]])
    first = math.log(1 + math.exp(-2) + math.exp(-4))
    second = math.log(1 + math.exp(-2) + math.exp(-2))
    value = mask_contrast(query, query, mask, memory=memory)
    assert float(value) == pytest.approx((first + second) / 2)


def test_mask_contrast_ignores_what_is_no_object():
    torch.manual_seed(0)
    mask = torch.randint(2, (3, 8, 8))
    mask[:, :2], mask[2] = 255, 0
    query = torch.randn(3, 4, 8, 8, requires_grad=True)
    key = torch.randn(3, 4, 8, 8)
    value = mask_contrast(query, key, mask)
    value.backward()
    assert not query.grad[:, :, :2].any()
    assert not query.grad[2].any()
    assert query.grad[:2, :, 2:].any()
    changed = torch.where((mask == 1).unsqueeze(1), key, torch.randn_like(key))
    torch.testing.assert_close(mask_contrast(query, changed, mask), value)
    two = mask_contrast(query[:2], key[:2], mask[:2])
    torch.testing.assert_close(value, two)


def test_mask_contrast_without_objects_costs_nothing():
    query = torch.randn(2, 4, 4, 4, requires_grad=True)
    value = mask_contrast(query, query, torch.zeros(2, 4, 4))
    value.backward()
    assert value.item() == 0
    assert not query.grad.any()
