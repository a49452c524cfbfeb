"""Losses on logits (N, class, y, x) and labels (N, y, x) int64 in which 255 is ignored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.errors import ConfigError
from floodloom.learning.metrics import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, label: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the labelled pixels, 0 if there are none.

    `weights` (class,) weigh the classes; the mean is then weighted, too.
    """
    total = F.cross_entropy(logits, label, weights, ignore_index=IGNORE, reduction="sum")
    labelled = label[label != IGNORE]
    scale = labelled.numel() if weights is None else weights[labelled].sum()
    return total / torch.clamp(torch.as_tensor(scale, device=total.device), min=1e-12)


def soft_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Return 1 - (1/C) Σc 2 Σ t·y / Σ (t + y), sums over the labelled pixels of the batch.

    Classes that the batch's labels don't show are left out of the mean, because their term would
    be 0 however small the probabilities are. Without any labelled pixel the loss is 0.

    Source: Milletari et al. 2016, arXiv 1606.04797, with plain instead of squared denominators.
    """
    labelled = label != IGNORE
    probability = logits.softmax(dim=1) * labelled.unsqueeze(1)
    truth = _one_hot(label, logits.shape[1]).to(probability.dtype)
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    area = (probability + truth).sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    dice = 2 * overlap / area.clamp(min=1e-12)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def ce_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Return the sum of cross-entropy and soft Dice loss."""
    return cross_entropy(logits, label) + soft_dice(logits, label)


def focal(logits: Tensor, label: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean of -(1 - p)^γ log p (Lin et al. 2017, arXiv 1708.02002, eq. 4)."""
    negative = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    weighted = (1 - torch.exp(-negative)) ** gamma * negative
    labelled = label != IGNORE
    return (weighted * labelled).sum() / labelled.sum().clamp(min=1)


def _one_hot(label: Tensor, classes: int) -> Tensor:
    """Return (N, class, y, x) bool, all False where the label is 255."""
    index = torch.arange(classes, device=label.device).view(1, -1, 1, 1)
    return label.unsqueeze(1) == index


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "dice": soft_dice,
    "ce_dice": ce_dice,
    "focal": focal,
}


def loss_of(name: str) -> Loss:
    """Return a loss by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in LOSSES:
        raise ConfigError(f"loss {name!r}: unknown; choose one of {', '.join(LOSSES)}")
    return LOSSES[name]


def class_weights(fractions: Sequence[float]) -> Tensor:
    """Return weights that are inverse to the class fractions and average 1 over pixels."""
    share = torch.tensor(fractions, dtype=torch.float32).clamp(min=1e-6)
    return 1 / (share * len(fractions))
