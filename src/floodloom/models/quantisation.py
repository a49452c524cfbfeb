"""What a network's layers see on a sample, and how their weights become whole numbers by it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGE = "image"
"""Name of the inputs among what is observed."""

_COARSE = 64  # ranges are rounded up to 1/64, so that another order of adding up changes nothing
_MOST_INPUTS = 432  # of a convolution whose inputs are observed: 48 channels of 3x3 px
_PLACES = 16  # along a side of a map, at which inputs are observed
_RIDGE = 0.1  # of the mean square of the inputs; with less, other ground than the sample's loses


@dataclass
class Observations:
    """What passed through a network, by the names of its modules.

    Attributes
    ----------
    largest
        The largest value that each ReLU has given, and of the inputs the largest on either side of
        0. Rounded up a little; infinity where one overflows.
    inputs
        (channel and tap, place) float32: what the smaller convolutions add up, at some places.
    """

    largest: dict[str, float] = field(default_factory=dict)
    inputs: dict[str, list[Tensor]] = field(default_factory=dict)

    def inputs_of(self, name: str) -> Tensor | None:
        """Return what a convolution adds up, (channel and tap, place); None: not observed."""
        seen = self.inputs.get(name)
        return torch.cat(seen, dim=1) if seen else None

    @property
    def overflow(self) -> bool:
        """Whether any value isn't finite."""
        return not all(map(math.isfinite, self.largest.values()))

    def note_largest(self, name: str, values: Tensor) -> None:
        """Note the largest of some values."""
        most = float(values.max())
        rounded = max(math.ceil(most * _COARSE), 1) / _COARSE if math.isfinite(most) else math.inf
        self.largest[name] = max(self.largest.get(name, 0.0), rounded)

    def note_inputs(self, name: str, layer: nn.Conv2d, image: Tensor) -> None:
        """Note what a convolution adds up at some places of (N, channel, y, x)."""
        (tall, wide), (rows, cols) = image.shape[2:], layer.kernel_size
        if layer.in_channels * rows * cols <= _MOST_INPUTS:
            steps = max(tall // _PLACES, 1), max(wide // _PLACES, 1)
            padding = tuple(int(size) for size in layer.padding)
            taps = F.unfold(image.float(), (rows, cols), padding=padding, stride=steps)
            self.inputs.setdefault(name, []).append(taps.transpose(0, 1).flatten(1))


@contextmanager
def observe(model: nn.Module) -> Iterator[Observations]:
    """Observe what passes through a network while it is used."""
    seen = Observations()
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):
            hooks.append(
                module.register_forward_hook(
                    lambda _, __, result, name=name: seen.note_largest(name, result)
                )
            )
        elif isinstance(module, nn.Conv2d):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda layer, given, name=name: seen.note_inputs(name, layer, given[0])
                )
            )
    hooks.append(
        first_convolution(model).register_forward_pre_hook(
            lambda _, given: seen.note_largest(IMAGE, given[0].abs())
        )
    )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def first_convolution(model: nn.Module) -> nn.Conv2d:
    """Return the convolution that sees the image."""
    return next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))


def round_weights(weights: Tensor, scale: Tensor, inputs: Tensor | None, most: int) -> Tensor:
    """Return weights as whole numbers, rounded so that the sums over their inputs stay.

    What rounding one weight changes in the sum is taken back, as far as the inputs go together, by
    those that are not rounded yet. Rounded each by itself, weights of an even surface, such as
    open water, all err into one direction with it.

    Parameters
    ----------
    weights
        (channel, input) float32.
    scale
        (channel,) float32, what a step is worth.
    inputs
        (input, place) float32: what is added up at some places; None: each is rounded by itself.
    most
        The largest whole number, on either side of 0.

    Returns
    -------
    Tensor
        (channel, input) float64 of whole numbers.

    References
    ----------
    Frantar et al. (2023), GPTQ: Accurate post-training quantization for generative pre-trained
    transformers, arXiv 2210.17323, algorithm 1, of which weights are taken in their order.
    """
    left = weights.double() / scale.double()[:, None]
    if inputs is None:
        return left.round().clamp(-most, most)
    seen = inputs.double()
    products = seen @ seen.T / seen.shape[1]
    products += (_RIDGE * products.diagonal().mean()).clamp(min=1e-12) * torch.eye(len(products))
    share = torch.linalg.cholesky(torch.linalg.inv(products), upper=True)
    whole = torch.empty_like(left)
    for place in range(left.shape[1]):
        whole[:, place] = left[:, place].round().clamp(-most, most)
        error = (left[:, place] - whole[:, place]) / share[place, place]
        left[:, place + 1 :] -= error[:, None] * share[place, place + 1 :]
    return whole
