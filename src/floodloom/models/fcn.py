"""FCN-8s: class scores of three depths, added and interpolated."""

from __future__ import annotations

from torch import Tensor, nn

from floodloom.models.base import Segmenter, register
from floodloom.models.blocks import (
    Normalisation,
    convolution,
    double_convolution,
    head,
    resize,
)


@register("fcn8", source="Long et al. 2015, arXiv 1411.4038")
class FCN8(Segmenter):
    """FCN-8s on a plain convolutional encoder that halves the size five times.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; they double per level up to eight times as many.
    norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self, in_channels: int, classes: int, width: int = 16, norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(5)]
        self.encoder = nn.ModuleList(
            nn.Sequential(double_convolution(before, after, norm), nn.MaxPool2d(2))
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.classifier = convolution(widths[-1], widths[-1], norm=norm)
        self.feature_channels = (widths[-1], widths[3], widths[2])
        self.heads = nn.ModuleList(head(channels, classes) for channels in self.feature_channels)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the encoder's maps at 1/32, 1/16 and 1/8 of the size."""
        x = image
        levels: list[Tensor] = []
        for encode in self.encoder:
            x = encode(x)
            levels.append(x)
        return [self.classifier(levels[4]), levels[3], levels[2]]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the summed scores at 1/8 of the size."""
        total: Tensor = self.heads[0](features[0])
        for score, feature in zip(list(self.heads)[1:], features[1:], strict=True):
            total = resize(total, feature.shape[-2:]) + score(feature)
        return total
