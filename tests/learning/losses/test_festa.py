"""FESTA's terms by hand, pixels without data left out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from floodloom.learning.losses.festa import festa


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
