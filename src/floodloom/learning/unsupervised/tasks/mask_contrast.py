"""MaskContrast: pixels of a salient region alike, and unlike the regions of other tiles.

After Van Gansbeke et al. (2021), Unsupervised Semantic Segmentation by Contrasting Object Mask
Proposals, arXiv 2102.06191, sections 3.2 and 3.3, and the authors' code: embeddings of 32
dimensions, InfoNCE at a temperature of .5 between the pixels of a region and the prototypes of
another view's regions, by a network that follows slowly, with a memory of 256 prototypes; and a
balanced cross-entropy that learns the regions themselves. What differs: regions are those that are
dark (`floodloom.learning.unsupervised.dark_regions`); views are those of radar, turned and with
speckle, instead of crops in other colours; there is one network for all, from random weights; the
following network keeps .99 instead of .999 of itself, as trainings are shorter; and the memory
begins empty, not with random vectors.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.arrays import IGNORE
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import mask_contrast, prototypes
from floodloom.learning.unsupervised.dark_regions import dark_regions, polarised
from floodloom.learning.unsupervised.task import Task
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize

DIMENSIONS = 32
MEMORY = 256
FOLLOWING = 0.99


class Embedding(nn.Module):
    """A network with heads for what a pixel is like, and for whether it is salient."""

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network
        channels = network.feature_channels[-1]
        self.embed = nn.Conv2d(channels, DIMENSIONS, 1)
        self.salience = nn.Conv2d(channels, 1, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (N, 32, y, x) and logits (N, y, x) of salience."""
        size = image.shape[-2:]
        finest = self.network.features(image)[-1]
        salience = resize(self.salience(finest), size)[:, 0]
        return resize(self.embed(finest), size).float(), salience.float()


class MaskContrast(Task):
    """Two such networks, of which one learns and the other follows."""

    memory: Tensor

    def __init__(self, network: Segmenter, bands: Sequence[str]) -> None:
        super().__init__(network, bands)
        self.leading = Embedding(network)
        self.following = copy.deepcopy(self.leading).requires_grad_(False)
        self.register_buffer("memory", torch.zeros(0, DIMENSIONS))

    def forward(self, batch: Samples, seeds: Tensor, augmentation: Augmentation) -> Tensor:
        """Return the contrast of the regions plus the cross-entropy of where they are."""
        regions = dark_regions(batch.image, batch.valid, polarised(self.bands))
        masked = replace(batch, label=regions)
        query, key = augmentation(masked, seeds), augmentation(masked, seeds + 1)
        embedded, salience = self.leading(query.image)
        with torch.no_grad():
            others, _ = self.following(key.image)
        memory = self.memory if len(self.memory) else None
        contrast = mask_contrast(embedded, others, query.label, key.label, memory)
        found, there = prototypes(others, key.label)
        self.memory = torch.cat([found[there].to(self.memory), self.memory])[:MEMORY]
        return contrast + balanced_cross_entropy(salience, query.label)

    @torch.no_grad()
    def follow(self) -> None:
        """Let the second network follow the first."""
        pairs = zip(self.following.parameters(), self.leading.parameters(), strict=True)
        for behind, ahead in pairs:
            behind.lerp_(ahead, 1 - FOLLOWING)


def balanced_cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the cross-entropy of (N, y, x) logits, either side weighted by the other's share.

    Parameters
    ----------
    logits
        Of salience.
    mask
        (N, y, x): 1 = salient, 0 = not, 255 = ignored.
    """
    known = mask != IGNORE
    salient = (mask == 1).float()
    total = known.sum().clamp(min=1)
    share = salient.sum() / total
    weight = torch.where(salient > 0, 1 - share, share) * known
    loss = F.binary_cross_entropy_with_logits(logits, salient, reduction="none")
    return (loss * weight).sum() / total


TASK = MaskContrast
