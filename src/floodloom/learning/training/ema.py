"""The moving average of a network's weights, which is often better than any of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import swa_utils

Parameters = tuple[Tensor, ...] | list[Tensor]


def following(decay: float) -> Callable[[Parameters, Parameters, Tensor | int], None]:
    """Return the update of a moving average, whose memory grows with the number of steps.

    After n steps the decay is at most (1 + n) / (10 + n): a fixed one would still hold the first
    weights, and their batch statistics, after hundreds of steps (Abadi et al. 2016, TensorFlow,
    ExponentialMovingAverage).
    """

    @torch.no_grad()
    def update(average: Parameters, current: Parameters, steps: Tensor | int) -> None:
        count = float(steps)
        share = 1 - min(decay, (1 + count) / (10 + count))
        for ours, new in zip(average, current, strict=True):
            if ours.is_floating_point():
                ours.lerp_(new.to(ours), share)
            else:
                ours.copy_(new)

    return update


def moving_average(module: nn.Module, decay: float) -> swa_utils.AveragedModel | None:
    """Return the moving average of a module's weights and statistics; None where `decay` is 0."""
    if not decay:
        return None
    return swa_utils.AveragedModel(module, multi_avg_fn=following(decay), use_buffers=True)


def followed(module: nn.Module, averaged: nn.Module | None) -> nn.Module:
    """Return what is validated and kept: the moving average if there is one, else the module."""
    if isinstance(averaged, swa_utils.AveragedModel):
        average: nn.Module = averaged.module
        return average
    return module
