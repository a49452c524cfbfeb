"""Cross-entropy plus soft Dice loss."""

from __future__ import annotations

from torch import Tensor

from floodloom.learning.loss import Loss
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.losses.dice import soft_dice


def ce_dice(logits: Tensor, label: Tensor) -> Tensor:
    """Return the sum of cross-entropy and soft Dice loss."""
    return cross_entropy(logits, label) + soft_dice(logits, label)


loss = Loss(ce_dice)
