"""Maximum pooling and bilinear upsampling of feature maps of one byte a value, in whole numbers.

PyTorch pools bytes in small maps only and enlarges them slowly; these loops take as long as the
memory does. Maps are (N, C, y, x) uint8 in channels-last memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from floodloom.arrays import Bytes
from floodloom.kernels import jit

Place = tuple[int, int]
"""First row and column of a part."""

CHANNEL_MULTIPLE = 8
"""What the channels of concatenated maps must be a multiple of: so many bytes move at once."""


def max_pool(image: Tensor) -> Tensor:
    """Return the maximum of every 2×2 block of (N, C, y, x) uint8, y and x even."""
    count, channels, height, width = image.shape
    out = _empty(count, channels, height // 2, width // 2)
    before, after = _pixels(image), _pixels(out)
    _by_bands(height // 2, lambda number, first, last: _pool(
        before[number], after[number], first, last
    ), count)  # fmt: skip
    return out


def concatenate_upsampled(
    skip: Tensor, at: Place, coarse: Tensor, origin: Place, size: Place
) -> Tensor:
    """Return part of a skip and, behind its channels, the same part of a coarse map's double.

    Parameters
    ----------
    skip
        (N, C, y, x) uint8, C a multiple of `CHANNEL_MULTIPLE`.
    at
        Where the part begins in `skip`.
    coarse
        (N, D, y, x) uint8, D a multiple of `CHANNEL_MULTIPLE`; enlarged twofold by bilinear
        interpolation, rounded half up.
    origin
        Where the part begins in the enlarged map.
    size
        Rows and columns of the part.

    Returns
    -------
    Tensor
        (N, C + D, *size) uint8.
    """
    out = _empty(skip.shape[0], skip.shape[1] + coarse.shape[1], *size)
    fine, low, made = _as_uint64(skip), _pixels(coarse), _as_uint64(out)
    _by_bands(size[0], lambda number, first, last: _concatenate(
        fine[number], at, low[number], origin, made[number], first, last
    ), len(out))  # fmt: skip
    return out


def _empty(count: int, channels: int, height: int, width: int) -> Tensor:
    shape = (count, channels, height, width)
    return torch.empty(shape, dtype=torch.uint8, memory_format=torch.channels_last)


def _pixels(image: Tensor) -> Bytes:
    """The same memory as (N, y, x, C) without gaps, which is what compiles to vectors."""
    dense = image.contiguous(memory_format=torch.channels_last)
    return np.asarray(dense.permute(0, 2, 3, 1).numpy())


def _as_uint64(image: Tensor) -> NDArray[np.uint64]:
    return _pixels(image).view(np.uint64)


def _by_bands(rows: int, work: Callable[[int, int, int], None], count: int) -> None:
    """Share out the rows of so many maps among as many threads as PyTorch has."""
    threads = torch.get_num_threads()
    bands = list(pairwise(np.linspace(0, rows, threads + 1).astype(int).tolist()))
    parts = [(number, *band) for number in range(count) for band in bands]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: work(*part), parts))


@jit()
def _pool(image, out, first, last):  # type: ignore[no-untyped-def]
    for y in range(first, last):
        for x in range(out.shape[1]):
            for c in range(out.shape[2]):
                upper = max(image[2 * y, 2 * x, c], image[2 * y, 2 * x + 1, c])
                lower = max(image[2 * y + 1, 2 * x, c], image[2 * y + 1, 2 * x + 1, c])
                out[y, x, c] = max(upper, lower)


@jit()
def _concatenate(skip, at, coarse, origin, out, first, last):  # type: ignore[no-untyped-def]
    """A pixel of the double is, along each axis, 3/4 of the one it lies in and 1/4 of the next."""
    height, width, deep = coarse.shape
    fine, lanes = skip.shape[2], out.shape[2] - skip.shape[2]
    size = width * deep
    flat = coarse.reshape(height, size)
    sums = np.empty(size + 2 * deep, dtype=np.uint16)  # one pixel more at each end
    before, middle, after = sums[:size], sums[deep : size + deep], sums[2 * deep :]
    doubled = np.empty((2, size), dtype=np.uint8)  # pixels of even and of odd columns
    even, odd = doubled[0], doubled[1]
    moved = doubled.reshape(2 * size).view(np.uint64).reshape(2, width, lanes)
    for y in range(first, last):
        row = y + origin[0]
        near = row >> 1
        far = min(max(near + (1 if row & 1 else -1), 0), height - 1)
        upper, lower = flat[near], flat[far]
        for k in range(size):
            middle[k] = np.uint16(3) * upper[k] + lower[k]
        sums[:deep] = sums[deep : 2 * deep]
        sums[size + deep :] = sums[size : size + deep]
        for k in range(size):
            most = np.uint16(3) * middle[k] + np.uint16(8)
            even[k] = (most + before[k]) >> np.uint16(4)
            odd[k] = (most + after[k]) >> np.uint16(4)
        for x in range(out.shape[1]):
            column = x + origin[1]
            for c in range(fine):
                out[y, x, c] = skip[y + at[0], x + at[1], c]
            for c in range(lanes):
                out[y, x, fine + c] = moved[column & 1, column >> 1, c]
