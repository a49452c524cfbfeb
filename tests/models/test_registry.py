"""The registry: names, what is listed of them, and how a wrong choice is answered."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from floodloom.errors import ConfigError
from floodloom.models.base import Segmenter
from floodloom.models.blocks import convolution, normalisation
from floodloom.models.registry import (
    LARGEST_FIELD,
    build,
    describe,
    multiply_adds,
    names,
    receptive_field,
)


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
    rows = {row.name: row for row in describe()}
    assert tuple(rows) == names()
    assert rows["per_pixel"].receptive_field == 1
    assert rows["pspnet"].receptive_field == LARGEST_FIELD
    assert rows["unet"].parameters == 1_963_970
    assert all(row.source for row in rows.values())


def test_multiply_adds_of_known_layers():
    # 3×3 from 2 to 3 channels, 3×3 from 3 to 3, 5×5 from 3 to 2, at every one of 2²⁰ pixels.
    expected = (9 * 2 * 3 + 9 * 3 * 3 + 25 * 3 * 2) * 2**20
    with torch.device("meta"):
        assert multiply_adds(Convolutions()) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "unett"}, "'unett': unknown; choose one of deconvnet"),
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


def test_a_lone_value_is_normalised_by_the_running_statistics():
    layer = normalisation("batch", 3).train()
    layer.running_mean.fill_(1.0)
    layer.running_var.fill_(4.0)
    lone = torch.tensor([1.0, 3.0, 5.0]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(
        layer(lone).flatten(), torch.tensor([0.0, 1.0, 2.0]), rtol=1e-5, atol=1e-5
    )
