"""Focal loss, which leaves easy pixels alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.loss import Loss, mean_of_labelled


def focal(logits: Tensor, label: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean of -(1 - p)^γ log p (Lin et al. 2017, arXiv 1708.02002, eq. 4)."""
    negative = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    weighted = (1 - torch.exp(-negative)) ** gamma * negative
    return mean_of_labelled(weighted, label)


loss = Loss(focal)
