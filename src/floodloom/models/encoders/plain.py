"""The encoder of U-Net: two convolutions per level, max-pooling between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

from floodloom.models.blocks import Normalisation, double_convolution
from floodloom.models.encoders.base import Encoder


class PlainEncoder(Encoder):
    """Two 3×3 convolutions per level; every level halves the size.

    Parameters
    ----------
    in_channels
        Bands of the input.
    channels
        Channels of each level, finest first.
    norm
        See `floodloom.models.blocks`.
    """

    first = "0.0.weight"

    def __init__(
        self, in_channels: int, channels: Sequence[int], norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        for level, (before, after) in enumerate(pairwise([in_channels, *channels])):
            self.add_module(str(level), double_convolution(before, after, norm))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the map of every level, finest first."""
        maps: list[Tensor] = []
        for encode in self.children():
            maps.append(encode(F.max_pool2d(maps[-1], 2) if maps else image))
        return maps
