"""Soft Dice loss."""

from __future__ import annotations

import torch
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.loss import Loss
from floodloom.learning.training.distributed import sum_over_processes


def soft_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Return 1 - (1/C) Σc 2 Σ t·y / Σ (t + y), sums over the labelled pixels of the batch.

    Classes that the batch's labels don't show are left out of the mean, because their term would
    be 0 however small the probabilities are. Without any labelled pixel the loss is 0.

    Source: Milletari et al. 2016, arXiv 1606.04797, with plain instead of squared denominators.
    """
    labelled = label != IGNORE
    probability = logits.softmax(dim=1) * labelled.unsqueeze(1)
    truth = _one_hot(label, logits.shape[1]).to(probability.dtype)
    overlap = sum_over_processes((probability * truth).sum(dim=(0, 2, 3)))
    area = sum_over_processes((probability + truth).sum(dim=(0, 2, 3)))
    present = sum_over_processes(truth.sum(dim=(0, 2, 3))) > 0
    dice = 2 * overlap / area.clamp(min=1e-12)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def _one_hot(label: Tensor, classes: int) -> Tensor:
    """Return (N, class, y, x) bool, all False where the label is 255."""
    index = torch.arange(classes, device=label.device).view(1, -1, 1, 1)
    return label.unsqueeze(1) == index


loss = Loss(soft_dice)
