"""DeepLabV3+: context by atrous convolutions of several rates, detail from an early map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import (
    Junction,
    Normalisation,
    convolution,
    head,
    separable_convolution,
)
from floodloom.models.choices import EncoderName, UpsamplingName
from floodloom.models.decoder import Enlarge
from floodloom.models.encoder import ResNet, make_encoder


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1×1, separable 3×3 of each rate, the image's mean.

    Parameters
    ----------
    in_channels, out_channels
        Channels of the input and of the result.
    rates
        Dilations of the 3×3 convolutions.
    image_pooling
        Whether the mean over the image takes part; without it the receptive field is finite.
    norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rates: Sequence[int],
        image_pooling: bool = True,
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                convolution(in_channels, out_channels, 1, norm=norm),
                *(
                    separable_convolution(in_channels, out_channels, dilation=rate, norm=norm)
                    for rate in rates
                ),
            ]
        )
        self.pooled = (
            convolution(in_channels, out_channels, 1, norm=norm) if image_pooling else None
        )
        count = len(self.branches) + image_pooling
        self.project = convolution(count * out_channels, out_channels, 1, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, `out_channels`, y, x) of `x` (N, C, y, x)."""
        maps = [branch(x) for branch in self.branches]
        if self.pooled is not None:
            mean = self.pooled(F.adaptive_avg_pool2d(x, 1))
            maps.append(mean.expand(-1, -1, *x.shape[-2:]))
        return self.project(torch.cat(maps, dim=1))  # type: ignore[no-any-return]


class DeepLabV3Plus(Segmenter):
    """DeepLabV3+; `encoder="resnet50"` or `"xception"` at the default width is the paper's decoder.

    The Xception is Chollet's, whose ImageNet weights exist, not the paper's longer variant of it.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        A sixteenth of the channels of pyramid and decoder; without a named encoder also the
        channels of the stem of the thin ResNet-18 that is used.
    encoder
        None, or a name of `floodloom.models.encoders` that can dilate.
    output_stride
        How many times smaller than the image the encoder's last map is; the pyramid's rates are
        inverse to it.
    image_pooling
        See `AtrousPyramid`.
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        encoder: EncoderName | None = None,
        output_stride: Literal[8, 16, 32] = 16,
        image_pooling: bool = True,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.encoder = (
            ResNet(in_channels, 18, width, output_stride, norm)
            if encoder is None
            else make_encoder(encoder, in_channels, output_stride=output_stride, norm=norm)
        )
        channels, early = 16 * width, 3 * width
        rates = [16 * rate // output_stride for rate in (6, 12, 18)]
        coarse = self.encoder.channels[-1]
        self.junction = Junction()
        self.context = AtrousPyramid(coarse, channels, rates, image_pooling, norm)
        self.enlarge = Enlarge(channels, upsampling, output_stride // 4)
        self.reduce = convolution(self.encoder.channels[2], early, 1, norm=norm)
        self.refine = nn.Sequential(
            separable_convolution(channels + early, channels, norm=norm),
            separable_convolution(channels, channels, norm=norm),
        )
        self.head = head(channels, classes)
        self.enlarge_scores = Enlarge(classes, upsampling, 4)
        self.feature_channels = (channels, channels)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the pyramid's map, and the decoder's at a quarter of the size."""
        maps = self.encoder(image)
        context = self.context(self.junction(maps[-1]))
        early = self.reduce(self.junction(maps[2]))
        raised = self.enlarge(context, early)
        return [context, self.refine(torch.cat([early, raised], dim=1))]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits at a quarter of the size."""
        return self.head(features[-1])  # type: ignore[no-any-return]

    def logits(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Return the logits at the size of `image`."""
        return self.enlarge_scores(self.classify(features), image)  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(DeepLabV3Plus, "Chen et al. 2018, arXiv 1802.02611")
