"""Xception (Chollet 2017, arXiv 1610.02357), without its classifier.

torchvision has no Xception; the names are those of Cadène's port of Chollet's weights, the one
that PyTorch packages take (pretrained-models.pytorch).
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.blocks import Normalisation, normalisation
from floodloom.models.encoder import Encoder, require_stride


class SeparableConv2d(nn.Module):
    """A 3×3 convolution per channel, then a 1×1 across channels, nothing between them."""

    def __init__(self, before: int, after: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            before, before, 3, padding=dilation, dilation=dilation, groups=before, bias=False
        )
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved map."""
        return self.pointwise(self.conv1(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Separable convolutions, each after a ReLU, around which the input is carried."""

    def __init__(
        self,
        channels: tuple[int, ...],
        stride: int,
        norm: Normalisation,
        *,
        starts_with_relu: bool = True,
        dilation: int = 1,
        halves: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            separable = SeparableConv2d(before, after, dilation)
            layers += [nn.ReLU(), separable, normalisation(norm, after)]
        if halves:
            layers.append(nn.MaxPool2d(3, stride, 1))
        self.rep = nn.Sequential(*layers[0 if starts_with_relu else 1 :])
        self.carries = channels[0] == channels[-1]
        if not self.carries:
            self.skip = nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False)
            self.skipbn = normalisation(norm, channels[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the convolutions and the input."""
        carried = x if self.carries else self.skipbn(self.skip(x))
        return self.rep(x) + carried  # type: ignore[no-any-return]


class Xception(Encoder):
    """Xception; its maps are the image and the last of each size.

    The first two convolutions are padded, so that every map is half of the one before and nothing
    is cropped; the weights don't depend on that.

    Parameters
    ----------
    in_channels
        Bands of the input.
    output_stride
        32, or 16 where the exit flow dilates its convolutions instead of halving.
    norm
        See `floodloom.models.blocks`.
    """

    first = "conv1.weight"

    def __init__(
        self, in_channels: int, output_stride: int = 32, norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        require_stride("xception", output_stride, (16, 32))
        self.conv1 = nn.Conv2d(in_channels, 32, 3, 2, 1, bias=False)
        self.bn1 = normalisation(norm, 32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn2 = normalisation(norm, 64)
        self.block1 = Block((64, 128, 128), 2, norm, starts_with_relu=False, halves=True)
        self.block2 = Block((128, 256, 256), 2, norm, halves=True)
        self.block3 = Block((256, 728, 728), 2, norm, halves=True)
        for index in range(4, 12):
            setattr(self, f"block{index}", Block((728, 728, 728, 728), 1, norm))
        dilation = 32 // output_stride
        self.block12 = Block((728, 728, 1024), 2 // dilation, norm, halves=True)
        self.conv3 = SeparableConv2d(1024, 1536, dilation)
        self.bn3 = normalisation(norm, 1536)
        self.conv4 = SeparableConv2d(1536, 2048, dilation)
        self.bn4 = normalisation(norm, 2048)
        self.channels = (in_channels, 64, 128, 256, 728, 2048)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps at 1/1 to 1/32 of the size, the image first."""
        x = F.relu(self.bn1(self.conv1(image)))
        half = F.relu(self.bn2(self.conv2(x)))
        quarter = self.block1(half)
        eighth = self.block2(quarter)
        x = self.block3(eighth)
        for index in range(4, 12):
            x = self.get_submodule(f"block{index}")(x)
        coarse = F.relu(self.bn3(self.conv3(self.block12(x))))
        return [image, half, quarter, eighth, x, F.relu(self.bn4(self.conv4(coarse)))]


ENCODER = Xception
