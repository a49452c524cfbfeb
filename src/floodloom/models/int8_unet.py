"""The U-Net in 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from floodloom.arrays import Bytes
from floodloom.kernels import jit
from floodloom.models.architectures.unet import UNet
from floodloom.models.cropped_decoder import WHOLE, Rim, crop, decoder_spans
from floodloom.models.export import fuse_batchnorm
from floodloom.models.quantisation import (
    IMAGE,
    Observations,
    first_convolution,
    round_weights,
)

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


_STEPS = 255  # of a map after ReLU, from 0
_MIDDLE = 127  # what stands for 0 among the inputs, which have a sign
_SIGNED = 127  # steps of inputs on each side of 0
_HEADROOM = 1.1  # beyond the largest value of a map in the sample


def can_quantise(model: nn.Module) -> bool:
    """Return whether a network can be had in 8 bits: a U-Net of the usual blocks, on the CPU."""
    there = hasattr(torch.ops.onednn, "qconv2d_pointwise")
    if not there or not isinstance(model, UNet) or model.divisor is None:
        return False
    return all(channels % CHANNEL_MULTIPLE == 0 for channels in model.feature_channels)


def supports_int8() -> bool:
    """Return whether the processor has instructions for products of 8 bits.

    With AVX2 alone (AMD EPYC), which adds them up in 16 bits, the U-Net of width 16 takes 1.7 times
    as many pixels a second as in float32.
    """
    return bool(torch.cpu._is_avx2_supported())


def supports_vnni() -> bool:
    """Return whether the processor adds up products of 8 bits in 32."""
    return bool(torch.cpu._is_vnni_supported())


@dataclass(frozen=True)
class Steps:
    """What the bytes of a map stand for.

    Attributes
    ----------
    worth
        (channel,) float32: what a step is worth.
    zero
        The byte that stands for 0.
    """

    worth: Tensor
    zero: int = 0


class Int8Convolution(nn.Module):
    """A convolution of bytes by 8-bit weights, one scale per output channel, with ReLU.

    Parameters
    ----------
    convolution
        What it stands for, with a bias.
    bands
        What its bytes stand for.
    inputs
        (band and tap, place) float32 that it adds up on a sample; None: not known.
    largest
        Largest value of the result, which becomes bytes; None for float32 without ReLU.

    Notes
    -----
    What a step of each input channel is worth goes into the weights, so that channels of several
    maps can differ. Processors without VNNI add two products up in 16 bits, which saturate. Weights
    have 7 bits there, so that 2 x 255 x 63 stays below 2^15.
    """

    def __init__(
        self, convolution: nn.Conv2d, bands: Steps, inputs: Tensor | None, largest: float | None
    ) -> None:
        super().__init__()
        if convolution.bias is None:
            raise ValueError("a convolution without a bias; fuse the normalisation after it first")
        weight, bias = convolution.weight.detach(), convolution.bias.detach().clone()
        weight = weight * bands.worth[None, :, None, None]
        most = 127 if supports_vnni() else 63
        scale = (weight.abs().amax((1, 2, 3)) / most).clamp(min=1e-12)
        if inputs is not None:
            taps = weight[0, 0].numel()
            inputs = inputs / bands.worth.repeat_interleave(taps)[:, None]
        whole = round_weights(weight.flatten(1), scale, inputs, most)
        if inputs is not None:
            rest = weight.flatten(1) - whole * scale.double()[:, None]
            bias += (rest @ inputs.double().mean(dim=1)).float()

        padding = [int(size) for size in convolution.padding]
        self._geometry = ([1, 1], padding, [1, 1], 1)
        self._input = (1.0, bands.zero)
        self._output = (
            (1.0, 0, torch.float32, "none") if largest is None
            else (largest / _STEPS, 0, torch.uint8, "relu")
        )  # fmt: skip
        packed = torch.ops.onednn.qconv_prepack(
            whole.reshape(weight.shape).to(torch.int8), scale, *self._input, *self._geometry
        )
        self._weights = (packed, scale, torch.zeros(len(scale), dtype=torch.int32), bias)

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, channel, y, x) uint8, or float32 logits, of (N, band, y, x) uint8."""
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            image, *self._input, *self._weights, *self._geometry, *self._output, [], ""
        )
        return result


