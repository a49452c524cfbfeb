"""AlexNet in one column (Krizhevsky 2014, arXiv 1404.5997), without its classifier."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.blocks import Normalisation
from floodloom.models.encoder import Encoder, require_stride

_QUARTER, _EIGHTH, _SIXTEENTH = 1, 4, 11
"""Layers after which the maps of these sizes are taken, each before its pooling."""


class AlexNet(Encoder):
    """The convolutions of AlexNet; its maps are taken before each pooling, the last one after.

    The first convolution quarters the size at once: maps 0 and 1 are the image, and the image at
    half the size. Convolutions and poolings are padded, so that every map is half of the one before
    and nothing is cropped; the weights don't depend on that.

    Parameters
    ----------
    in_channels
        Bands of the input.
    output_stride
        Only 32.
    norm
        Of no effect: it has no normalisation.
    """

    channels: tuple[int, ...]
    first = "features.0.weight"

    def __init__(
        self, in_channels: int, output_stride: int = 32, norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        require_stride("alexnet", output_stride, (32,))
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, 4, 5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.channels = (in_channels, in_channels, 64, 192, 256, 256)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps at 1/1 to 1/32 of the size, the image first."""
        maps = [image, F.avg_pool2d(image, 2, ceil_mode=True)]
        x = image
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in (_QUARTER, _EIGHTH, _SIXTEENTH):
                maps.append(x)
        return [*maps, x]


ENCODER = AlexNet
