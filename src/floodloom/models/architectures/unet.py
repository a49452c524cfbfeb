"""U-Net: an encoder, a decoder, and the encoder's maps carried across."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, head
from floodloom.models.choices import EncoderName, UpsamplingName
from floodloom.models.cropped_decoder import (
    LEAST,
    Rim,
    Span,
    crop,
    decoder_bands,
    decoder_spans,
    make_dense,
)
from floodloom.models.decoder import Merge, Skips
from floodloom.models.encoder import PlainEncoder, make_encoder

_BANDED = 2
"""Finest levels of the decoder that are computed by bands: they take most of the memory, and the
rows that bands have in common are few there."""


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
        None: the paper's, of `width`; or a name of `floodloom.models.encoders`.
    upsampling, skips, norm
        See `floodloom.models.decoder`, `.decoder` and `.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        encoder: EncoderName | None = None,
        upsampling: UpsamplingName = "bilinear",
        skips: Skips = "concatenate",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.encoder = (
            PlainEncoder(in_channels, [width * 2**level for level in range(depth + 1)], norm)
            if encoder is None
            else make_encoder(encoder, in_channels, norm=norm)
        )
        self.junction = Junction()
        *skip_channels, deepest = self.encoder.channels
        self.stride = 2 ** len(skip_channels)
        widths = [width * 2**level for level in range(len(skip_channels))]
        self.feature_channels = (deepest, *reversed(widths))
        self.decoder = nn.ModuleList(
            Merge(before, [skip], after, upsampling, norm, skips)
            for before, skip, after in zip(
                self.feature_channels, reversed(skip_channels), reversed(widths), strict=False
            )
        )
        self.head = head(width, classes)
        usual = (encoder, upsampling, skips, norm) == (None, "bilinear", "concatenate", "batch")
        self.divisor = 2**depth if usual else None
        """What sides must be multiples of for its inner part to be had alone; None: it can't."""

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the bottleneck and the decoder's maps, coarsest first."""
        *carried, deepest = map(self.junction, self.encoder(image))
        features = [deepest]
        for merge in self.decoder:
            features.append(merge(features[-1], carried.pop()))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]

    def cropped_logits(self, image: Tensor, rim: Rim) -> Tensor:
        """Return `forward(image)` without its rim, of which the decoder computes what it needs."""
        height, width = image.shape[-2:]
        top, bottom, left, right = rim
        divided = self.divisor and height % self.divisor == width % self.divisor == 0
        if not divided or min(height - top - bottom, width - left - right) < LEAST:
            return super().cropped_logits(image, rim)
        *carried, deepest = self.encoder(image)
        coarse, fine = self.decoder[:-_BANDED], self.decoder[-_BANDED:]
        rows, cols = (top, height - bottom), (left, width - right)
        low_rows, low_cols = (
            decoder_spans(length, span, len(fine))[-1][1]
            for length, span in ((height, rows), (width, cols))
        )
        inner, origin = _decode(coarse, carried[len(fine) :], deepest, (0, 0), low_rows, low_cols)
        bands = [
            self.head(_decode(fine, carried[: len(fine)], inner, origin, band, cols)[0])
            for band in decoder_bands(*rows)
        ]
        return torch.cat(bands, dim=2) if len(bands) > 1 else bands[0]


def _decode(
    merges: nn.ModuleList, skips: list[Tensor], coarse: Tensor, origin: Span, rows: Span, cols: Span
) -> tuple[Tensor, Span]:
    """Return some rows and columns of the last of these levels, and where they begin.

    `skips` are the encoder's maps, finest first; `origin` is where the coarser map begins.
    """
    height, width = (skips[0] if skips else coarse).shape[-2:]
    *tall_spans, low_rows = decoder_spans(height, rows, len(merges))
    *wide_spans, low_cols = decoder_spans(width, cols, len(merges))
    inner = make_dense(crop(coarse, low_rows[1], low_cols[1], origin), coarse)
    origin = low_rows[1][0], low_cols[1][0]
    for merge, skip in zip(merges, reversed(skips), strict=True):
        (tall, kept_rows), (wide, kept_cols) = tall_spans.pop(), wide_spans.pop()
        larger = F.interpolate(inner, scale_factor=2, mode="bilinear", align_corners=False)
        larger = crop(larger, tall, wide, (2 * origin[0], 2 * origin[1]))
        joint = torch.cat([crop(skip, tall, wide), larger], dim=1)
        del larger
        convolved = merge.get_submodule("convolve")(joint)
        del joint
        inner = make_dense(crop(convolved, kept_rows, kept_cols, (tall[0], wide[0])), convolved)
        origin = kept_rows[0], kept_cols[0]
    return inner, origin


ARCHITECTURE = Architecture(UNet, "Ronneberger et al. 2015, arXiv 1505.04597")
