"""The registry: names, what is listed of them, and how a wrong choice is answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from floodloom.digest import stage_modules
from floodloom.errors import ConfigError
from floodloom.models.base import Segmenter
from floodloom.models.blocks import convolution, normalisation
from floodloom.models.choices import ARCHITECTURES, ENCODERS
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


def run_python(code: str, *folders: Path) -> str:
    """Run a program in a process of its own, with these folders on its path, too."""
    path = os.pathsep.join([*map(str, folders), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_names_need_no_torch():
    code = """
import sys
from floodloom.models.choices import ARCHITECTURES, ENCODERS
print(*ARCHITECTURES.names, *ENCODERS.names)
assert "torch" not in sys.modules
assert not any(name.startswith("floodloom.models.architectures") for name in sys.modules)
"""
    assert run_python(code).split() == [*ARCHITECTURES.names, *ENCODERS.names]


@pytest.mark.parametrize("stage", ["teach", "distill", "train", "relabel"])
def test_a_stage_consists_of_no_architecture_until_one_is_chosen(stage):
    modules = set(stage_modules(stage))
    assert "floodloom.models.registry" in modules
    own = {
        registry.module(name) for registry in (ARCHITECTURES, ENCODERS) for name in registry.names
    }
    assert not modules & own
    assert not {m for m in modules if m.startswith(("floodloom.models.int8", "floodloom.mapping"))}


def test_a_late_fusion_consists_of_its_default_branch_too():
    chosen = [ARCHITECTURES.module("late_fusion")]
    assert ARCHITECTURES.module("fcn8") in stage_modules("train", chosen)


def test_an_architecture_of_another_distribution_is_built_like_ours(tmp_path):
    network = """
from floodloom.models.architectures.unet import UNet
from floodloom.models.base import Architecture


class Wider(UNet):
    def __init__(self, in_channels: int, classes: int, width: int = 8, factor: int = 2) -> None:
        super().__init__(in_channels, classes, factor * width)


ARCHITECTURE = Architecture(Wider, "a test")
"""
    (tmp_path / "outsider.py").write_text(network)
    metadata = tmp_path / "outsider-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[floodloom.models.architectures]\nwider = outsider:ARCHITECTURE\n"
    )
    code = """
from floodloom.config.project import RunSettings
from floodloom.models.choices import ARCHITECTURES
from floodloom.models.registry import build, names
assert "wider" in names()
assert ARCHITECTURES.module("wider") == "outsider"
assert RunSettings(name="x", models=("wider",)).models == ("wider",)
print(build("wider", 2, 2, width=4, factor=3).head.in_channels)
"""
    assert run_python(code, tmp_path).strip() == "12"
