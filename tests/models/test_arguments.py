"""Arguments of the architectures, from a configuration or the command line, checked when read."""

from __future__ import annotations

import pytest

from floodloom.config.load import load_config
from floodloom.errors import ConfigError
from floodloom.learning.training.settings import NetworkSettings
from floodloom.models.registry import require_choices


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("unet", {"depth": 3, "norm": "group", "skips": "add"}),
        ("hourglass", {"stacks": 8}),
        ("hrnet", {"modules": [1, 4, 3], "stem": 64, "blocks": 4}),
        ("deeplabv3plus", {"output_stride": 8, "image_pooling": False}),
        ("late_fusion", {"groups": [[0], [1, 2]], "branch": "linknet"}),
        ("octconv", {"share": 0.5}),
        ("linknet", {"encoder": "resnet18", "upsampling": "nearest"}),
    ],
)
def test_what_an_architecture_has_is_accepted(model, arguments):
    require_choices(model, arguments)


WRONG = [
    (
        "unet",
        {"stacks": 3},
        "model 'unet': argument 'stacks' is none of depth, encoder, upsampling",
    ),
    ("unet", {"depth": "x"}, "model 'unet': argument depth is 'x', but whole number is expected"),
    ("unet", {"norm": "layer"}, "argument norm is 'layer', but batch or group is expected"),
    ("unet", {"width": 8}, "argument 'width' is none of"),
    ("pspnet", {"output_stride": 7}, "argument output_stride is 7, but 8 or 16 or 32 is expected"),
    ("late_fusion", {"branch": "none"}, "argument branch is 'none', but deconvnet or "),
    ("segnet", {"encoder": "vgg16"}, "model 'segnet': argument 'encoder' is none of upsampling"),
    ("unet", {"encoder": "vgg99"}, "argument encoder is 'vgg99', but alexnet or "),
    ("unet", {"upsampling": "cubic"}, "argument upsampling is 'cubic', but nearest or bilinear "),
    ("hrnet", {"modules": 3}, "argument modules is 3, but a list of whole number is expected"),
    ("hourglass", {"stacks": 10**9}, "argument stacks is 1000000000, but .* numbers up to 16384"),
]


@pytest.mark.parametrize(("model", "arguments", "message"), WRONG)
def test_a_wrong_argument_is_refused_when_the_configuration_is_read(model, arguments, message):
    content = {
        "run": {"name": "x", "models": [model]},
        "scenes": "scenes.tsv",
        "train": {"arguments": arguments},
    }
    with pytest.raises(ConfigError, match=f"config: train.arguments: .*{message}") as caught:
        load_config(content)
    assert "\n" not in str(caught.value)


def test_an_unknown_model_is_refused_when_the_configuration_is_read():
    content = {"run": {"name": "x", "models": ["unett"]}, "scenes": "scenes.tsv"}
    with pytest.raises(ConfigError, match=r"run\.models.*'unet'.*got 'unett'"):
        load_config(content)


def test_every_model_of_the_run_has_the_arguments():
    content = {
        "run": {"name": "x", "models": ["hourglass", "unet"]},
        "scenes": "scenes.tsv",
        "train": {"arguments": {"stacks": 3}},
    }
    with pytest.raises(ConfigError, match="model 'unet': argument 'stacks'"):
        load_config(content)


def test_numbers_and_lists_of_the_command_line_are_read():
    given = {"depth": "3", "norm": "group", "modules": "[1, 4, 3]", "alone": "true"}
    read = NetworkSettings(arguments=given).arguments
    assert read == {"depth": 3, "norm": "group", "modules": [1, 4, 3], "alone": True}


def test_a_network_depends_on_the_code_of_its_encoder():
    settings = NetworkSettings(model="unet", arguments={"encoder": "resnet18"})
    assert settings.modules() == (
        "floodloom.models.architectures.unet",
        "floodloom.models.encoders.resnet18",
    )
    assert settings.modules("model") == ("floodloom.models.architectures.unet",)


def test_a_late_fusion_depends_on_the_code_of_its_branch():
    settings = NetworkSettings(model="late_fusion", arguments={"branch": "linknet"})
    assert settings.modules() == (
        "floodloom.models.architectures.late_fusion",
        "floodloom.models.architectures.linknet",
    )
