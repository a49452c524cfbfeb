"""Octave convolutions in the shape of U-Net: part of the channels live at half the resolution."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, head, normalisation, resize
from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import Upsample


class Octave(NamedTuple):
    """A map in two frequencies: `low` has half the size of `high`, rounded up, or is None."""

    high: Tensor
    low: Tensor | None


def low_channels(channels: int, share: float) -> int:
    """Return how many of the channels are of low frequency, at least one stays high."""
    return min(round(share * channels), channels - 1)


class OctaveConvolution(nn.Module):
    """A 3×3 octave convolution: each frequency is updated and they exchange (section 3.2).

    All paths together have as many weights as a plain convolution.

    Parameters
    ----------
    in_channels, out_channels
        Channels of both frequencies together.
    in_share, out_share
        Share of them that is of low frequency, the paper's α; 0 has no low frequency.
    norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        in_share: float,
        out_share: float,
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        low_in, low_out = low_channels(in_channels, in_share), low_channels(out_channels, out_share)
        high_in, high_out = in_channels - low_in, out_channels - low_out
        self.high_to_high = _path(high_in, high_out)
        self.high_to_low = _path(high_in, low_out)
        self.low_to_high = _path(low_in, high_out)
        self.low_to_low = _path(low_in, low_out)
        self.high = nn.Sequential(normalisation(norm, high_out), nn.ReLU(inplace=True))
        self.low = (
            nn.Sequential(normalisation(norm, low_out), nn.ReLU(inplace=True)) if low_out else None
        )

    def forward(self, x: Octave) -> Octave:
        """Return the convolved map."""
        assert self.high_to_high is not None
        high = self.high_to_high(x.high)
        if x.low is not None and self.low_to_high is not None:
            high = high + resize(self.low_to_high(x.low), high.shape[-2:], "nearest")
        if self.low is None or self.high_to_low is None:
            return Octave(self.high(high), None)
        low = self.high_to_low(F.avg_pool2d(x.high, 2, ceil_mode=True))
        if x.low is not None and self.low_to_low is not None:
            low = low + self.low_to_low(x.low)
        return Octave(self.high(high), self.low(low))


def _path(before: int, after: int) -> nn.Conv2d | None:
    return nn.Conv2d(before, after, 3, padding=1, bias=False) if before and after else None


class OctaveNet(Segmenter):
    """U-Net whose convolutions are octave convolutions; the paper has them in classifiers.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level has twice as many.
    depth
        How often the size is halved.
    share
        Share of the channels that is of low frequency, the paper's α.
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        share: float = 0.25,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.stride = 2 ** (depth + 1)  # the lower octave of the deepest level

        def twice(before: int, after: int, first_share: float) -> nn.Sequential:
            return nn.Sequential(
                OctaveConvolution(before, after, first_share, share, norm),
                OctaveConvolution(after, after, share, share, norm),
            )

        self.encoder = nn.ModuleList(
            twice(before, after, share if level else 0.0)
            for level, (before, after) in enumerate(pairwise([in_channels, *widths]))
        )
        self.decoder = nn.ModuleList(twice(3 * w, w, share) for w in reversed(widths[:-1]))
        self.junction = Junction()
        self.beside = nn.ModuleList(
            _Beside(2 * w, share, upsampling) for w in reversed(widths[:-1])
        )
        self.join = OctaveConvolution(width, width, share, 0.0, norm)
        self.head = head(width, classes)
        highs = [w - low_channels(w, share) for w in widths]
        self.feature_channels = (*reversed(highs[1:]), width)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the high frequencies of the decoder, coarsest first; the last has joined both."""
        x = Octave(image, None)
        carried: list[Octave] = []
        for level, encode in enumerate(self.encoder):
            x = encode(_halved(x) if level else x)
            carried.append(self._handed_over(x))
        x = carried.pop()
        features = [x.high]
        for decode, beside in zip(self.decoder, self.beside, strict=True):
            x = decode(beside(carried.pop(), x))
            features.append(x.high)
        return [*features[:-1], self.join(x).high]

    def _handed_over(self, x: Octave) -> Octave:
        return Octave(self.junction(x.high), None if x.low is None else self.junction(x.low))

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]


def _halved(x: Octave) -> Octave:
    high = F.max_pool2d(x.high, 2, ceil_mode=True)
    return Octave(high, None if x.low is None else F.max_pool2d(x.low, 2, ceil_mode=True))


class _Beside(nn.Module):
    """Enlarge a map of so many channels in both frequencies and put it beside a skip."""

    def __init__(self, channels: int, share: float, upsampling: UpsamplingName) -> None:
        super().__init__()
        low = low_channels(channels, share)
        self.high = Upsample(channels - low, upsampling)
        self.low = Upsample(low, upsampling) if low else None

    def forward(self, skip: Octave, x: Octave) -> Octave:
        high = torch.cat([skip.high, self.high(x.high, skip.high)], dim=1)
        if skip.low is None or x.low is None or self.low is None:
            return Octave(high, None)
        return Octave(high, torch.cat([skip.low, self.low(x.low, skip.low)], dim=1))


ARCHITECTURE = Architecture(OctaveNet, "Chen et al. 2019, arXiv 1904.05049, in the shape of U-Net")
