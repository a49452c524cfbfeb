"""Tiles are drawn alike, by class, and by place, as asked."""

from __future__ import annotations

import torch

from floodloom.learning.data.sampling import draw_epoch, sampling_weights
from floodloom.learning.training.distributed import Team

COUNTS = torch.tensor([[0, 16], [0, 0], *[[16, 0]] * 8])


def test_classes_are_drawn_alike_when_balanced():
    balanced = sampling_weights(COUNTS, 1.0)
    torch.testing.assert_close(balanced[0].item(), 0.5)
    assert balanced[1] == 0
    torch.testing.assert_close(balanced.sum().item(), 1.0)
    torch.testing.assert_close(sampling_weights(COUNTS, 0.0), torch.full((10,), 0.1).double())


def test_places_are_drawn_alike_when_balanced():
    counts = torch.ones(12, 2)
    places = ["big"] * 9 + ["small"] * 3
    spread = sampling_weights(counts, 0.5, places, 1.0)
    torch.testing.assert_close(spread[:9].sum().item(), 0.5)
    torch.testing.assert_close(spread[0].item(), 0.5 / 9)
    plain = sampling_weights(counts, 0.5, places, 0.0)
    torch.testing.assert_close(plain, torch.full((12,), 1 / 12).double())
    halfway = sampling_weights(counts, 0.5, places, 0.5)
    torch.testing.assert_close(halfway, (spread + plain) / 2)


def test_within_a_class_only_places_that_show_it_share_it():
    counts = torch.tensor([[4, 12], [4, 4], [8, 0]])
    spread = sampling_weights(counts, 1.0, ["a", "b", "c"], 1.0)
    by_hand = torch.tensor([1 / 3 + 1 / 2, 1 / 3 + 1 / 2, 1 / 3]).double() / 2
    torch.testing.assert_close(spread, by_hand)
    torch.testing.assert_close(spread.sum().item(), 1.0)


def test_tiles_come_as_often_as_their_weights_say():
    weights = torch.tensor([0.7, 0.3]).double()
    draw = draw_epoch(weights, 2000, 5, torch.Generator().manual_seed(0))
    assert abs((draw.tile == 0).float().mean().item() - 0.7) < 0.02
    assert len(draw.seed.unique()) == draw.seed.numel()


def test_processes_share_every_batch_and_nothing_is_lost():
    draw = draw_epoch(torch.ones(9).double() / 9, 3, 4, torch.Generator().manual_seed(0))
    parts = [draw.of(Team(rank, 2)) for rank in range(2)]
    for name in ("tile", "partner", "seed"):
        joined = torch.cat([getattr(part, name) for part in parts], dim=1)
        assert torch.equal(joined, getattr(draw, name))
    assert torch.equal(draw.partner[:, 1:], draw.tile[:, :-1])
