"""UpsamplingName: exact sizes, worked examples, and where the checkerboard comes from."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import (
    Enlarge,
    Upsample,
    bed_of_nails,
    max_unpool,
    places_of_maxima,
)
from floodloom.models.registry import arguments_of, names
from tests.models.zoo import SHALLOW, small

KINDS = get_args(UpsamplingName)
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def like(height: int, width: int, channels: int = 2) -> torch.Tensor:
    return torch.randn(1, channels, height, width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(10, 14), (11, 14), (9, 13), (9, 14)])
def test_any_size_is_reached(kind, size):
    coarse = like(5, 7, channels=3)
    assert Upsample(3, kind)(coarse, like(*size)).shape == (1, 3, *size)


DECODERS = sorted(name for name in names() if "upsampling" in arguments_of(name))


def test_every_decoder_that_enlarges_has_the_choice():
    without = {"full_resolution", "hfd_net", "late_fusion", "per_pixel", "sliding_window"}
    assert set(names()) - set(DECODERS) == without


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("kind", KINDS)
def test_decoders_take_every_kind(name, kind):
    # Of 4, a decoder has 1 channel, which may die.
    model = small(name, upsampling=kind, **{"width": 8} | SHALLOW.get(name, {}))
    logits = model(torch.randn(2, 2, 37, 50))
    assert logits.shape == (2, 2, 37, 50)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("name", ["unet", "unetplusplus"])
@pytest.mark.parametrize("encoder", [None, "mobilenet_v2"])
def test_skips_are_added_or_concatenated(name, encoder):
    image = torch.randn(2, 2, 37, 50)
    models = {skips: small(name, skips=skips, encoder=encoder) for skips in ("add", "concatenate")}
    assert all(model(image).shape == (2, 2, 37, 50) for model in models.values())
    if encoder is None:
        count = {s: sum(p.numel() for p in m.parameters()) for s, m in models.items()}
        assert count["add"] < count["concatenate"]


@pytest.mark.parametrize("name", DECODERS)
def test_the_kind_changes_what_is_predicted(name):
    """The choice reaches the decoder: two kinds without weights of their own differ."""
    kinds = ("bilinear", "nearest") if name == "hourglass" else ("bilinear", "bed_of_nails")
    image = torch.randn(2, 2, 64, 64)
    with torch.no_grad():
        ours, theirs = (small(name, upsampling=kind, width=8)(image) for kind in kinds)
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1, 2, 8, 32])
@pytest.mark.parametrize("size", [(64, 96), (50, 71)])
def test_any_factor_is_reached(kind, factor, size):
    coarse = like(-(-size[0] // factor), -(-size[1] // factor), channels=3)
    assert Enlarge(3, kind, factor)(coarse, like(*size)).shape == (1, 3, *size)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_wide_transposed_convolution_begins_as_bilinear_interpolation(factor):
    coarse = like(6, 7, channels=3)
    enlarge = Enlarge(3, "transposed_4x4", factor)
    with torch.no_grad():
        found = enlarge(coarse, like(6 * factor, 7 * factor))
    expected = F.interpolate(coarse, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = (..., slice(factor, -factor), slice(factor, -factor))  # beyond the border are zeros
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
def test_interpolation_keeps_a_constant_and_leaves_the_right_size_alone(kind):
    up = Upsample(2, kind)
    image = like(5, 7)
    assert torch.equal(up(image, image), image)
    constant = torch.full((1, 2, 5, 7), 3.0)
    torch.testing.assert_close(up(constant, like(11, 13)), torch.full((1, 2, 11, 13), 3.0))


def test_bed_of_nails_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = torch.tensor([[1.0, 0, 2, 0, 0], [0, 0, 0, 0, 0], [3, 0, 4, 0, 0], [0, 0, 0, 0, 0]])
    assert torch.equal(bed_of_nails(x, torch.Size((4, 5)))[0, 0], expected)
    assert torch.equal(bed_of_nails(x, torch.Size((3, 3)))[0, 0], expected[:3, :3])


POOLED = torch.tensor([[[[1.0, 5, 2, 0], [3, 4, 8, 1], [7, 0, 0, 2], [6, 1, 3, 9]]]])
"""Its maxima in 2×2 blocks are 5, 8, 7 and 9."""


def test_max_unpooling_by_hand():
    # SegNet (arXiv 1511.00561, Fig. 3): values go back to where the encoder found its maxima.
    maxima, places = F.max_pool2d(POOLED, 2, return_indices=True)
    assert maxima.flatten().tolist() == [5, 8, 7, 9]
    assert places.flatten().tolist() == [1, 6, 8, 15]
    raised = max_unpool(torch.tensor([[[[10.0, 20], [30, 40]]]]), places, torch.Size((4, 4)))
    expected = torch.tensor([[0.0, 10, 0, 0], [0, 0, 20, 0], [30, 0, 0, 0], [0, 0, 0, 40]])
    assert torch.equal(raised[0, 0], expected)


@pytest.mark.parametrize("size", [(8, 12), (9, 13), (8, 13)])
def test_max_unpooling_is_torchs(size):
    full = like(*size)
    pooled, places = F.max_pool2d(full, 2, return_indices=True)
    expected = F.max_unpool2d(pooled, places, 2, output_size=list(size))
    assert torch.equal(max_unpool(pooled, places, full.shape[-2:]), expected)
    again, _ = F.max_pool2d(
        max_unpool(pooled.abs(), places, full.shape[-2:]), 2, return_indices=True
    )
    assert torch.equal(again, pooled.abs())


def test_a_skip_tells_the_places_that_its_pooling_stored():
    assert places_of_maxima(POOLED, torch.zeros(1, 1, 2, 2)).flatten().tolist() == [1, 6, 8, 15]
    wide = places_of_maxima(like(9, 12), torch.zeros(1, 5, 5, 6))
    assert torch.equal(wide[:, 0], wide[:, 2])
    assert torch.equal(wide[:, 1], wide[:, 3])


def footprint(kind: str) -> torch.Tensor:
    """Return what a constant becomes, all weights being one, away from the border."""
    up = Upsample(1, kind)
    nn.init.ones_(up.enlarge.weight)
    nn.init.zeros_(up.enlarge.bias)
    with torch.no_grad():
        return up(torch.ones(1, 1, 8, 8), like(16, 16))[0, 0, 4:12, 4:12]


@pytest.mark.parametrize(("kind", "level"), [("transposed", 1), ("transposed_4x4", 4)])
def test_kernels_that_the_stride_divides_leave_no_checkerboard(kind, level):
    assert torch.equal(footprint(kind), torch.full((8, 8), float(level)))


def test_a_3x3_kernel_at_stride_2_draws_a_checkerboard():
    drawn = footprint("transposed_3x3")
    assert sorted(drawn.unique().tolist()) == [1, 2, 4]
    assert torch.equal(drawn[:2, :2], torch.tensor([[1.0, 2], [2, 4]]))
    assert torch.equal(drawn, drawn[:2, :2].repeat(4, 4))
