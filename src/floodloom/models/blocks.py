"""Blocks that the architectures share; none of them cares about the input's size."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Normalisation = Literal["batch", "group"]
Upsampling = Literal["nearest", "bilinear", "transposed"]

_GROUPS = 8


def normalisation(kind: Normalisation, channels: int) -> nn.Module:
    """Return batch normalisation, or group normalisation with up to eight groups.

    Raises
    ------
    ValueError
        If `kind` is neither batch nor group.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        groups = next(n for n in range(min(_GROUPS, channels), 0, -1) if channels % n == 0)
        return nn.GroupNorm(groups, channels)
    raise ValueError(f"normalisation {kind!r}: choose batch or group")


def convolution(
    in_channels: int,
    out_channels: int,
    size: int = 3,
    *,
    stride: int = 1,
    norm: Normalisation = "batch",
) -> nn.Sequential:
    """Return convolution, normalisation and ReLU; the size is kept when the stride is 1."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False),
        normalisation(norm, out_channels),
        nn.ReLU(inplace=True),
    )


def double_convolution(
    in_channels: int, out_channels: int, norm: Normalisation = "batch"
) -> nn.Sequential:
    """Return two 3×3 convolutions, the block of U-Net with padding."""
    return nn.Sequential(
        *convolution(in_channels, out_channels, norm=norm),
        *convolution(out_channels, out_channels, norm=norm),
    )


class Residual(nn.Module):
    """The basic block of ResNet (He et al. 2016, arXiv 1512.03385)."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(in_channels, out_channels, stride=stride, norm=norm),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            normalisation(norm, out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                normalisation(norm, out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum of body and shortcut."""
        return F.relu(self.body(x) + self.shortcut(x))


class Upsample(nn.Module):
    """Bring a feature map to another's size, whatever that is: nothing is ever cropped.

    `transposed` doubles the size by a 2×2 transposed convolution of stride 2, which leaves no
    checkerboard, and closes the odd pixel by interpolation.
    """

    def __init__(self, channels: int, kind: Upsampling = "bilinear") -> None:
        super().__init__()
        if kind not in ("nearest", "bilinear", "transposed"):
            raise ValueError(f"upsampling {kind!r}: choose nearest, bilinear or transposed")
        self.mode = "nearest" if kind == "nearest" else "bilinear"
        self.enlarge: nn.Module = nn.Identity()
        if kind == "transposed":
            self.enlarge = nn.ConvTranspose2d(channels, channels, 2, stride=2)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """Return `x` (N, C, y, x) at `size` (y, x)."""
        return resize(self.enlarge(x), size, self.mode)


def resize(x: Tensor, size: torch.Size, mode: str = "bilinear") -> Tensor:
    """Return `x` interpolated to `size` (y, x), or as it is if it has that size."""
    if x.shape[-2:] == size:
        return x
    align = None if mode == "nearest" else False
    return F.interpolate(x, size, mode=mode, align_corners=align)


class Merge(nn.Module):
    """One step of a decoder: upsample, concatenate the skips, convolve twice."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        upsampling: Upsampling = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.up = Upsample(in_channels, upsampling)
        self.convolve = double_convolution(in_channels + skip_channels, out_channels, norm)

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Return the features at the size of the skips."""
        raised = self.up(x, skips[0].shape[-2:])
        return self.convolve(torch.cat([*skips, raised], dim=1))  # type: ignore[no-any-return]


def head(in_channels: int, classes: int) -> nn.Conv2d:
    """Return the 1×1 convolution from features to logits."""
    return nn.Conv2d(in_channels, classes, 1)
