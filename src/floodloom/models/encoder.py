"""Encoders: what they give to decoders, and residual ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.blocks import Normalisation, double_convolution, normalisation
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


BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Residual blocks per stage, by depth."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around which the input is carried."""

    expansion = 1

    def __init__(
        self, before: int, width: int, stride: int, dilation: int, norm: Normalisation
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = normalisation(norm, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = normalisation(norm, width)
        self.downsample = shortcut(before, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum of the convolutions and the input."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3×3 convolution between two 1×1 ones, four times as wide outside as inside."""

    expansion = 4

    def __init__(
        self, before: int, width: int, stride: int, dilation: int, norm: Normalisation
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = normalisation(norm, width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = normalisation(norm, width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = normalisation(norm, 4 * width)
        self.downsample = shortcut(before, 4 * width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum of the convolutions and the input."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + self.downsample(x))


def shortcut(before: int, after: int, stride: int, norm: Normalisation) -> nn.Module:
    """Return what brings a block's input to its output's channels and size."""
    if before == after and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(before, after, 1, stride, bias=False), normalisation(norm, after)
    )


class ResNet(Encoder):
    """ResNet; its maps are the image, the stem's and those of the four stages.

    Parameters
    ----------
    in_channels
        Bands of the input.
    depth
        18, 34 or 50.
    width
        Channels of the stem; ImageNet's weights have 64.
    output_stride
        32, or 16 or 8 where the last stages dilate their convolutions instead of halving.
    norm
        See `floodloom.models.blocks`.
    """

    first = "conv1.weight"

    def __init__(
        self,
        in_channels: int,
        depth: int,
        width: int = 64,
        output_stride: int = 32,
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        require_stride(f"resnet{depth}", output_stride, (8, 16, 32))
        self.conv1 = nn.Conv2d(in_channels, width, 7, 2, 3, bias=False)
        self.bn1 = normalisation(norm, width)
        block = Bottleneck if depth == 50 else BasicBlock
        channels = [in_channels, width]
        before = width
        for level, count in enumerate(BLOCKS[depth]):
            inner = width * 2**level
            dilation = max(4 * 2**level // output_stride, 1)
            stride = 2 if level > 0 and dilation == 1 else 1
            # As in torchvision, the block that would halve still has the dilation before it.
            blocks = [block(before, inner, stride, max(dilation // 2, 1), norm)]
            before = inner * block.expansion
            blocks += [block(before, inner, 1, dilation, norm) for _ in range(count - 1)]
            setattr(self, f"layer{level + 1}", nn.Sequential(*blocks))
            channels.append(before)
        self.channels = tuple(channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps at 1/1 to 1/32 of the size, the image first."""
        stem = F.relu(self.bn1(self.conv1(image)))
        maps = [image, stem]
        x = F.max_pool2d(stem, 3, 2, 1)
        for level in range(4):
            x = self.get_submodule(f"layer{level + 1}")(x)
            maps.append(x)
        return maps
