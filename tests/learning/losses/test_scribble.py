"""Similarity and continuity by hand, pixels without data left out."""

from __future__ import annotations

import math

import pytest
import torch

from floodloom.learning.losses.scribble import continuity, similarity

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
