"""Blocks that the architectures share; none of them cares about the input's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Normalisation = Literal["batch", "group"]

_GROUPS = 8


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that trains on a lone value per channel, too.

    A globally pooled map of a batch of one has no variance; it is normalised by the running
    statistics, where PyTorch would raise an error.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (N, C, y, x) normalised."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def normalisation(kind: Normalisation, channels: int) -> nn.Module:
    """Return batch normalisation, or group normalisation with up to eight groups.

    Raises
    ------
    ValueError
        If `kind` is neither batch nor group.
    """
    if kind == "batch":
        return BatchNorm2d(channels)
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
    dilation: int = 1,
    norm: Normalisation = "batch",
) -> nn.Sequential:
    """Return convolution, normalisation and ReLU; the size is kept when the stride is 1."""
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride, padding, dilation, bias=False),
        normalisation(norm, out_channels),
        nn.ReLU(inplace=True),
    )


def separable_convolution(
    in_channels: int, out_channels: int, *, dilation: int = 1, norm: Normalisation = "batch"
) -> nn.Sequential:
    """Return a 3×3 convolution per channel and a 1×1 across channels, each normalised with ReLU.

    With a dilation it is the atrous separable convolution of DeepLabV3+ (arXiv 1802.02611, 3.1).
    """
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            in_channels,
            3,
            padding=dilation,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        ),
        normalisation(norm, in_channels),
        nn.ReLU(inplace=True),
        *convolution(in_channels, out_channels, 1, norm=norm),
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


class Junction(nn.Module):
    """Where an encoder hands a map to the decoder: nothing happens, unless a change is set.

    Training by consistency drops features here, which an encoder must then do without.
    """

    change: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, changed if a change is set."""
        return x if self.change is None else self.change(x)


def resize(x: Tensor, size: torch.Size, mode: str = "bilinear") -> Tensor:
    """Return `x` interpolated to `size` (y, x), or as it is if it has that size.

    An export with free height and width always interpolates, since it can't compare them.
    """
    if not torch.compiler.is_exporting() and x.shape[-2:] == size:
        return x
    align = None if mode == "nearest" else False
    return F.interpolate(x, size, mode=mode, align_corners=align)


def head(in_channels: int, classes: int) -> nn.Conv2d:
    """Return the 1×1 convolution from features to logits."""
    return nn.Conv2d(in_channels, classes, 1)
