"""Late fusion: two identical networks, one per group of bands, joined before the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from floodloom.models.architectures import fcn8  # noqa: F401  the default branch is a part of this
from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import head, resize
from floodloom.models.choices import ARCHITECTURES, ModelName


class LateFusion(Segmenter):
    """Two identical branches, such as backscatter and elevation, fused by a 1×1 convolution.

    Local response normalisation (Krizhevsky et al. 2012, section 3.3, its constants) brings the
    branches to one scale before they are joined, so that neither outweighs the other.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Width of the branches, and the channels that each gives to the classifier.
    groups
        Indices of the bands of each branch, or in a configuration their names; None: the first
        half, rounded up, and the others (one band goes into both).
    branch
        Architecture of both branches.
    alone
        Whether the first branch learns the classes by itself, too, and decides alone where the
        second has no data: where all its bands are 0.

    Raises
    ------
    ValueError
        If there aren't two groups, or a band is not there.
    ConfigError
        If the branch is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        groups: Sequence[Sequence[int | str]] | None = None,
        branch: ModelName = "fcn8",
        alone: bool = False,
    ) -> None:
        super().__init__()
        half = (in_channels + 1) // 2
        bands = range(in_channels)
        self.groups = cast(Sequence[Sequence[int]], groups or (bands[:half], bands[half:] or bands))
        if len(self.groups) != 2 or not all(
            group and set(group) <= set(bands) for group in self.groups
        ):
            raise ValueError(
                f"groups {groups}: choose two lists of bands from 0 to {in_channels - 1}"
            )
        make = ARCHITECTURES.load(branch).make
        self.branches = nn.ModuleList(
            make(len(group), classes=width, width=width) for group in self.groups
        )
        self.equalise = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
        self.head = head(2 * width, classes)
        self.alone = head(width, classes) if alone else None
        one = make(len(self.groups[0]), classes=width, width=width)
        self.feature_channels = tuple(2 * c for c in one.feature_channels)
        self.stride = one.stride

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the maps of both branches side by side, coarsest first."""
        per_branch = [
            branch.features(image[:, list(group)])  # type: ignore[operator]
            for branch, group in zip(self.branches, self.groups, strict=True)
        ]
        return [torch.cat(pair, dim=1) for pair in zip(*per_branch, strict=True)]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of both branches at the size of their scores."""
        return self._joint(self._scores(features))

    def logits(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Return the logits of both branches, or of the first where the second has no data."""
        scores, size = self._scores(features), image.shape[-2:]
        both = resize(self._joint(scores), size)
        if self.alone is None:
            return both
        no_data = (image[:, list(self.groups[1])] == 0).all(dim=1, keepdim=True)
        return torch.where(no_data, resize(self.alone(scores[0]), size), both)

    def side_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Return the first branch's own logits, if it learns them, and those on its way there."""
        if self.alone is None:
            return []
        first, own = self.branches[0], self._halves(features)[0]
        scores = [first.classify(own), *first.side_logits(own)]  # type: ignore[operator]
        return [self.alone(score) for score in scores]

    def _scores(self, features: list[Tensor]) -> list[Tensor]:
        return [
            branch.classify(own)  # type: ignore[operator]
            for branch, own in zip(self.branches, self._halves(features), strict=True)
        ]

    def _joint(self, scores: list[Tensor]) -> Tensor:
        return self.head(torch.cat([self.equalise(score) for score in scores], dim=1))  # type: ignore[no-any-return]

    def _halves(self, features: list[Tensor]) -> list[list[Tensor]]:
        return [list(half) for half in zip(*(x.chunk(2, dim=1) for x in features), strict=True)]


ARCHITECTURE = Architecture(
    LateFusion, "Marmanis et al. 2016, doi 10.5194/isprs-annals-III-3-473-2016"
)
