"""The registry: names, what is listed of them, and how a wrong choice is answered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from floodloom.digest import stage_modules
from floodloom.errors import ConfigError
from floodloom.models.blocks import normalisation
from floodloom.models.choices import ARCHITECTURES, ENCODERS
from floodloom.models.registry import build


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
