"""LinkNet: a residual encoder and a narrow decoder whose skips are added."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from floodloom.models.base import Segmenter, register
from floodloom.models.blocks import (
    Normalisation,
    Residual,
    Upsample,
    Upsampling,
    convolution,
    head,
)


class _Decoder(nn.Module):
    """Squeeze to a quarter of the channels, upsample, expand to the skip's channels."""

    def __init__(
        self, in_channels: int, out_channels: int, upsampling: Upsampling, norm: Normalisation
    ) -> None:
        super().__init__()
        inner = max(in_channels // 4, 1)
        self.squeeze = convolution(in_channels, inner, 1, norm=norm)
        self.up = Upsample(inner, upsampling)
        self.smooth = convolution(inner, inner, norm=norm)
        self.expand = convolution(inner, out_channels, 1, norm=norm)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        return self.expand(self.smooth(self.up(self.squeeze(x), size)))  # type: ignore[no-any-return]


@register("linknet", source="Chaurasia and Culurciello 2017, arXiv 1707.03718")
class LinkNet(Segmenter):
    """LinkNet on a ResNet-18 encoder, whose stem halves the size once instead of twice.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level has twice as many.
    depth
        How often the size is halved after the stem.
    upsampling, norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 3,
        upsampling: Upsampling = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.stem = convolution(in_channels, width, 7, stride=2, norm=norm)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                Residual(before, after, 2 if before != after else 1, norm),
                Residual(after, after, 1, norm),
            )
            for before, after in zip([width, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            _Decoder(2 * w, w, upsampling, norm) for w in reversed(widths[:-1])
        )
        self.finish = _Decoder(width, width, upsampling, norm)
        self.head = head(width, classes)
        self.feature_channels = (*reversed(widths), width)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the bottleneck and the decoder's maps, coarsest first."""
        x = self.stem(image)
        skips: list[Tensor] = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        features = [skips.pop()]
        for decode in self.decoder:
            skip = skips.pop()
            features.append(decode(features[-1], skip.shape[-2:]) + skip)
        features.append(self.finish(features[-1], image.shape[-2:]))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]
