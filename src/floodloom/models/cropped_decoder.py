"""Logits of the inner part of a window, without computing what only its rim would need.

Windows overlap by the receptive field, most of which the deep levels take up. A decoder's finest
levels, where most of the work is, reach only a few pixels beyond what is wanted of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Rim = tuple[int, int, int, int]
"""Pixels that aren't wanted at the top, at the bottom, on the left and on the right."""

WHOLE: Rim = (0, 0, 0, 0)


@runtime_checkable
class CroppedNetwork(Protocol):
    """A network that gives the inner part of a window alone."""

    def cropped_logits(self, image: Tensor, rim: Rim) -> Tensor:
        """Return the logits (N, class, y, x) of `image` (N, band, y, x) without the rim."""


Span = tuple[int, int]
"""First pixel along an axis and the one after the last."""

LEAST = 256
"""Side of an inner part, px, from which on convolutions add up in the order of the whole window."""

_REACH = 2  # px that two 3x3 convolutions see beyond their place


def crop_rim(image: Tensor, rim: Rim) -> Tensor:
    """Return (..., y, x) without its rim."""
    top, bottom, left, right = rim
    return image[..., top : image.shape[-2] - bottom, left : image.shape[-1] - right]


def decoder_spans(length: int, wanted: Span, levels: int) -> list[tuple[Span, Span]]:
    """Return which pixels each level of a decoder must compute, along one axis.

    Parameters
    ----------
    length
        Pixels of the finest level, a multiple of 2 ** `levels`.
    wanted
        What is wanted of the finest level.
    levels
        Levels that have two 3×3 convolutions, each twice as fine as the next.

    Returns
    -------
    list of (Span, Span)
        For each level, finest first: what is convolved, which begins and ends on even pixels, and
        what of it is right, as far from its ends as the convolutions reach. A last pair gives what
        is wanted of the level below, with one pixel more on each side for bilinear interpolation.
    """
    spans = []
    for level in range(levels):
        first = max(wanted[0] - _REACH, 0) // 2 * 2
        last = min(-(-(wanted[1] + _REACH) // 2) * 2, length >> level)
        spans.append(((first, last), wanted))
        wanted = max(first // 2 - 1, 0), min(last // 2 + 1, length >> level + 1)
    return [*spans, (wanted, wanted)]


def decoder_bands(first: int, last: int) -> list[Span]:
    """Return bands of rows of an inner part, of `LEAST` rows or some more, one after the other.

    What the finest levels hold of a whole window takes most of the memory.
    """
    number = max((last - first) // LEAST, 1)
    edges = [first + (last - first) * band // number for band in range(number + 1)]
    return list(pairwise(edges))


def crop(image: Tensor, rows: Span, cols: Span, origin: Span = (0, 0)) -> Tensor:
    """Return rows and columns of (N, C, y, x), whose first pixel is at `origin`."""
    top, left = origin
    return image[..., rows[0] - top : rows[1] - top, cols[0] - left : cols[1] - left]


def make_dense(image: Tensor, like: Tensor) -> Tensor:
    """Return a copy without gaps, in the memory format of another tensor.

    Interpolation rounds differently where there are gaps.
    """
    last = like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous()
    return image.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
