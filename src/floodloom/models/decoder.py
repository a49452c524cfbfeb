"""The step that decoders share: enlarge, join the skips, convolve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from floodloom.models.blocks import Normalisation, double_convolution
from floodloom.models.choices import UpsamplingName
from floodloom.models.upsampling import Upsample

Skips = Literal["concatenate", "add"]


class Merge(nn.Module):
    """One step of a decoder: upsample, concatenate or add the skips, convolve twice.

    Parameters
    ----------
    in_channels
        Channels of the coarse map; a transposed convolution brings it to `out_channels`.
    skip_channels
        Channels of each skip.
    out_channels
        Channels of the result.
    upsampling, norm
        See `floodloom.models.upsampling` and `floodloom.models.blocks`.
    skips
        `add` first brings maps of other than `out_channels` there by 1×1 convolutions.

    Raises
    ------
    ValueError
        If `skips` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: Sequence[int],
        out_channels: int,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
        skips: Skips = "concatenate",
    ) -> None:
        super().__init__()
        if skips not in ("concatenate", "add"):
            raise ValueError(f"skips {skips!r}: choose concatenate or add")
        self.up = Upsample(in_channels, upsampling, out_channels)
        channels = (*skip_channels, self.up.out_channels)
        self.match = None
        if skips == "add":
            self.match = nn.ModuleList(
                nn.Identity() if c == out_channels else nn.Conv2d(c, out_channels, 1)
                for c in channels
            )
            channels = (out_channels,)
        self.convolve = double_convolution(sum(channels), out_channels, norm)

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Return the features at the size of the skips."""
        if self.match is None:  # nothing but the joint map is held while it is convolved
            joint = torch.cat([*skips, self.up(x, skips[0])], dim=1)
            return self.convolve(joint)  # type: ignore[no-any-return]
        maps = [*skips, self.up(x, skips[0])]
        matched = [match(m) for match, m in zip(self.match, maps, strict=True)]
        return self.convolve(torch.stack(matched).sum(0))  # type: ignore[no-any-return]
