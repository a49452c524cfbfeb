"""HRNet: branches of four sizes side by side, which exchange what they see."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import (
    Junction,
    Normalisation,
    Residual,
    convolution,
    head,
    normalisation,
)
from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import Enlarge
from floodloom.models.encoder import Bottleneck


class Exchange(nn.Module):
    """Every branch receives the sum of all branches, brought to its size and channels.

    Downwards by 3×3 convolutions of stride 2, upwards by a 1×1 convolution and interpolation.
    """

    def __init__(
        self,
        widths: Sequence[int],
        norm: Normalisation,
        upsampling: UpsamplingName = "bilinear",
    ) -> None:
        super().__init__()
        self.enlarge = nn.ModuleList(
            nn.ModuleList(
                Enlarge(widths[target], upsampling, 2 ** max(source - target, 0))
                for source in range(len(widths))
            )
            for target in range(len(widths))
        )
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target, norm) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return one map per branch, finest first."""
        exchanged: list[Tensor] = []
        for own, paths, enlarge in zip(maps, self.paths, self.enlarge, strict=True):
            ways = zip(paths.children(), enlarge.children(), maps, strict=True)
            arriving = [larger(path(x), own) for path, larger, x in ways]
            exchanged.append(torch.stack(arriving).sum(0).relu())
        return exchanged


def _path(widths: Sequence[int], source: int, target: int, norm: Normalisation) -> nn.Module:
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2d(widths[source], widths[target], 1, bias=False),
            normalisation(norm, widths[target]),
        )
    steps: list[nn.Module] = []
    for _ in range(source, target - 1):
        steps += convolution(widths[source], widths[source], stride=2, norm=norm)
    return nn.Sequential(
        *steps,
        nn.Conv2d(widths[source], widths[target], 3, 2, 1, bias=False),
        normalisation(norm, widths[target]),
    )


class _Module(nn.Module):
    """A multi-resolution group of residual blocks and the exchange after it."""

    def __init__(
        self, widths: Sequence[int], blocks: int, upsampling: UpsamplingName, norm: Normalisation
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(Residual(width, width, 1, norm) for _ in range(blocks)))
            for width in widths
        )
        self.exchange = Exchange(widths, norm, upsampling)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        grouped = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return self.exchange(grouped)  # type: ignore[no-any-return]


class HRNet(Segmenter):
    """HRNetV2; `width=48, stem=64, blocks=4, modules=(1, 4, 3)` is the paper's W48.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the finest branch; every further branch has twice as many.
    stem
        Channels of the stem, by default twice `width`.
    blocks
        Residual blocks per branch and module, and of the first stage.
    modules
        Groups with their exchanges in the second, third and fourth stage.
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        stem: int | None = None,
        blocks: int = 2,
        modules: Sequence[int] = (1, 1, 1),
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        inner = stem or 2 * width
        widths = [width * 2**branch for branch in range(len(modules) + 1)]
        self.stem = nn.Sequential(
            *convolution(in_channels, inner, stride=2, norm=norm),
            *convolution(inner, inner, stride=2, norm=norm),
            Bottleneck(inner, inner, 1, 1, norm),
            *(Bottleneck(4 * inner, inner, 1, 1, norm) for _ in range(blocks - 1)),
        )
        self.enter = convolution(4 * inner, width, norm=norm)
        # The first new branch starts from the stem, as in the authors' code.
        self.open = nn.ModuleList(
            convolution(before, after, stride=2, norm=norm)
            for before, after in pairwise([4 * inner, *widths[1:]])
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(
                _Module(widths[: stage + 2], blocks, upsampling, norm) for _ in range(count)
            )
            for stage, count in enumerate(modules)
        )
        total = sum(widths)
        self.junction = Junction()
        self.fuse = convolution(total, total, 1, norm=norm)
        self.head = head(total, classes)
        self.enlarge = nn.ModuleList(
            Enlarge(channels, upsampling, 2**branch) for branch, channels in enumerate(widths)
        )
        self.enlarge_scores = Enlarge(classes, upsampling, 4)
        self.feature_channels = (*reversed(widths), total)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the branches, coarsest first, then all of them fused at 1/4 of the size."""
        stem = self.stem(image)
        maps = [self.enter(stem)]
        for level, (opened, stage) in enumerate(zip(self.open, self.stages, strict=True)):
            maps.append(opened(maps[-1] if level else stem))
            for module in stage.children():
                maps = module(maps)
        maps = [self.junction(x) for x in maps]
        raised = [larger(x, maps[0]) for larger, x in zip(self.enlarge, maps, strict=True)]
        return [*reversed(maps), self.fuse(torch.cat(raised, dim=1))]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits at 1/4 of the size."""
        return self.head(features[-1])  # type: ignore[no-any-return]

    def logits(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Return the logits at the size of `image`."""
        return self.enlarge_scores(self.classify(features), image)  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(HRNet, "Wang et al. 2020, arXiv 1908.07919")
