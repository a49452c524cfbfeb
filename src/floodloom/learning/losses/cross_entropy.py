"""Cross-entropy."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.loss import Loss
from floodloom.learning.training.distributed import sum_over_processes


def cross_entropy(logits: Tensor, label: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the labelled pixels, 0 if there are none.

    `weights` (class,) weigh the classes; the mean is then weighted, too.
    """
    if weights is not None:
        weights = weights.to(logits)
    summed = F.cross_entropy(logits, label, weights, ignore_index=IGNORE, reduction="sum")
    labelled = label != IGNORE
    scale = labelled if weights is None else weights[label.clamp(max=len(weights) - 1)] * labelled
    return sum_over_processes(summed) / sum_over_processes(scale.sum().to(summed.dtype)).clamp(
        min=1e-12
    )


loss = Loss(cross_entropy)
