"""Tiles are drawn alike or by class."""

from __future__ import annotations

import torch

from floodloom.learning.data.training_set import draw_epoch, draw_mixture, sampling_weights
from floodloom.learning.training.distributed import Processes

COUNTS = torch.tensor([[0, 16], [0, 0], *[[16, 0]] * 8])


def test_classes_are_drawn_alike_when_balanced():
    balanced = sampling_weights(COUNTS, 1.0)
    torch.testing.assert_close(balanced[0].item(), 0.5)
    assert balanced[1] == 0
    torch.testing.assert_close(balanced.sum().item(), 1.0)
    torch.testing.assert_close(sampling_weights(COUNTS, 0.0), torch.full((10,), 0.1).double())


def test_tiles_come_as_often_as_their_weights_say():
    weights = torch.tensor([0.7, 0.3]).double()
    draw = draw_epoch(weights, 2000, 5, torch.Generator().manual_seed(0))
    assert abs((draw.tile == 0).float().mean().item() - 0.7) < 0.02
    assert len(draw.seed.unique()) == draw.seed.numel()


def test_half_of_every_batch_is_pseudo_labelled_however_few_tiles_are():
    pseudo = torch.arange(20) >= 18
    weights = torch.where(pseudo, 1 / 2, 1 / 18).double()
    draw = draw_mixture(weights, pseudo, 7, 8, torch.Generator().manual_seed(0))
    assert (pseudo[draw.tile].sum(dim=1) == 4).all()
    assert torch.equal(pseudo[draw.partner], pseudo[draw.tile])


def test_processes_share_every_batch_and_nothing_is_lost():
    draw = draw_epoch(torch.ones(9).double() / 9, 3, 4, torch.Generator().manual_seed(0))
    parts = [draw.of(Processes(rank, 2)) for rank in range(2)]
    for name in ("tile", "partner", "seed"):
        joined = torch.cat([getattr(part, name) for part in parts], dim=1)
        assert torch.equal(joined, getattr(draw, name))
    assert torch.equal(draw.partner[:, 1:], draw.tile[:, :-1])


def test_tiles_with_and_without_foreground_are_drawn_alike():
    """However much of it they hold: the sampler of Paul and Ganju."""
    counts = torch.tensor([[100, 0], [100, 0], [100, 0], [99, 1], [10, 90]])
    weights = sampling_weights(counts, "presence")
    torch.testing.assert_close(weights, torch.tensor([1 / 6] * 3 + [1 / 4] * 2).double())
    alike = sampling_weights(torch.tensor([[1, 5], [3, 1]]), "presence")
    torch.testing.assert_close(alike, torch.tensor([0.5, 0.5]).double())
