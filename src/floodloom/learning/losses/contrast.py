"""Cross-entropy, and features of a class alike and apart from those of the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.losses.cross_entropy import cross_entropy
from floodloom.learning.training.distributed import sum_over_processes

CONTRAST_WEIGHT = 0.1  # as much as FESTA's terms


def cross_entropy_and_contrast(prediction: Prediction, batch: Samples) -> Tensor:
    """Return cross-entropy, and a contrast of the finest features of the classes."""
    finest, label, logits = prediction.finest, batch.label, prediction.logits.float()
    if finest.shape[-2:] != label.shape[-2:]:
        shrunk = F.interpolate(label.float().unsqueeze(1), finest.shape[-2:])
        label = shrunk[:, 0]
    contrast = class_contrast(finest, label.long(), logits.shape[1])
    return cross_entropy(logits, batch.label.long()) + CONTRAST_WEIGHT * contrast


def class_contrast(
    features: Tensor, label: Tensor, classes: int, temperature: float = 0.5
) -> Tensor:
    """Return InfoNCE between labelled pixels and the prototypes of the batch's classes.

    Parameters
    ----------
    features
        (N, D, y, x) float.
    label
        (N, y, x) int64, 255 = ignored.
    classes
        Number of classes.
    temperature
        T.

    Returns
    -------
    Tensor
        Mean over the labelled pixels of -log softmax of their similarity with their own class's
        prototype, the mean direction of its pixels, among those of the classes that the batch
        shows; no gradient flows into the prototypes. 0 if no pixel is labelled.

    References
    ----------
    Van Gansbeke et al. (2021), arXiv 2102.06191, eq. 3, with the labels' classes in place of
    salient objects.
    """
    direction = F.normalize(features.float(), dim=1)
    with torch.no_grad():
        members = torch.stack([label == value for value in range(classes)], dim=1).float()
        summed = sum_over_processes(torch.einsum("ndyx,ncyx->cd", direction, members))
        shown = sum_over_processes(members.sum(dim=(0, 2, 3))) > 0
        prototype = F.normalize(summed, dim=1)
    logits = torch.einsum("ndyx,cd->ncyx", direction, prototype) / temperature
    absent = ~shown & shown.any()  # without any label all stay, for finite gradients
    logits = logits.masked_fill(absent.view(1, -1, 1, 1), -torch.inf)
    return cross_entropy(logits, label)


loss = Loss(cross_entropy, cross_entropy_and_contrast)
