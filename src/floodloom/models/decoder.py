"""Decoders, and the ways in which they enlarge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.blocks import Normalisation, double_convolution, resize
from floodloom.models.choices import UpsamplingName


class Upsample(nn.Module):
    """Bring a feature map to another's size, whatever that is: nothing is ever cropped.

    - `nearest`, `bilinear`, `bicubic` interpolate.
    - `bed_of_nails` puts each value into the first pixel of its 2×2 block, zeros beside it.
    - `max_unpool` puts it where the skip has the maximum of that block.
    - `transposed` (2×2, stride 2) and `transposed_4x4` (4×4, stride 2) learn the filter, and close
      an odd pixel by interpolation. `transposed_3x3` covers neighbouring pixels by one, two or four
      of its taps and so draws a checkerboard (Odena et al. 2016, doi 10.23915/distill.00003); it is
      there to show that.

    Parameters
    ----------
    in_channels
        Channels of the map.
    kind
        How to enlarge it.
    out_channels
        What the transposed convolutions give, by default `in_channels`; the others keep theirs.

    Attributes
    ----------
    out_channels
        Channels of the result.

    Raises
    ------
    ValueError
        If `kind` is unknown.
    """

    def __init__(
        self, in_channels: int, kind: UpsamplingName = "bilinear", out_channels: int | None = None
    ) -> None:
        super().__init__()
        if kind not in get_args(UpsamplingName):
            raise ValueError(f"upsampling {kind!r}: choose {' or '.join(get_args(UpsamplingName))}")
        self.kind = kind
        self.mode = kind if kind in ("nearest", "bicubic") else "bilinear"
        self.enlarge: nn.Module = nn.Identity()
        self.out_channels = in_channels
        if kind.startswith("transposed"):
            self.out_channels = out_channels or in_channels
            self.enlarge = _transposed(in_channels, self.out_channels, kind)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return `x` (N, C, y, x) at the size of `skip` (N, any, y, x), about twice as large."""
        size = skip.shape[-2:]
        if self.kind == "bed_of_nails":
            return bed_of_nails(x, size)
        if self.kind == "max_unpool":
            return max_unpool(x, places_of_maxima(skip, x), size)
        return resize(self.enlarge(x), size, self.mode)


def _transposed(in_channels: int, out_channels: int, kind: UpsamplingName) -> nn.Module:
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    if kind == "transposed_4x4":
        return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)


class Enlarge(nn.Module):
    """Bring a feature map, or scores, to a map that is 2, 4, ... times as large.

    Interpolation does it at once, and so do transposed convolutions: of a filter as wide as the
    factor (`transposed`) or twice as wide, which begins as bilinear interpolation
    (`transposed_4x4`; Long et al. 2015, arXiv 1411.4038, section 3.3). The other kinds take a step
    of 2 after the other; `max_unpool` finds the places of the maxima in the guide, pooled.

    Parameters
    ----------
    channels
        Channels of the map.
    kind
        How to enlarge it.
    factor
        A power of two; 1 leaves the map as it is.
    """

    def __init__(self, channels: int, kind: UpsamplingName, factor: int) -> None:
        super().__init__()
        steps = factor.bit_length() - 1
        self.at_once: nn.Module | None = None
        if kind in ("transposed", "transposed_4x4") and steps:
            self.at_once = _one_transposed(channels, factor, overlapping=kind == "transposed_4x4")
        one_step = kind in INTERPOLATIONS or self.at_once is not None
        count = min(steps, 1) if one_step else steps
        plain: UpsamplingName = "bilinear" if self.at_once is not None else kind
        self.steps = nn.ModuleList(Upsample(channels, plain) for _ in range(count))

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Return `x` (N, C, y, x) at the size of `guide` (N, any, y, x)."""
        if self.at_once is not None:
            x = self.at_once(x)
        guides = [guide]
        for _ in range(len(self.steps) - 1):
            guides.append(F.max_pool2d(guides[-1], 2, ceil_mode=True))
        for step, target in zip(self.steps, reversed(guides), strict=False):
            x = step(x, target)
        return x


INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def _one_transposed(channels: int, factor: int, *, overlapping: bool) -> nn.ConvTranspose2d:
    if not overlapping:
        return nn.ConvTranspose2d(channels, channels, factor, stride=factor)
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, stride=factor, padding=factor // 2)
    side = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight.diagonal().copy_(torch.outer(side, side)[..., None].expand(-1, -1, channels))
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def bed_of_nails(x: Tensor, size: torch.Size) -> Tensor:
    """Return `x` on every second row and column of a map of `size` (y, x), zero elsewhere."""
    count, channels, rows, cols = x.shape
    zero = torch.zeros_like(x)
    pairs = torch.stack([torch.stack([x, zero], -1), torch.stack([zero, zero], -1)], 3)
    nails = pairs.reshape(count, channels, 2 * rows, 2 * cols)
    return F.pad(nails, (0, size[1] - 2 * cols, 0, size[0] - 2 * rows))


def max_unpool(x: Tensor, places: Tensor, size: torch.Size) -> Tensor:
    """Return `x` (N, C, y, x) at `places` of a map of `size` (y, x), zero elsewhere.

    Parameters
    ----------
    places
        int64, shaped like `x`: row times width plus column in the map of `size`, as a max-pooling
        with `return_indices` gives it.
    size
        Size of the map that was pooled.
    """
    count, channels = x.shape[:2]
    flat = x.new_zeros(count, channels, size[0] * size[1])
    filled = flat.scatter(2, places.flatten(2), x.flatten(2))
    return filled.reshape(count, channels, size[0], size[1])


def places_of_maxima(skip: Tensor, x: Tensor) -> Tensor:
    """Return for each value of `x` the place of the maximum in its 2×2 block of `skip`.

    These are the indices that a 2×2 max-pooling of `skip` stores. Where `x` has more channels than
    `skip`, it takes the places of the skip's channels in turn.
    """
    _, places = F.max_pool2d(skip, 2, ceil_mode=True, return_indices=True)
    channels, rows, cols = (torch.arange(n, device=x.device) for n in x.shape[1:])
    # Indices, not slices: a slice makes an export decide whether the skip's size is even.
    return places[:, (channels % skip.shape[1])[:, None, None], rows[:, None], cols]


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
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
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
