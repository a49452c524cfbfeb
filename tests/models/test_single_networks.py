"""What is particular to one architecture: known truths about its own idea."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from floodloom.errors import ConfigError
from floodloom.models.architectures.octconv import Octave, OctaveConvolution
from floodloom.models.architectures.pspnet import regional_means
from floodloom.models.measure import receptive_field
from floodloom.models.registry import build
from tests.models.zoo import small


def field_of_layers(layers: list[tuple[int, int, int]]) -> int:
    """Return the receptive field of layers (size, stride, dilation): r ← r + (size - 1) d j."""
    field, jump = 1, 1
    for size, stride, dilation in layers:
        field += (size - 1) * dilation * jump
        jump *= stride
    return field


RESNET18_AT_16 = [
    (7, 2, 1), (3, 2, 1), *[(3, 1, 1)] * 4, (3, 2, 1), *[(3, 1, 1)] * 3, (3, 2, 1),
    *[(3, 1, 1)] * 3, (3, 1, 1), *[(3, 1, 2)] * 3,
]  # fmt: skip
"""Stem, pooling and four stages, the last of which dilates; its first block not yet."""


@pytest.mark.parametrize("rate", [6, 12, 18])
def test_deeplabs_receptive_field_measured_by_gradients(rate):
    # The first block of the dilated stage has the dilation before it in both convolutions.
    layers = [*RESNET18_AT_16[:-3], (3, 1, 1), *[(3, 1, 2)] * 2, (3, 1, rate)]
    expected = field_of_layers(layers)
    model = small("deeplabv3plus", image_pooling=False).double().eval()
    for parameter in model.parameters():
        parameter.data.abs_()  # nothing cancels
    branch = 1 + (6, 12, 18).index(rate)
    width = 16 * 72
    reached = torch.zeros(width, dtype=torch.bool)
    for seed in range(4):  # a max-pooling passes the gradient of one pixel in nine
        torch.manual_seed(seed)
        image = torch.rand(1, 2, 32, width, dtype=torch.float64, requires_grad=True)
        coarse = model.encoder(image)[-1]
        model.context.branches[branch](coarse)[..., coarse.shape[-1] // 2].sum().backward()
        reached |= image.grad.abs().sum((0, 1, 2)) > 0
    columns = reached.nonzero().flatten()
    assert columns[-1] - columns[0] + 1 == expected


def test_deeplab_sees_the_whole_image_by_its_mean_only():
    assert receptive_field(small("deeplabv3plus", image_pooling=False)) < 1024
    assert receptive_field(small("deeplabv3plus")) == 1024


def test_segnet_puts_values_back_where_its_pooling_found_them():
    model = small("segnet", bands=1).eval()
    seen = []
    model.decoder[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.randn(1, 1, 37, 50)
    model(image)
    full = model.encoder[0](image)
    _, places = F.max_pool2d(full, 2, return_indices=True)
    filled = seen[0].flatten(2)
    outside = filled.scatter(2, places.flatten(2), torch.zeros_like(places.flatten(2)).float())
    assert not outside.any()
    assert filled.any()


def test_a_sliding_window_classifies_each_pixel_by_its_own_window():
    model = small("sliding_window", bands=2).eval()
    image = torch.randn(1, 2, 40, 41)
    moved = model(image.roll((3, -2), (2, 3)))
    inner = (slice(None), slice(None), slice(12, 28), slice(12, 28))
    torch.testing.assert_close(moved[inner], model(image).roll((3, -2), (2, 3))[inner])
    window = F.pad(image, (8, 8, 8, 8))[:, :, 20 : 20 + 17, 5 : 5 + 17]
    alone = model.head(model.network(window)[:, :, None, None])
    torch.testing.assert_close(model(image)[:, :, 20, 5], alone[:, :, 0, 0])
    assert receptive_field(small("sliding_window", window=21)) == 21


def test_strips_of_windows_change_nothing(monkeypatch):
    model = small("sliding_window").double().train()
    image = torch.randn(2, 2, 33, 40, dtype=torch.float64)
    gradients = []
    for windows in (4096, 100):
        monkeypatch.setattr("floodloom.models.architectures.sliding_window._WINDOWS", windows)
        model.zero_grad()
        model(image).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for whole, strips in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, strips)


def test_a_classifier_of_pixels_sees_one_pixel():
    assert receptive_field(small("per_pixel")) == 1
    assert receptive_field(small("full_resolution", dilations=(1, 2, 4))) == 1 + 2 * 7


def test_coarse_scores_see_as_far_as_their_depth():
    fields = [receptive_field(small(name)) for name in ("fcn8", "fcn16", "fcn32")]
    assert fields == sorted(fields)
    assert [len(small(name).feature_channels) for name in ("fcn8", "fcn16", "fcn32")] == [3, 2, 1]


def test_pyramid_pooling_is_adaptive_averaging():
    for height, width in ((1, 1), (2, 3), (5, 7), (6, 12), (33, 64)):
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        for bins in (1, 2, 3, 6):
            expected = F.adaptive_avg_pool2d(x, bins)
            torch.testing.assert_close(regional_means(x, bins), expected)


def test_octave_frequencies_update_and_exchange():
    torch.manual_seed(0)
    layer = OctaveConvolution(8, 8, 0.25, 0.25).eval()
    x = Octave(torch.randn(1, 6, 9, 12), torch.randn(1, 2, 5, 6))
    y = layer(x)
    assert y.high.shape == (1, 6, 9, 12)
    assert y.low is not None
    assert y.low.shape == (1, 2, 5, 6)
    without_low = layer(Octave(x.high, torch.zeros_like(x.low)))
    without_high = layer(Octave(torch.zeros_like(x.high), x.low))
    for changed in (without_low, without_high):  # either input reaches both outputs
        assert not torch.equal(changed.high, y.high)
        assert not torch.equal(changed.low, y.low)
    assert layer(Octave(x.high, None)).high.equal(without_low.high)


def test_late_fusion_keeps_its_groups_apart_until_the_end():
    model = small("late_fusion", bands=3, groups=[[0, 2], [1]], width=8).eval()
    image = torch.randn(1, 3, 32, 32)
    changed = image.clone()
    changed[:, 1] += 1
    for before, after in zip(model.features(image), model.features(changed), strict=True):
        first, second = before.chunk(2, dim=1)
        first_after, second_after = after.chunk(2, dim=1)
        assert torch.equal(first, first_after)
        assert not torch.equal(second, second_after)
    assert not torch.equal(model(image), model(changed))


def test_late_fusion_equalises_a_branch_that_shouts():
    # The equation of Krizhevsky et al. 2012, section 3.3, for one channel: k=2, n=5, α=1e-4.
    model = small("late_fusion")
    loud = torch.full((1, 1, 1, 1), 1e4)
    expected = 1e4 / (2 + 1e-4 / 5 * 1e8) ** 0.75
    torch.testing.assert_close(model.equalise(loud).item(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("branch", ["fcn8", "hourglass", "u2net"])
def test_late_fusion_has_one_branch_speak_alone_where_the_other_sees_nothing(branch):
    model = small("late_fusion", bands=4, branch=branch, width=8, alone=True).eval()
    image = torch.randn(2, 4, 64, 64)
    image[0, 2:] = 0
    image[1, 2:, :, :20] = 0
    image[1, 2, :, 40:] = 0  # the other band is there
    other = small("late_fusion", bands=4, branch=branch, width=8, alone=True).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for weight in (*other.branches[1].parameters(), *other.head.parameters()):
            weight.add_(1)
        ours, theirs = model(image), other(image)
    assert ours.shape == (2, 2, 64, 64)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1, :, :, :20], theirs[1, :, :, :20])
    assert (ours[1, :, :, 20:] != theirs[1, :, :, 20:]).all()


def test_late_fusion_teaches_the_branch_that_may_have_to_speak_alone():
    image = torch.randn(1, 4, 64, 64)
    for branch, sides in (("fcn8", 1), ("hourglass", 2)):
        model = small("late_fusion", bands=4, branch=branch, alone=True)
        said = model.side_logits(model.features(image))
        assert [side.shape[1] for side in said] == [2] * sides
        sum(side.sum() for side in said).backward()
        gradients = [[p.grad for p in one.parameters()] for one in model.branches]
        taught = [[one is not None and bool(one.any()) for one in both] for both in gradients]
        assert sum(taught[0]) > 0.9 * len(taught[0])
        assert not any(taught[1])
    silent = small("late_fusion", bands=4, branch="hourglass")
    assert silent.side_logits(silent.features(image)) == []


@pytest.mark.parametrize("branch", ["unet", "segnet", "linknet"])
def test_late_fusion_joins_any_two_identical_networks(branch):
    model = small("late_fusion", bands=4, classes=3, branch=branch)
    assert model(torch.randn(2, 4, 33, 50)).shape == (2, 3, 33, 50)


def test_exchange_connects_every_branch_with_every_other():
    model = small("hrnet", blocks=1).eval()
    exchange = model.stages[-1][0].exchange
    maps = [torch.randn(1, 4 * 2**k, 16 // 2**k, 24 // 2**k) for k in range(4)]
    heard = exchange([m.clone() for m in maps])
    for source in range(4):
        changed = [m + (k == source) for k, m in enumerate(maps)]
        for before, after in zip(heard, exchange(changed), strict=True):
            assert before.shape == after.shape
            assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("fcn8", {"finest": 4}, "finest 4: choose 8, 16 or 32"),
        ("sliding_window", {"window": 16}, "window 16: choose 13, 17"),
        ("late_fusion", {"groups": [[0], [2]]}, "choose two lists of bands from 0 to 1"),
        ("late_fusion", {"branch": "unett"}, "'unett': unknown; choose one of deconvnet, "),
        ("unet", {"skips": "multiply"}, "'multiply': choose concatenate or add"),
    ],
)
def test_wrong_arguments_are_refused(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build(name, 2, 2, **arguments)
