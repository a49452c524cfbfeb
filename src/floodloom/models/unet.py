"""U-Net: an encoder, a decoder, and the encoder's maps carried across."""

from __future__ import annotations

from torch import Tensor, nn

from floodloom.models.base import Segmenter, register
from floodloom.models.blocks import Merge, Normalisation, Upsampling, double_convolution, head


@register("unet", source="Ronneberger et al. 2015, arXiv 1505.04597")
class UNet(Segmenter):
    """U-Net with padded convolutions.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level has twice as many.
    depth
        How often the size is halved.
    upsampling, norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        upsampling: Upsampling = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            double_convolution(before, after, norm)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(
            Merge(2 * w, w, w, upsampling, norm) for w in reversed(widths[:-1])
        )
        self.head = head(width, classes)
        self.feature_channels = tuple(reversed(widths))

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the bottleneck and the decoder's maps, coarsest first."""
        skips: list[Tensor] = []
        x = image
        for level, encode in enumerate(self.encoder):
            x = encode(self.pool(x) if level else x)
            skips.append(x)
        features = [skips.pop()]
        for merge in self.decoder:
            features.append(merge(features[-1], skips.pop()))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]
