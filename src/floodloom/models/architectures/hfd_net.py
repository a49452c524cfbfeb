"""HFD-Net's network: an encoder, and a module that aligns its scales and joins them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, convolution, head, resize
from floodloom.models.choices import EncoderName
from floodloom.models.encoder import PlainEncoder, make_encoder


class HFDNet(Segmenter):
    """One of the two identical networks of HFD-Net; the other one sees the other sensor.

    The alignment module brings every scale to the same channels, adds what the next coarser one
    sees there, and joins all of them at the finest size. Distillation compares its maps; one is
    in the teacher, one in the student.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level has twice as many. Aligned scales have
        four times as many.
    depth
        How often the size is halved; with a named encoder five times.
    encoder
        None: a plain one of `width`; or a name of `floodloom.models.encoders`.
    norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        encoder: EncoderName | None = None,
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.encoder = (
            PlainEncoder(in_channels, [width * 2**level for level in range(depth + 1)], norm)
            if encoder is None
            else make_encoder(encoder, in_channels, norm=norm)
        )
        channels = 4 * width
        scales = self.encoder.channels[1:]  # the image's own size would cost most of the work
        self.stride = 2 ** len(scales)
        self.junction = Junction()
        self.reduce = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in reversed(scales))
        self.align = nn.ModuleList(convolution(channels, channels, norm=norm) for _ in scales)
        self.join = convolution(len(scales) * channels, channels, norm=norm)
        self.head = head(channels, classes)
        self.feature_channels = (channels,) * (len(scales) + 1)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the aligned maps of all scales, coarsest first, and these joined."""
        scales = [self.junction(x) for x in reversed(self.encoder(image)[1:])]
        aligned: list[Tensor] = []
        for reduce, align, x in zip(self.reduce, self.align, scales, strict=True):
            seen = reduce(x)
            if aligned:
                seen = seen + resize(aligned[-1], seen.shape[-2:])
            aligned.append(align(seen))
        size = aligned[-1].shape[-2:]
        return [*aligned, self.join(torch.cat([resize(x, size) for x in aligned], dim=1))]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the joined map."""
        return self.head(features[-1])  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(HFDNet, "Gao and Dong 2022, arXiv 2210.08988")
