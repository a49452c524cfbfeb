"""Losses without labels against values worked out by hand, and pixels without data left out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from floodloom.learning.unlabelled import continuity, festa, mask_contrast, prototypes, similarity

ALL = torch.ones(1, 1, 3, dtype=torch.bool)


def test_similarity_by_hand():
    response = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 1.0]]).view(1, 2, 1, 3)
    by_hand = math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(2)
    assert float(similarity(response, ALL)) == pytest.approx(sum(by_hand) / 3)
    valid = torch.tensor([True, True, False]).view(1, 1, 3)
    assert float(similarity(response, valid)) == pytest.approx(sum(by_hand[:2]) / 2)


def test_continuity_by_hand():
    response = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.0, 4.0]]).view(1, 1, 2, 3)
    beside, below = (1 + 2 + 0 + 4) / 4, (0 + 1 + 1) / 3
    valid = torch.ones(1, 2, 3, dtype=torch.bool)
    assert float(continuity(response, valid)) == pytest.approx(beside + below)
    valid[0, 1, 2] = False
    beside, below = (1 + 2 + 0) / 3, (0 + 1) / 2
    assert float(continuity(response, valid)) == pytest.approx(beside + below)


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


def test_festa_by_hand_on_a_line():
    """Every pixel is drawn; features along one axis but for the last one."""
    features = torch.tensor([[1.0, 2.0, 4.0, 0.0], [0.0, 0.0, 0.0, 3.0]]).view(1, 2, 1, 4)
    valid = torch.ones(1, 1, 4, dtype=torch.bool)
    near = (1 + 1 + 4 + 10) / 4  # the last one's nearest is (1, 0)
    beside = (1 + 1 + 4 + 25) / 4
    far = (0 + 0 + 0 + 0) / 4  # orthogonal to the last one, and the other way round
    value = festa(features, valid, share=1.0)
    assert float(value) == pytest.approx(0.5 * near + 1.5 * beside + far)
    only_near = festa(features, valid, share=1.0, weights=(1.0, 0.0, 0.0))
    assert float(only_near) == pytest.approx(near)


def test_festa_is_that_of_all_pairs():
    torch.manual_seed(0)
    features = torch.randn(1, 3, 6, 7)
    valid = torch.rand(1, 6, 7) > 0.3
    flat = features[0].flatten(1).T
    known = torch.nonzero(valid.flatten()).squeeze(1).tolist()
    terms = []
    for i in known:
        others = [j for j in known if j != i]
        beside = [j for j in others if max(abs(i // 7 - j // 7), abs(i % 7 - j % 7)) == 1]
        square = {j: float((flat[i] - flat[j]).square().sum()) for j in others}
        cosine = min(float(F.cosine_similarity(flat[i], flat[j], dim=0)) for j in known)
        closest = min((square[j] for j in beside), default=0.0)
        terms.append(0.5 * min(square.values()) + 1.5 * closest + cosine)
    expected = sum(terms) / len(terms)
    assert float(festa(features, valid, share=1.0)) == pytest.approx(expected, rel=1e-5)


def test_festa_draws_its_share_and_leaves_pixels_without_data_alone():
    torch.manual_seed(0)
    features = torch.randn(2, 3, 20, 20, requires_grad=True)
    valid = torch.zeros(2, 20, 20, dtype=torch.bool)
    valid[0, :10] = True
    festa(features, valid, share=0.05, weights=(1.0, 0.0, 0.0)).backward()
    touched = features.grad.abs().sum(1) > 0
    assert not touched[~valid].any()
    assert 0 < touched.sum() <= 40


def test_festa_without_data_costs_nothing():
    features = torch.randn(1, 2, 4, 4, requires_grad=True)
    value = festa(features, torch.zeros(1, 4, 4, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
