"""Losses on logits (N, class, y, x) and labels (N, y, x) int64 in which 255 is ignored.

Where several processes share a batch, each sum over it is a sum over all of them, so a loss is the
same however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.errors import ConfigError
from floodloom.learning.losses.border import border_weights
from floodloom.learning.training.distributed import total
from floodloom.raster.nodata import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, label: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the labelled pixels, 0 if there are none.

    `weights` (class,) weigh the classes; the mean is then weighted, too.
    """
    if weights is not None:
        weights = weights.to(logits)
    summed = F.cross_entropy(logits, label, weights, ignore_index=IGNORE, reduction="sum")
    labelled = label != IGNORE
    scale = labelled if weights is None else weights[label.clamp(max=len(weights) - 1)] * labelled
    return total(summed) / total(scale.sum().to(summed.dtype)).clamp(min=1e-12)


def soft_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Return 1 - (1/C) Σc 2 Σ t·y / Σ (t + y), sums over the labelled pixels of the batch.

    Classes that the batch's labels don't show are left out of the mean, because their term would
    be 0 however small the probabilities are. Without any labelled pixel the loss is 0.

    Source: Milletari et al. 2016, arXiv 1606.04797, with plain instead of squared denominators.
    """
    labelled = label != IGNORE
    probability = logits.softmax(dim=1) * labelled.unsqueeze(1)
    truth = _one_hot(label, logits.shape[1]).to(probability.dtype)
    overlap = total((probability * truth).sum(dim=(0, 2, 3)))
    area = total((probability + truth).sum(dim=(0, 2, 3)))
    present = total(truth.sum(dim=(0, 2, 3))) > 0
    dice = 2 * overlap / area.clamp(min=1e-12)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def ce_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Return the sum of cross-entropy and soft Dice loss."""
    return cross_entropy(logits, label) + soft_dice(logits, label)


def focal(logits: Tensor, label: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean of -(1 - p)^γ log p (Lin et al. 2017, arXiv 1708.02002, eq. 4)."""
    negative = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    weighted = (1 - torch.exp(-negative)) ** gamma * negative
    return _mean_of_labelled(weighted, label)


def border_cross_entropy(logits: Tensor, label: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean of w·cross-entropy with the weight map of U-Net.

    w = wc + w0 exp(-(d1 + d2)² / 2σ²): `weights` (class,) are wc, 1 without them; the second term
    is that of `floodloom.learning.losses.border.border_weights`, computed on the CPU.

    Source: Ronneberger et al. 2015, arXiv 1505.04597, eq. 1 and 2.
    """
    negative = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    weight = border_weights(label.cpu()).to(negative)
    if weights is None:
        return _mean_of_labelled(negative * (weight + 1), label)
    weights = weights.to(negative)
    return _mean_of_labelled(
        negative * (weight + weights[label.clamp(max=len(weights) - 1)]), label
    )


def _mean_of_labelled(values: Tensor, label: Tensor) -> Tensor:
    labelled = label != IGNORE
    return total((values * labelled).sum()) / total(labelled.sum().to(values.dtype)).clamp(min=1)


def _one_hot(label: Tensor, classes: int) -> Tensor:
    """Return (N, class, y, x) bool, all False where the label is 255."""
    index = torch.arange(classes, device=label.device).view(1, -1, 1, 1)
    return label.unsqueeze(1) == index


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "weighted_cross_entropy": cross_entropy,
    "dice": soft_dice,
    "ce_dice": ce_dice,
    "focal": focal,
    "border_cross_entropy": border_cross_entropy,
}

_WEIGHTED: dict[str, Callable[..., Tensor]] = {
    "weighted_cross_entropy": cross_entropy,
    "border_cross_entropy": border_cross_entropy,
}


def loss_of(name: str, class_fractions: Sequence[float] = ()) -> Loss:
    """Return a loss by its name.

    Parameters
    ----------
    name
        One of `LOSSES`.
    class_fractions
        Share of each class among the labelled pixels of the training split, from which
        `weighted_cross_entropy` and `border_cross_entropy` weigh the classes; without them all
        classes weigh 1.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in LOSSES:
        raise ConfigError(f"loss {name!r}: unknown; choose one of {', '.join(LOSSES)}")
    if name in _WEIGHTED and class_fractions:
        return partial(_WEIGHTED[name], weights=class_weights(class_fractions))
    return LOSSES[name]


def class_weights(fractions: Sequence[float]) -> Tensor:
    """Return weights that are inverse to the class fractions and average 1 over pixels.

    A class that isn't there weighs nothing.
    """
    share = torch.tensor(fractions, dtype=torch.float32)
    return torch.where(share > 0, 1 / (share.clamp(min=1e-6) * (share > 0).sum()), 0.0)
