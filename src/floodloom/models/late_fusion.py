"""Late fusion: two identical networks, one per group of bands, joined before the classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from floodloom.models.base import ARCHITECTURES, Segmenter, register
from floodloom.models.blocks import head


@register(
    "late_fusion",
    source="Marmanis et al. 2016, doi 10.5194/isprs-annals-III-3-473-2016",
)
class LateFusion(Segmenter):
    """Two identical branches, such as backscatter and elevation, fused by a 1×1 convolution.

    Local response normalisation (Krizhevsky et al. 2012, section 3.3, its constants) brings the
    branches to one scale before they meet, so that neither drowns the other.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Width of the branches, and the channels in which each of them meets the other.
    groups
        Indices of the bands of each branch; None: the first half, rounded up, and the others (one
        band goes into both).
    branch
        Architecture of both branches.

    Raises
    ------
    ValueError
        If there aren't two groups, a band is not there, or the branch is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        groups: Sequence[Sequence[int]] | None = None,
        branch: str = "fcn8",
    ) -> None:
        super().__init__()
        half = (in_channels + 1) // 2
        bands = range(in_channels)
        self.groups = groups or (bands[:half], bands[half:] or bands)
        if len(self.groups) != 2 or not all(
            group and set(group) <= set(bands) for group in self.groups
        ):
            raise ValueError(
                f"groups {groups}: choose two lists of bands from 0 to {in_channels - 1}"
            )
        if branch not in ARCHITECTURES:
            raise ValueError(f"branch {branch!r}: choose {' or '.join(sorted(ARCHITECTURES))}")
        make = ARCHITECTURES[branch].make
        self.branches = nn.ModuleList(
            make(len(group), classes=width, width=width) for group in self.groups
        )
        self.equalise = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
        self.head = head(2 * width, classes)
        channels = make(len(self.groups[0]), classes=width, width=width).feature_channels
        self.feature_channels = tuple(2 * c for c in channels)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the maps of both branches side by side, coarsest first."""
        per_branch = [
            branch.features(image[:, list(group)])  # type: ignore[operator]
            for branch, group in zip(self.branches, self.groups, strict=True)
        ]
        return [torch.cat(pair, dim=1) for pair in zip(*per_branch, strict=True)]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits at the size of the branches' scores."""
        halves = zip(*(feature.chunk(2, dim=1) for feature in features), strict=True)
        scores = [
            self.equalise(branch.classify(list(half)))  # type: ignore[operator]
            for branch, half in zip(self.branches, halves, strict=True)
        ]
        return self.head(torch.cat(scores, dim=1))  # type: ignore[no-any-return]
