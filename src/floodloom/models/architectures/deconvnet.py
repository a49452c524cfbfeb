"""DeconvNet: SegNet around the fully connected layers of VGG-16."""

from __future__ import annotations

from torch import nn

from floodloom.models.architectures.segnet import SegNet
from floodloom.models.base import Architecture
from floodloom.models.blocks import Normalisation, convolution, normalisation
from floodloom.models.choices import UpsamplingName


class DeconvNet(SegNet):
    """DeconvNet; `width=64, window=7, hidden=4096` is the paper's.

    It is SegNet with VGG-16's fully connected layers at the bottom: a `window`² convolution to
    `hidden` channels, a 1×1 one, and a transposed one back. The paper's is fed with 224 px windows,
    which the 7×7 convolution sees whole; here it is padded and takes any size.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; they double per level up to eight times as many.
    window
        Size of the bottom's convolutions, odd.
    hidden
        Channels at the bottom; by default 16 times `width`.
    upsampling, norm
        As for `SegNet`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        window: int = 3,
        hidden: int | None = None,
        upsampling: UpsamplingName = "max_unpool",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__(in_channels, classes, width, upsampling, norm)
        outer = self.feature_channels[0]
        inner = hidden or 16 * width
        self.bottleneck = nn.Sequential(
            *convolution(outer, inner, window, norm=norm),
            *convolution(inner, inner, 1, norm=norm),
            nn.ConvTranspose2d(inner, outer, window, padding=window // 2, bias=False),
            normalisation(norm, outer),
            nn.ReLU(inplace=True),
        )


ARCHITECTURE = Architecture(DeconvNet, "Noh et al. 2015, arXiv 1505.04366")
