"""Tiles turned by any angle and bent: the ground moves as a whole, and no data stays none."""

from __future__ import annotations

import math

import pytest
import torch

from floodloom.arrays import IGNORE
from floodloom.learning.data import elastic
from floodloom.learning.data.augmentation import Augmentation, Draws
from floodloom.learning.data.elastic import bend
from floodloom.learning.data.samples import Samples


@pytest.fixture
def tiles() -> Samples:
    rows, cols = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    waves = torch.sin(rows / 9) + torch.sin(cols / 7)
    image = waves.expand(6, 2, 64, 64).clone()
    valid = torch.ones_like(image, dtype=torch.bool)
    image[:, :, :5], valid[:, :, :5] = 0, False
    label = (waves > 0).to(torch.uint8).expand(6, 64, 64).clone()
    label[:, :5] = IGNORE
    return Samples(image, label, clear=valid[:, 0].clone(), valid=valid)


def seeds(first: int = 0) -> torch.Tensor:
    return torch.arange(first, first + 6)


def test_labels_go_with_the_image(tiles):
    bent = bend(tiles, Draws(seeds()), 1.0)
    assert not torch.equal(bent.image, tiles.image)
    known = bent.label != IGNORE
    assert known.float().mean() > 0.5
    right = (bent.image[:, 0] > 0) == (bent.label == 1)
    assert right[known & (bent.image[:, 0].abs() > 0.2)].all()


def test_what_has_no_data_stays_without(tiles):
    bent = bend(tiles, Draws(seeds()), 1.0)
    assert (bent.image[~bent.valid] == 0).all()
    assert (bent.label[~bent.all_valid] == IGNORE).all()
    assert (~bent.valid).any(dim=1).any(dim=1).any(dim=1).all()
    assert torch.equal(bent.clear, bent.valid[:, 0])


def test_a_tile_is_bent_alike_in_any_batch(tiles):
    together = bend(tiles, Draws(seeds()), 0.5)
    alone = bend(tiles.between(3, 4), Draws(seeds()[3:4]), 0.5)
    torch.testing.assert_close(together.image[3:4], alone.image, rtol=0, atol=0)


def test_half_are_turned_where_none_is_bent(tiles, monkeypatch):
    monkeypatch.setattr(elastic, "_TURN", 0.0)
    same = bend(tiles, Draws(seeds()), 1e-9)
    torch.testing.assert_close(same.image, tiles.image, rtol=0, atol=1e-4)
    monkeypatch.setattr(elastic, "_TURNED", 0.0)
    assert bend(tiles, Draws(seeds()), 1e-9) is tiles


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_that_of_the_square(tiles, quarters):
    angle = torch.full((6,), quarters * math.pi / 2)
    places = elastic._places(torch.zeros(6, 2, 64, 64), _homogeneous(angle))
    turned = elastic._resampled(tiles, torch.arange(6), places)
    expected = torch.rot90(tiles.label, -quarters, dims=(-2, -1))
    other = torch.rot90(tiles.label, quarters, dims=(-2, -1))
    assert torch.equal(turned.label, expected) or torch.equal(turned.label, other)


def _homogeneous(angle: torch.Tensor) -> torch.Tensor:
    rotation = elastic._rotation(angle)
    return torch.cat([rotation, torch.zeros(len(angle), 2, 1)], dim=2)


def test_three_points_move_by_what_they_should():
    moves = torch.randn(4, 3, 2)
    affine = elastic._affine(moves, 64, 96)
    points = torch.tensor([[21.0, 21.0], [21.0, -21.0], [-21.0, -21.0]])
    known = torch.cat([points, torch.ones(3, 1)], dim=1)
    found = torch.einsum("tij,pj->tpi", affine, known)
    torch.testing.assert_close(found, points + moves, rtol=1e-4, atol=1e-4)


def test_without_it_an_augmentation_draws_as_before(tiles):
    """So that trainings without it stay as they are."""
    plain = Augmentation(band_drop=0.5)(tiles, seeds())
    bent = Augmentation(band_drop=0.5, elastic=1.0)(tiles, seeds())
    assert not torch.equal(plain.image, bent.image)
    torch.testing.assert_close(
        plain.image, Augmentation(band_drop=0.5, elastic=0.0)(tiles, seeds()).image
    )
