"""Weights as whole numbers, by what they add up."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from floodloom.models.quantisation import IMAGE, observe, round_weights


def problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, what a step is worth, and inputs of which neighbours go together."""
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 36, generator=draw)
    common = torch.randn(4, 1, 500, generator=draw) - 1
    apart = 0.2 * torch.randn(4, 9, 500, generator=draw)
    return weights, weights.abs().amax(dim=1) / 63, (common + apart).flatten(0, 1)


def test_sums_stay_nearer_than_by_rounding_each_weight() -> None:
    weights, scale, inputs = problem()
    exact = weights @ inputs
    errors = [
        ((scale[:, None] * round_weights(weights, scale, seen, 63).float()) @ inputs - exact)
        for seen in (None, inputs)
    ]
    plain, rounded = (error.square().mean().sqrt() for error in errors)
    assert rounded < 0.5 * plain


def test_they_are_whole_and_within_their_steps() -> None:
    weights, scale, inputs = problem()
    for seen in (None, inputs):
        whole = round_weights(weights, scale, seen, 63)
        assert torch.equal(whole, whole.round())
        assert whole.abs().max() <= 63
        assert (whole - weights / scale[:, None]).abs().max() < 4


def test_each_is_rounded_by_itself_where_inputs_are_not_related() -> None:
    weights, scale, _ = problem()
    apart = torch.eye(36).repeat(1, 3)
    assert torch.equal(
        round_weights(weights, scale, apart, 63), round_weights(weights, scale, None, 63)
    )


def test_weights_that_are_whole_stay() -> None:
    _, scale, inputs = problem()
    whole = torch.arange(-18, 18).repeat(6, 1).double()
    assert torch.equal(round_weights(whole.float() * scale[:, None], scale, inputs, 63), whole)


def test_largest_values_and_inputs_are_observed_and_hooks_removed() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1)
    model = nn.Sequential(layer, nn.ReLU(), nn.Conv2d(3, 200, 3), nn.Conv2d(200, 1, 3))
    image = torch.linspace(-2, 1, 2 * 64 * 64).reshape(1, 2, 64, 64)
    with observe(model) as seen, torch.inference_mode():
        model(image)
        model(image / 2)
    with torch.inference_mode():
        largest = float(layer(image).max())
    assert seen.largest[IMAGE] == 2
    assert largest <= seen.largest["1"] < largest + 1 / 32
    assert not seen.overflow
    inputs = seen.inputs_of("0")
    assert inputs is not None
    assert inputs.shape == (18, 2 * 16 * 16)
    sums = (layer.weight.flatten(1) @ inputs + layer.bias[:, None])[:, : 16 * 16]
    expected = layer(image)[0, :, ::4, ::4].flatten(1)
    torch.testing.assert_close(sums, expected, atol=1e-5, rtol=1e-5)
    assert seen.inputs_of("3") is None  # 1800 inputs
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_an_overflow_is_noted(spoilt) -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    with observe(model) as seen, torch.inference_mode():
        model(torch.full((1, 1, 8, 8), spoilt))
    assert seen.overflow
