"""The learning rate from the first step to the last."""

from __future__ import annotations

import math

import torch

from floodloom.learning.training.settings import Schedule, TrainingSettings

WARM_UP = 0.05
"""Share of all steps over which the rate rises linearly where it then falls as a cosine to 0."""


def set_rate(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, step: int, total: int
) -> None:
    """Give the optimizer the learning rate that a step of all steps has."""
    factor = rate_factor(settings.schedule, step, total, settings.epochs)
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * factor


def rate_factor(schedule: Schedule, step: int, total: int, epochs: int) -> float:
    """Return the share of the highest learning rate that a step of all steps has, 0-1.

    `plain-cosine` changes from epoch to epoch (Loshchilov and Hutter 2017, arXiv 1608.03983,
    equation 5, without restarts).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "plain-cosine":
        epoch = step * epochs // total
        return 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    rising = max(round(WARM_UP * total), 1)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))
