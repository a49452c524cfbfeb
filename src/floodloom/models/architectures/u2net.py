"""U²-Net: a U of small Us, each level with a prediction of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, convolution, head, resize
from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import Upsample

DEPTHS = (7, 6, 5, 4, 4, 4)
"""Depth of the block of each level, Table 1 of the paper."""
_FLAT = 2  # so many of the last levels dilate instead of halving


class ResidualU(nn.Module):
    """The paper's RSU block: a small U-Net whose input is added to its output.

    Parameters
    ----------
    in_channels, middle, out_channels
        Channels of the input, inside the block, and of the result.
    depth
        Convolutions on the way down; all but the last two of them halve the size.
    flat
        Dilate ever more instead of halving (RSU-4F).
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        middle: int,
        out_channels: int,
        depth: int,
        flat: bool = False,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.flat = flat
        steps = [2**level if flat else 1 for level in range(depth - 1)]
        self.enter = convolution(in_channels, out_channels, norm=norm)
        self.down = nn.ModuleList(
            convolution(middle if level else out_channels, middle, dilation=step, norm=norm)
            for level, step in enumerate(steps)
        )
        self.bottom = convolution(
            middle, middle, dilation=2 ** (depth - 1) if flat else 2, norm=norm
        )
        self.up = nn.ModuleList(
            convolution(2 * middle, middle if level else out_channels, dilation=step, norm=norm)
            for level, step in reversed(list(enumerate(steps)))
        )

        # The bottom has the size of the deepest level, and flat blocks have one size.
        self.enlarge = nn.ModuleList(
            Upsample(middle, upsampling) for _ in range(0 if flat else depth - 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, `out_channels`, y, x) of `x` (N, `in_channels`, y, x)."""
        entered = self.enter(x)
        carried: list[Tensor] = []
        y = entered
        for level, convolve in enumerate(self.down):
            y = convolve(y if self.flat or level == 0 else _halved(y))
            carried.append(y)
        y = self.bottom(y)
        for level, convolve in enumerate(self.up):
            skip = carried.pop()
            if level and not self.flat:
                y = self.enlarge[level - 1](y, skip)
            y = convolve(torch.cat([y, skip], dim=1))
        return y + entered  # type: ignore[no-any-return]


def _halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, ceil_mode=True)


class U2Net(Segmenter):
    """U²-Net; `width=64` is the paper's, `width=64, middle=16` its small version.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; they double per level up to eight times as many.
    middle
        Channels inside every block, whose results then all have `width`; None: half of what the
        level above gives, as in the full version.
    depths
        Depth of the block of each level; the last two levels are flat.
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`; side outputs are interpolated.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        middle: int | None = None,
        depths: Sequence[int] = DEPTHS,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        levels = range(len(depths))
        flat = len(depths) - _FLAT
        growth = [1 if middle else min(2**level, 8) for level in levels]
        widths = [width * factor for factor in growth]
        above = [width, *widths[:-1]]
        inside = [middle or max(channels // 2, 1) for channels in above]
        inside_up = [middle or max(inside[level] // (1 if level else 2), 1) for level in levels]
        inputs = [in_channels, *widths]
        self.encoder = nn.ModuleList(
            ResidualU(inputs[i], inside[i], widths[i], depths[i], i >= flat, upsampling, norm)
            for i in levels
        )
        raised = [*above[1:-1], widths[-1]]
        self.decoder = nn.ModuleList(
            ResidualU(
                raised[i] + widths[i],
                inside_up[i],
                above[i],
                depths[i],
                i >= flat,
                upsampling,
                norm,
            )
            for i in reversed(levels[:-1])
        )
        self.junction = Junction()
        self.enlarge = nn.ModuleList(Upsample(raised[i], upsampling) for i in reversed(levels[:-1]))
        self.feature_channels = (widths[-1], *reversed(above[:-1]))
        self.sides = nn.ModuleList(
            nn.Conv2d(channels, classes, 3, padding=1) for channels in self.feature_channels
        )
        self.fuse = head(len(depths) * classes, classes)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the coarsest map and the decoder's maps, coarsest first."""
        x = image
        carried: list[Tensor] = []
        for level, encode in enumerate(self.encoder):
            x = encode(_halved(x) if level else x)
            carried.append(self.junction(x))
        features = [carried.pop()]
        for decode, enlarge in zip(self.decoder, self.enlarge, strict=True):
            skip = carried.pop()
            raised = enlarge(features[-1], skip)
            features.append(decode(torch.cat([raised, skip], dim=1)))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the side outputs of all levels, fused."""
        return self.fuse(torch.cat(self.side_logits(features), dim=1))  # type: ignore[no-any-return]

    def side_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Return the logits of every level at the image's size."""
        size = features[-1].shape[-2:]
        return [resize(side(x), size) for side, x in zip(self.sides, features, strict=True)]


ARCHITECTURE = Architecture(U2Net, "Qin et al. 2020, arXiv 2005.09007")
