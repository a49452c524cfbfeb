"""For scribbles: similarity and continuity wherever there are data, cross-entropy where labelled.

After Kim et al. (2020), arXiv 2007.09990.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.training.distributed import sum_over_processes

# Kim et al. 2020 weigh with scribbles: similarity 1, continuity 1, scribbles .5.
CONTINUITY_WEIGHT = 1.0
SCRIBBLE_WEIGHT = 0.5


def scribble(prediction: Prediction, batch: Samples) -> Tensor:
    """Return similarity and continuity everywhere, and cross-entropy where labelled."""
    logits, valid = prediction.logits.float(), batch.any_valid
    unsupervised = similarity(logits, valid) + CONTINUITY_WEIGHT * continuity(logits, valid)
    return unsupervised + SCRIBBLE_WEIGHT * cross_entropy(logits, batch.label.long())


def similarity(response: Tensor, valid: Tensor) -> Tensor:
    """Return the cross-entropy of a (N, class, y, x) response with its own most likely class.

    Source: Kim et al. 2020, arXiv 2007.09990, eq. 2 and 3.
    """
    negative = F.cross_entropy(response, response.argmax(dim=1), reduction="none")
    return sum_over_processes((negative * valid).sum()) / sum_over_processes(
        valid.sum().to(negative.dtype)
    ).clamp(min=1)


def continuity(response: Tensor, valid: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbours below plus that of neighbours beside.

    Neighbours count where both have data. Source: Kim et al. 2020, arXiv 2007.09990, eq. 4.
    """
    value = torch.zeros((), device=response.device)
    for axis in (-2, -1):
        count = valid.shape[axis] - 1
        pairs = (valid.narrow(axis, 0, count) & valid.narrow(axis, 1, count)).unsqueeze(1)
        summed = sum_over_processes((response.diff(dim=axis).abs() * pairs).sum())
        compared = sum_over_processes(pairs.sum().to(response.dtype)) * response.shape[1]
        value = value + summed / compared.clamp(min=1)
    return value


loss = Loss(cross_entropy, scribble)
