"""Hidden patches, whose backscatter the network predicts from what is around them.

After Xie et al. (2022), SimMIM: A Simple Framework for Masked Image Modeling, arXiv 2111.09886: a
random share of .6 of the patches is hidden, a head of one layer predicts the raw values, and the
loss is L1 on the hidden pixels. What differs: the network is the one that is trained afterwards,
with its decoder; hidden pixels are 0, the middle of the inputs' range, as pixels without data are;
patches have 8 px instead of 32, as lakes and fields are small; pixels without data don't count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from floodloom.learning.data.augmentation import Augmentation, Draws
from floodloom.learning.data.samples import Samples
from floodloom.learning.unsupervised.task import Task
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize

PATCH = 8  # px
HIDDEN = 0.6


class MaskedReconstruction(Task):
    """A network with a 1 x 1 convolution from its finest features to its input bands."""

    def __init__(self, network: Segmenter, bands: Sequence[str]) -> None:
        super().__init__(network, bands)
        self.head = nn.Conv2d(network.feature_channels[-1], len(bands), 1)

    def forward(self, batch: Samples, seeds: Tensor, augmentation: Augmentation) -> Tensor:
        """Return the mean absolute error of the hidden pixels."""
        view = augmentation(batch, seeds)
        height, width = view.image.shape[-2:]
        hidden = hidden_patches(seeds + 1, height, width).to(view.image.device)
        finest = self.network.features(view.image.masked_fill(hidden, 0.0))[-1]
        guess = resize(self.head(finest), view.image.shape[-2:]).float()
        counted = hidden & view.valid
        return ((guess - view.image).abs() * counted).sum() / counted.sum().clamp(min=1)


def hidden_patches(seeds: Tensor, height: int, width: int) -> Tensor:
    """Return (tile, 1, y, x) bool: which pixels are hidden, the same share of each tile's patches.

    Parameters
    ----------
    seeds
        (tile,) int64.
    height, width
        Of a tile, px; patches at its right and bottom edges may be smaller.
    """
    rows, cols = math.ceil(height / PATCH), math.ceil(width / PATCH)
    order = Draws(seeds).uniform(rows * cols).argsort(dim=1).argsort(dim=1)
    patches = (order < round(HIDDEN * rows * cols)).view(-1, 1, rows, cols)
    whole = torch.repeat_interleave(patches, PATCH, dim=2).repeat_interleave(PATCH, dim=3)
    return whole[:, :, :height, :width]


TASK = MaskedReconstruction
