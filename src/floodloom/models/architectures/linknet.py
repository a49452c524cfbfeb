"""LinkNet: a residual encoder and a narrow decoder whose skips are added."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, Residual, convolution, head
from floodloom.models.choices import EncoderName, UpsamplingName
from floodloom.models.decoder import Upsample
from floodloom.models.encoder import Encoder, make_encoder


class _Decoder(nn.Module):
    """Squeeze to a quarter of the channels, upsample, expand to the skip's channels."""

    def __init__(
        self, in_channels: int, out_channels: int, upsampling: UpsamplingName, norm: Normalisation
    ) -> None:
        super().__init__()
        inner = max(in_channels // 4, 1)
        self.squeeze = convolution(in_channels, inner, 1, norm=norm)
        self.up = Upsample(inner, upsampling)
        self.smooth = convolution(inner, inner, norm=norm)
        self.expand = convolution(inner, out_channels, 1, norm=norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.expand(self.smooth(self.up(self.squeeze(x), skip)))  # type: ignore[no-any-return]


class LinkNet(Segmenter):
    """LinkNet; `encoder="resnet18"` is the paper's, but for a link at half the size, too.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level has twice as many.
    depth
        How often the size is halved after the stem.
    encoder
        None: ResNet-18 of `width` and `depth`, whose stem halves the size once instead of twice; or
        a name of `floodloom.models.encoders`.
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 3,
        encoder: EncoderName | None = None,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        if encoder is None:
            self.stem = convolution(in_channels, width, 7, stride=2, norm=norm)
            self.encoder: nn.Module = _residual_levels(widths, norm)
        else:
            self.encoder = make_encoder(encoder, in_channels, norm=norm)
            widths = list(self.encoder.channels[1:])
        self.decoder = nn.ModuleList(
            _Decoder(before, after, upsampling, norm)
            for after, before in reversed(list(pairwise(widths)))
        )
        self.junction = Junction()
        self.finish = _Decoder(widths[0], widths[0], upsampling, norm)
        self.head = head(widths[0], classes)
        self.feature_channels = (*reversed(widths), widths[0])
        self.stride = 2 ** len(widths)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the bottleneck and the decoder's maps, coarsest first."""
        skips = [self.junction(x) for x in self._encoded(image)]
        features = [skips.pop()]
        for decode in self.decoder:
            skip = skips.pop()
            features.append(decode(features[-1], skip) + skip)
        features.append(self.finish(features[-1], image))
        return features

    def _encoded(self, image: Tensor) -> list[Tensor]:
        """Return the encoder's maps from half the size on, finest first."""
        if isinstance(self.encoder, Encoder):
            return self.encoder(image)[1:]  # type: ignore[no-any-return]
        maps = [self.stem(image)]
        for encode in self.encoder.children():
            maps.append(encode(maps[-1]))
        return maps[1:]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]


def _residual_levels(widths: list[int], norm: Normalisation) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(
            Residual(before, after, 2 if before != after else 1, norm),
            Residual(after, after, 1, norm),
        )
        for before, after in pairwise([widths[0], *widths])
    )


ARCHITECTURE = Architecture(LinkNet, "Chaurasia and Culurciello 2017, arXiv 1707.03718")
