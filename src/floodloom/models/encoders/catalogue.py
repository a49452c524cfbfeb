"""The encoders by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from floodloom.models.blocks import Normalisation
from floodloom.models.encoders.base import Encoder
from floodloom.models.encoders.mobilenet import MobileNetV2
from floodloom.models.encoders.resnet import ResNet
from floodloom.models.encoders.vgg import VGG16
from floodloom.models.encoders.xception import Xception

EncoderName = Literal["vgg16", "resnet18", "resnet34", "resnet50", "mobilenet_v2", "xception"]

_ENCODERS: dict[str, Callable[..., Encoder]] = {
    "resnet18": partial(ResNet, depth=18),
    "resnet34": partial(ResNet, depth=34),
    "resnet50": partial(ResNet, depth=50),
    "mobilenet_v2": MobileNetV2,
    "xception": Xception,
}


def make_encoder(
    name: EncoderName,
    in_channels: int,
    *,
    output_stride: int = 32,
    norm: Normalisation = "batch",
) -> Encoder:
    """Return an encoder of the size that ImageNet's weights have, with fresh weights.

    Parameters
    ----------
    name
        vgg16, resnet18, resnet34, resnet50, mobilenet_v2 or xception.
    in_channels
        Bands of the input.
    output_stride
        How many times smaller than the image the coarsest map is; below 32 the encoder dilates.
    norm
        See `floodloom.models.blocks`; VGG-16 has no normalisation.

    Raises
    ------
    ValueError
        If the name is unknown or the encoder can't have that stride.
    """
    if name == "vgg16":
        return VGG16(in_channels, output_stride)
    if name not in _ENCODERS:
        raise ValueError(f"encoder {name!r}: choose {' or '.join(get_args(EncoderName))}")
    return _ENCODERS[name](in_channels=in_channels, output_stride=output_stride, norm=norm)
