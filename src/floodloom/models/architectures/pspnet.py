"""PSPNet: a dilated encoder, and averages over regions of four sizes as context."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, convolution, head, resize
from floodloom.models.choices import EncoderName, UpsamplingName
from floodloom.models.decoder import Enlarge
from floodloom.models.encoder import ResNet, make_encoder

BINS = (1, 2, 3, 6)
"""Regions per side, section 3.2 of the paper."""


class PyramidPooling(nn.Module):
    """The map, and its averages over 1, 4, 9 and 36 regions, at one size."""

    def __init__(self, in_channels: int, norm: Normalisation = "batch") -> None:
        super().__init__()
        inner = max(in_channels // len(BINS), 1)
        self.reduce = nn.ModuleList(convolution(in_channels, inner, 1, norm=norm) for _ in BINS)
        self.out_channels = in_channels + inner * len(BINS)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, `out_channels`, y, x) of `x` (N, C, y, x)."""
        context = [
            resize(reduce(regional_means(x, bins)), x.shape[-2:])
            for reduce, bins in zip(self.reduce, BINS, strict=True)
        ]
        return torch.cat([x, *context], dim=1)


def regional_means(x: Tensor, bins: int) -> Tensor:
    """Return the means (N, C, bins, bins) of `x` (N, C, y, x) over a grid of regions.

    It is adaptive average pooling, by two matrix products: those can be exported with free sizes.
    """
    rows, cols = (_membership(length, bins, x) for length in x.shape[-2:])
    return rows @ x @ cols.T


def _membership(length: int, bins: int, like: Tensor) -> Tensor:
    """Return the weight (bin, place) of each place in the mean of each bin, for one axis."""
    place = torch.arange(length, device=like.device)
    bin_ = torch.arange(bins, device=like.device)[:, None]
    inside = (place * bins > bin_ * length - bins) & (place * bins < (bin_ + 1) * length)
    return inside.to(like.dtype) / inside.sum(1, keepdim=True)


class PSPNet(Segmenter):
    """PSPNet; `encoder="resnet50", auxiliary=True` is the paper's.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the stem of the thin ResNet-18 that is used without a named encoder.
    encoder
        None, or a name of `floodloom.models.encoders` that can dilate.
    output_stride
        How many times smaller than the image the encoder's map is.
    auxiliary
        Whether the encoder's last map but one learns the classes, too, by a loss that weighs 0.4
        (section 3.3 of the paper).
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.

    Raises
    ------
    ValueError
        If there is an auxiliary loss but the encoder's last two maps differ in size.
    """

    side_weight = 0.4

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        encoder: EncoderName | None = None,
        output_stride: Literal[8, 16, 32] = 8,
        auxiliary: bool = False,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        if auxiliary and output_stride == 32:
            raise ValueError("auxiliary with output_stride 32: choose 8 or 16")
        self.encoder = (
            ResNet(in_channels, 18, width, output_stride, norm)
            if encoder is None
            else make_encoder(encoder, in_channels, output_stride=output_stride, norm=norm)
        )
        coarse = self.encoder.channels[-1]
        self.junction = Junction()
        self.context = PyramidPooling(coarse, norm)
        self.fuse = convolution(self.context.out_channels, max(coarse // 4, 1), norm=norm)
        self.head = head(max(coarse // 4, 1), classes)
        self.feature_channels = (coarse, max(coarse // 4, 1))
        self.auxiliary: nn.Module | None = None
        if auxiliary:
            earlier = self.encoder.channels[-2]
            inner = max(earlier // 4, 1)
            self.auxiliary = nn.Sequential(
                *convolution(earlier, inner, norm=norm), nn.Dropout2d(0.1), head(inner, classes)
            )
            self.feature_channels = (earlier, *self.feature_channels)
        self.enlarge = Enlarge(classes, upsampling, output_stride)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the encoder's coarsest map and the same with its context.

        Before them, for the auxiliary loss, comes the encoder's last map but one.
        """
        maps = self.encoder(image)
        earlier = maps[-2:-1] if self.auxiliary is not None else []
        coarse = self.junction(maps[-1])
        return [*earlier, coarse, self.fuse(self.context(coarse))]

    def side_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Return the auxiliary prediction, at the encoder's coarsest size, if there is one."""
        return [] if self.auxiliary is None else [self.auxiliary(features[0])]

    def logits(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Return the logits at the size of `image`."""
        return self.enlarge(self.classify(features), image)  # type: ignore[no-any-return]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits at the encoder's coarsest size."""
        return self.head(features[-1])  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(PSPNet, "Zhao et al. 2017, arXiv 1612.01105")