class Int8UNet(nn.Module):
    """A U-Net in 8 bits.

    Parameters
    ----------
    model
        The network, in evaluation mode on the CPU; see `can_quantise`. It is left as it is.
    seen
        What `observe` found on a sample; values beyond are cut off.

    References
    ----------
    Jacob et al. (2018), Quantization and training of neural networks for efficient
    integer-arithmetic-only inference, arXiv 1712.05877, section 2; here weights have a scale per
    channel and are rounded by `round_weights`, and nothing is trained.
    """

    def __init__(self, model: UNet, seen: Observations) -> None:
        super().__init__()
        fused = fuse_batchnorm(model)
        largest = seen.largest[IMAGE]
        self._to_bytes = _SIGNED / largest
        self._divisor = model.divisor
        bands = Steps(
            torch.full((first_convolution(model).in_channels,), largest / _SIGNED), _MIDDLE
        )
        skips: list[Tensor] = []
        names = {module: name for name, module in fused.named_modules()}
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level in fused.encoder.children():
            block, bands = _quantise_block(level, bands, seen, names)
            self.encoder.append(block)
            skips.append(bands.worth)
        skips.pop()
        for merge in fused.decoder:
            both = Steps(torch.cat([skips.pop(), bands.worth]))
            block, bands = _quantise_block(merge.get_submodule("convolve"), both, seen, names)
            self.decoder.append(block)
        self.head = Int8Convolution(fused.head, bands, seen.inputs_of("head"), None)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, class, y, x) float32 of `image` (N, band, y, x) float32."""
        return self.cropped_logits(image, WHOLE)

    def cropped_logits(self, image: Tensor, rim: Rim) -> Tensor:
        """Return `forward(image)` without its rim, of which the decoder computes what it needs.

        Raises
        ------
        ValueError
            If height or width aren't multiples of the coarsest stride.
        """
        height, width = image.shape[-2:]
        if self._divisor is None or height % self._divisor or width % self._divisor:
            raise ValueError(f"{height} x {width} px: not multiples of {self._divisor}")
        top, bottom, left, right = rim
        levels = len(self.decoder)
        *rows, _ = decoder_spans(height, (top, height - bottom), levels)
        *cols, _ = decoder_spans(width, (left, width - right), levels)

        carried: list[Tensor] = []
        for encode in self.encoder:
            carried.append(encode(max_pool(carried[-1]) if carried else self._bytes(image)))
        coarse, origin = carried.pop(), (0, 0)
        for convolve in self.decoder:
            (tall, kept_rows), (wide, kept_cols) = rows.pop(), cols.pop()
            at = tall[0], wide[0]
            size = tall[1] - tall[0], wide[1] - wide[0]
            inside = at[0] - 2 * origin[0], at[1] - 2 * origin[1]
            coarse, origin = (
                convolve(concatenate_upsampled(carried.pop(), at, coarse, inside, size)),
                at,
            )
        wanted = crop(coarse, kept_rows, kept_cols, origin)
        logits: Tensor = self.head(wanted.contiguous(memory_format=torch.channels_last))
        return logits

    def _bytes(self, image: Tensor) -> Tensor:
        steps = (image * self._to_bytes + (_MIDDLE + 0.5)).clamp_(0, 255)
        return steps.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def _quantise_block(
    block: nn.Module, bands: Steps, seen: Observations, names: dict[nn.Module, str]
) -> tuple[nn.Sequential, Steps]:
    """The convolutions of a block in 8 bits, and what their bytes stand for."""
    made = nn.Sequential()
    kept = [layer for layer in block.children() if not isinstance(layer, nn.Identity)]
    for convolution, relu in pairwise(kept):
        if isinstance(convolution, nn.Conv2d):
            largest = _HEADROOM * seen.largest[names[relu]]
            inputs = seen.inputs_of(names[convolution])
            made.append(Int8Convolution(convolution, bands, inputs, largest))
            bands = Steps(torch.full((convolution.out_channels,), largest / _STEPS))
    return made, bands
