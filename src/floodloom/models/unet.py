"""U-Net: an encoder, a decoder, and the encoder's maps carried across."""

from __future__ import annotations

from torch import Tensor, nn

from floodloom.models.base import Segmenter, register
from floodloom.models.blocks import Normalisation, head
from floodloom.models.decoder import Merge, Skips
from floodloom.models.encoders.catalogue import EncoderName, make_encoder
from floodloom.models.encoders.plain import PlainEncoder
from floodloom.models.upsampling import Upsampling


@register("unet", source="Ronneberger et al. 2015, arXiv 1505.04597")
class UNet(Segmenter):
    """U-Net with padded convolutions; `width=64, upsampling="transposed"` is the paper's.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level of the decoder has twice as many.
    depth
        How often the size is halved; with a named encoder five times.
    encoder
        None: the paper's, of `width`; or a name of `floodloom.models.encoders.catalogue`.
    upsampling, skips, norm
        See `floodloom.models.upsampling`, `.decoder` and `.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        encoder: EncoderName | None = None,
        upsampling: Upsampling = "bilinear",
        skips: Skips = "concatenate",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.encoder = (
            PlainEncoder(in_channels, [width * 2**level for level in range(depth + 1)], norm)
            if encoder is None
            else make_encoder(encoder, in_channels, norm=norm)
        )
        *skip_channels, deepest = self.encoder.channels
        widths = [width * 2**level for level in range(len(skip_channels))]
        self.feature_channels = (deepest, *reversed(widths))
        self.decoder = nn.ModuleList(
            Merge(before, [skip], after, upsampling, norm, skips)
            for before, skip, after in zip(
                self.feature_channels, reversed(skip_channels), reversed(widths), strict=False
            )
        )
        self.head = head(width, classes)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the bottleneck and the decoder's maps, coarsest first."""
        *carried, deepest = self.encoder(image)
        features = [deepest]
        for merge in self.decoder:
            features.append(merge(features[-1], carried.pop()))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]
