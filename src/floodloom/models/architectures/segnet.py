"""SegNet: an encoder and its mirror image, joined by the places of the maxima."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, convolution, head
from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import Upsample, max_unpool
from floodloom.models.encoders.vgg16 import CONVOLUTIONS


def _stage(channels: list[int], norm: Normalisation) -> nn.Sequential:
    return nn.Sequential(
        *(
            layer
            for before, after in pairwise(channels)
            for layer in convolution(before, after, norm=norm)
        )
    )


class SegNet(Segmenter):
    """SegNet; `width=64` is the paper's, on VGG-16.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; they double per level up to eight times as many.
    upsampling
        See `floodloom.models.decoder`; `max_unpool` takes the places that the encoder stored.
    norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        upsampling: UpsamplingName = "max_unpool",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        levels = range(len(CONVOLUTIONS))
        widths = [width * min(2**level, 8) for level in levels]
        inputs, outputs = [in_channels, *widths], [width, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _stage([inputs[i], *[widths[i]] * CONVOLUTIONS[i]], norm) for i in levels
        )
        self.bottleneck: nn.Module = nn.Identity()
        self.junction = Junction()
        self.decoder = nn.ModuleList(
            _stage([*[widths[i]] * CONVOLUTIONS[i], outputs[i]], norm) for i in reversed(levels)
        )
        self.enlarge = (
            None
            if upsampling == "max_unpool"
            else nn.ModuleList(Upsample(channels, upsampling) for channels in reversed(widths))
        )
        self.head = head(width, classes)
        self.feature_channels = (widths[-1], *reversed(outputs))

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the coarsest map and the decoder's maps, coarsest first."""
        x = image
        pooled: list[tuple[Tensor, Tensor]] = []
        for encode in self.encoder:
            full = encode(x)
            x, places = F.max_pool2d(full, 2, return_indices=True)
            pooled.append((full, places))
        features = [self.bottleneck(self.junction(x))]
        for level, decode in enumerate(self.decoder):
            full, places = pooled.pop()
            coarse = features[-1]
            if self.enlarge is None:
                raised = max_unpool(coarse, places, full.shape[-2:])
            else:
                raised = self.enlarge[level](coarse, full)
            features.append(decode(raised))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(SegNet, "Badrinarayanan et al. 2017, arXiv 1511.00561")
