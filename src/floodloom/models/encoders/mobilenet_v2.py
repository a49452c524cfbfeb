"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), without its classifier."""

from __future__ import annotations

from torch import Tensor, nn

from floodloom.models.blocks import Normalisation, normalisation
from floodloom.models.encoder import Encoder, require_stride

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride per stage: Table 2 of the paper."""


def _convolution(
    before: int,
    after: int,
    size: int,
    stride: int,
    groups: int,
    norm: Normalisation,
    dilation: int = 1,
) -> nn.Sequential:
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, padding, dilation, groups, bias=False),
        normalisation(norm, after),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand by a 1×1, filter each channel by a 3×3, squeeze by a linear 1×1 convolution."""

    def __init__(
        self,
        before: int,
        after: int,
        stride: int,
        expansion: int,
        norm: Normalisation,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        inner = before * expansion
        expand = [_convolution(before, inner, 1, 1, 1, norm)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            _convolution(inner, inner, 3, stride, inner, norm, dilation),
            nn.Conv2d(inner, after, 1, bias=False),
            normalisation(norm, after),
        )
        self.carries = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, with the input added where the shapes agree."""
        y: Tensor = self.conv(x)
        return x + y if self.carries else y


class MobileNetV2(Encoder):
    """MobileNetV2; its maps are the image and the last of each size.

    Parameters
    ----------
    in_channels
        Bands of the input.
    output_stride
        32, or 16 or 8 where the last stages dilate their convolutions instead of halving.
    norm
        See `floodloom.models.blocks`.
    """

    channels: tuple[int, ...]
    first = "features.0.0.weight"

    def __init__(
        self, in_channels: int, output_stride: int = 32, norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        require_stride("mobilenet_v2", output_stride, (8, 16, 32))
        layers: list[nn.Module] = [_convolution(in_channels, 32, 3, 2, 1, norm)]
        before = 32
        halving: list[int] = []
        reached, dilation = 2, 1
        for expansion, after, count, stride in STAGES:
            for index in range(count):
                entry, own = (stride if index == 0 else 1), dilation
                if entry == 2:
                    halving.append(len(layers))
                    if reached < output_stride:
                        reached *= 2
                    else:
                        # The block that would halve still has the dilation before it, as in ResNet.
                        entry, dilation = 1, 2 * dilation
                layers.append(InvertedResidual(before, after, entry, expansion, norm, own))
                before = after
        layers.append(_convolution(before, 1280, 1, 1, 1, norm))
        self.features = nn.Sequential(*layers)
        self._last = {index - 1 for index in (*halving, len(layers))}
        self.channels = (in_channels, 16, 24, 32, 96, 1280)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps at 1/1 to 1/32 of the size, the image first."""
        maps = [image]
        x = image
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._last:
                maps.append(x)
        return maps


ENCODER = MobileNetV2
