"""The scores of a network on held-out tiles."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Tiles, prefetch_batches
from floodloom.learning.loss import LogitLoss
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores, split_scores
from floodloom.learning.network import Execution, default_device
from floodloom.learning.training.distributed import processes, without_sharing


@torch.inference_mode()
def validate(
    module: nn.Module,
    tiles: Tiles,
    classes: int,
    loss: LogitLoss,
    execution: Execution,
    batch: int = 8,
) -> dict[str, float]:
    """Return the scores and the mean loss of a module on tiles.

    Several processes take the batches in turn.

    Returns
    -------
    dict
        validation_loss; pooled over all pixels iou, f1, precision, recall of the foreground
        (means over classes 1, 2, ...), accuracy and miou of all classes; mean_of_chip_iou, the
        mean of the foreground IoU of the tiles that show or predict foreground.
    """
    module.eval()
    group = processes()
    order = torch.split(torch.arange(len(tiles)), batch)[group.rank :: group.size]
    matrices = np.zeros((len(tiles), classes, classes), dtype=np.int64)
    loss_sum = torch.zeros((), dtype=torch.float64)
    with without_sharing():
        for index, part in zip(order, prefetch_batches(tiles, order), strict=True):
            on_device = part.to(execution.device)
            with execution.autocast():
                logits = module(execution.image(on_device.image)).float()
            loss_sum += float(loss(logits, on_device.label.long())) * len(part)
            prediction = logits.argmax(dim=1).cpu().numpy()
            label = part.label.cpu().numpy()
            for tile, predicted, truth in zip(index.tolist(), prediction, label, strict=True):
                matrices[tile] = confusion_matrix(predicted, truth, classes)
    together = group.sum(torch.from_numpy(matrices).to(execution.device)).cpu().numpy()
    pooled = together.sum(axis=0)
    mean_loss = float(group.sum(loss_sum.to(execution.device))) / len(tiles)
    return {"validation_loss": mean_loss, **foreground_scores(pooled), **split_scores(together)}


def scores_of(
    checkpoint: Checkpoint, tiles: Tiles, loss: LogitLoss, batch: int = 8
) -> dict[str, float]:
    """Return what `validate` gives for a checkpoint, in float32 whatever training ran in."""
    execution = Execution(default_device(), channels_last=True)
    model = execution.place(checkpoint.model())
    return validate(model, tiles, len(checkpoint.classes), loss, execution, batch)
