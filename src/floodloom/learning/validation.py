"""Scoring a network on held-out tiles."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from floodloom.learning.data import Samples
from floodloom.learning.device import Execution
from floodloom.learning.losses import Loss
from floodloom.learning.metrics import confusion_matrix, foreground_scores


@torch.inference_mode()
def validate(
    module: nn.Module,
    samples: Samples,
    classes: int,
    loss: Loss,
    execution: Execution,
    batch: int = 8,
) -> dict[str, float]:
    """Return the pooled foreground scores and the mean loss of a module on tiles."""
    module.eval()
    matrix = np.zeros((classes, classes), dtype=np.int64)
    total = 0.0
    for first in range(0, len(samples), batch):
        part = samples.take(torch.arange(first, min(first + batch, len(samples))))
        with execution.autocast():
            logits = module(execution.image(part.image)).float()
        total += float(loss(logits, part.label.long().to(execution.device))) * len(part)
        prediction = logits.argmax(dim=1).cpu().numpy()
        matrix += confusion_matrix(prediction, part.label.numpy(), classes)
    return {"validation_loss": total / len(samples), **foreground_scores(matrix)}
