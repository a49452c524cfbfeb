"""What every encoder is, maps of a halving size, and that of U-Net."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.blocks import Normalisation, double_convolution
from floodloom.models.choices import ENCODERS, EncoderName


class Encoder(nn.Module, ABC):
    """A network from an image to maps, the k-th at 1/2ᵏ of the image's size.

    Attributes
    ----------
    channels
        Channels of each map, finest first. Encoders that halve the size at once give the image
        itself as map 0, so that a decoder's last skip is the image.
    first
        Name of the first convolution in the state dict, the one that depends on the bands.
    """

    channels: tuple[int, ...]
    first: str

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of `image` (N, band, y, x), finest first."""


def require_stride(name: str, output_stride: int, possible: tuple[int, ...]) -> None:
    """Check that an encoder can stop halving at 1/`output_stride`.

    Raises
    ------
    ValueError
        If it can't.
    """
    if output_stride not in possible:
        choice = " or ".join(str(stride) for stride in possible)
        raise ValueError(f"encoder {name!r} with output_stride {output_stride}: choose {choice}")


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
        A module of `floodloom.models.encoders`.
    in_channels
        Bands of the input.
    output_stride
        How many times smaller than the image the coarsest map is; below 32 the encoder dilates.
    norm
        See `floodloom.models.blocks`; VGG-16 has no normalisation.

    Raises
    ------
    ConfigError
        If the name is unknown.
    ValueError
        If the encoder can't have that stride.
    """
    make = ENCODERS.load(name)
    return make(in_channels=in_channels, output_stride=output_stride, norm=norm)


class PlainEncoder(Encoder):
    """Two 3×3 convolutions per level; every level halves the size.

    Parameters
    ----------
    in_channels
        Bands of the input.
    channels
        Channels of each level, finest first.
    norm
        See `floodloom.models.blocks`.
    """

    first = "0.0.weight"

    def __init__(
        self, in_channels: int, channels: Sequence[int], norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        for level, (before, after) in enumerate(pairwise([in_channels, *channels])):
            self.add_module(str(level), double_convolution(before, after, norm))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the map of every level, finest first."""
        maps: list[Tensor] = []
        for encode in self.children():
            maps.append(encode(F.max_pool2d(maps[-1], 2) if maps else image))
        return maps
