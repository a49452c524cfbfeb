"""A shift between teacher and student is found, and undone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from floodloom.learning.distillation.terms import find_shift, shift_tiles


def scene(seed=0, side=40):
    """(1, 2, y, x) logits of smooth shapes."""
    noise = torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(seed))
    shapes = 8 * F.avg_pool2d(noise, 7, 1, 3)
    return torch.cat([-shapes, shapes], dim=1)


@pytest.mark.parametrize("off", [(0, 0), (2, -1), (-2, 2), (0, 1)])
def test_the_teachers_shift_is_undone(off):
    ours = scene()
    theirs = 2 * ours.roll(off, dims=(-2, -1))
    found = find_shift(ours, theirs, torch.ones(1, 40, 40), 2)
    assert found.tolist() == [[-off[0], -off[1]]]
    back = shift_tiles(theirs, found)
    torch.testing.assert_close(back[..., 2:-2, 2:-2], 2 * ours[..., 2:-2, 2:-2])


def test_a_shift_is_found_under_clouds_each_tile_its_own():
    ours = torch.cat([scene(0), scene(1)])
    theirs = torch.cat([scene(0).roll(1, dims=-1), scene(1).roll(-2, dims=-2)])
    theirs[..., :15] = 9.0
    weight = torch.ones(2, 40, 40)
    weight[..., :15] = 0
    assert find_shift(ours, theirs, weight, 2).tolist() == [[0, -1], [2, 0]]


def test_without_reason_nothing_moves():
    ours, theirs = torch.zeros(1, 2, 40, 40), scene()
    assert find_shift(ours, theirs, torch.ones(1, 40, 40), 2).tolist() == [[0, 0]]
    assert find_shift(scene(), scene(), torch.zeros(1, 40, 40), 2).tolist() == [[0, 0]]
    assert find_shift(scene(), scene().roll(2, -1), torch.ones(1, 40, 40), 0).tolist() == [[0, 0]]


def test_what_comes_in_at_the_rim_counts_nothing():
    weight = torch.ones(1, 6, 6)
    shifted = shift_tiles(weight, torch.tensor([[2, -1]]))
    assert shifted[0, :2].sum() == 0
    assert shifted[0, :, -1].sum() == 0
    assert shifted.sum() == 4 * 5
    coarse = shift_tiles(torch.arange(9.0).view(1, 1, 3, 3), torch.tensor([[2, 0]]), scale=2.0)
    assert coarse[0, 0].tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5]]


def test_half_precision_is_moved_under_autocast() -> None:
    """As the teacher's stored logits are in a training in bfloat16."""
    tensor = torch.arange(32.0).view(2, 1, 4, 4).half()
    shift = torch.tensor([[1, 0], [0, -2]])
    with torch.autocast("cpu", torch.bfloat16):
        result = shift_tiles(tensor, shift)
    assert result.dtype == torch.float16
    torch.testing.assert_close(result, shift_tiles(tensor.float(), shift).half())
    assert torch.equal(result[0, 0, 1:], tensor[0, 0, :3])
    assert torch.equal(result[1, 0, :, :2], tensor[1, 0, :, 2:])
    assert not result[0, 0, 0].any()
    assert not result[1, 0, :, 2:].any()
