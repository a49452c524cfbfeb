"""Every architecture: sizes, gradients, receptive field, distillable features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from floodloom.errors import ConfigError
from floodloom.models.base import Segmenter
from floodloom.models.blocks import Upsample, convolution, normalisation
from floodloom.models.registry import build, describe, names, receptive_field

WIDTH = 4


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(("bands", "classes"), [(1, 2), (2, 3), (7, 2)])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (63, 96)])
def test_logits_have_the_size_of_the_input(name, bands, classes, size):
    model = build(name, bands, classes, width=WIDTH).eval()
    assert model(torch.randn(2, bands, *size)).shape == (2, classes, *size)


@pytest.mark.parametrize("name", names())
def test_features_go_from_coarse_to_fine_and_make_the_logits(name):
    model = build(name, 2, 2, width=WIDTH).eval()
    image = torch.randn(1, 2, 45, 64)
    features = model.features(image)
    assert tuple(f.shape[1] for f in features) == model.feature_channels
    heights = [f.shape[-2] for f in features]
    assert heights == sorted(heights)
    assert torch.equal(model.logits(features, image), model(image))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_gradients_reach_every_parameter(name, norm):
    torch.manual_seed(0)
    model = build(name, 2, 2, width=WIDTH, norm=norm)
    model(torch.randn(2, 2, 64, 64)).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("name", ["unet", "unetplusplus", "linknet"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed"])
def test_upsampling_is_selectable(name, upsampling):
    model = build(name, 2, 2, width=WIDTH, upsampling=upsampling).eval()
    assert model(torch.randn(1, 2, 37, 50)).shape == (1, 2, 37, 50)


@pytest.mark.parametrize(("width", "millions"), [(8, 0.49), (16, 1.96)])
def test_unet_has_the_parameters_it_is_chosen_for(width, millions):
    count = sum(p.numel() for p in build("unet", 2, 2, width=width).parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.01)


def test_a_network_can_learn_one_batch_by_heart():
    torch.manual_seed(0)
    model = build("unet", 2, 2, width=8)
    image = torch.randn(2, 2, 32, 32)
    label = (image[:, 0] + image[:, 1].roll(1, -1) > 0.5).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(image), label).backward()
        optimizer.step()
    water = model(image).argmax(1).bool()
    iou = (water & label.bool()).sum() / (water | label.bool()).sum()
    assert iou > 0.98


class Convolutions(Segmenter):
    """Two 3×3 convolutions and a 5×5: a receptive field of 9 px."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            convolution(2, 3), convolution(3, 3), nn.Conv2d(3, 2, 5, padding=2)
        )

    def features(self, image):
        return [image]

    def classify(self, features):
        return self.body(features[-1])


def test_receptive_field_of_stacked_convolutions_is_known():
    assert receptive_field(Convolutions()) == 9


def test_receptive_field_of_a_small_unet_is_known():
    # Down: 1 + 2·2 (two 3×3), pooling + 1, two 3×3 at half size 2·2·2 = 14 px around a coarse
    # pixel. Up: nearest takes one coarse pixel, two 3×3 see 5 fine ones = 3 or 4 coarse ones
    # of which the central output sees 3: 14 + 2·2 = 18.
    assert receptive_field(build("unet", 2, 2, width=2, depth=1, upsampling="nearest")) == 18


def test_describe_lists_every_model_with_its_paper():
    rows = describe()
    assert [row.name for row in rows] == list(names())
    assert all(row.parameters > 5e5 and row.receptive_field > 50 for row in rows)
    assert all("arXiv" in row.source for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "unett"}, "'unett': unknown; choose one of fcn8"),
        ({"name": "unet", "wide": 3}, "wide"),
        ({"name": "unet", "norm": "layer"}, "'layer': choose batch or group"),
        ({"name": "unet", "upsampling": "cubic"}, "'cubic': choose nearest"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(in_channels=2, classes=2, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 5, 12, 16])
def test_group_normalisation_takes_any_number_of_channels(channels):
    assert normalisation("group", channels)(torch.randn(1, channels, 3, 3)).shape[1] == channels


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_upsampling_leaves_the_right_size_alone_and_constants_constant(kind):
    up = Upsample(2, kind)
    image = torch.randn(1, 2, 5, 7)
    assert torch.equal(up(image, image.shape[-2:]), image)
    raised = up(torch.full((1, 2, 5, 7), 3.0), torch.Size((11, 13)))
    torch.testing.assert_close(raised, torch.full((1, 2, 11, 13), 3.0))
