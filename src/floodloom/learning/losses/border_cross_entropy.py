"""Cross-entropy that weighs the thin ground between neighbouring objects."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.loss import Loss, mean_of_labelled

_REACH = 6  # in σ: beyond it a weight is below 2e-7


def border_cross_entropy(logits: Tensor, label: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean of w·cross-entropy with the weight map of U-Net.

    w = wc + w0 exp(-(d1 + d2)² / 2σ²): `weights` (class,) are wc, 1 without them; the second term
    is that of `border_weights`, computed on the CPU.

    Source: Ronneberger et al. 2015, arXiv 1505.04597, eq. 1 and 2.
    """
    negative = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    weight = border_weights(label.cpu()).to(negative)
    if weights is None:
        return mean_of_labelled(negative * (weight + 1), label)
    weights = weights.to(negative)
    return mean_of_labelled(negative * (weight + weights[label.clamp(max=len(weights) - 1)]), label)


def border_weights(label: Tensor, height: float = 10.0, sigma: float = 5.0) -> Tensor:
    """Return w0 exp(-(d1 + d2)² / 2σ²) for the background between objects, 0 elsewhere.

    Parameters
    ----------
    label
        (N, y, x), 0 = background, 255 = ignored, others = foreground; on the CPU. Objects are the
        4-connected patches of foreground.
    height, sigma
        w0, and σ in px.

    Returns
    -------
    Tensor
        (N, y, x) float32. d1 and d2 are the distances to the nearest and second nearest object,
        px; a tile with fewer than two objects has weight 0 throughout.

    References
    ----------
    Ronneberger et al. (2015), arXiv 1505.04597, equation 2.
    """
    return torch.stack(
        [torch.from_numpy(_of_tile(tile, height, sigma)) for tile in label.numpy()]
    ).float()


def _of_tile(label: NDArray[np.integer], height: float, sigma: float) -> NDArray[np.float64]:
    objects, _ = ndimage.label((label > 0) & (label != IGNORE))
    first, second = (np.full(label.shape, np.inf) for _ in range(2))
    reach = math.ceil(_REACH * sigma)
    for number, box in enumerate(ndimage.find_objects(objects), start=1):
        near = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        distance = ndimage.distance_transform_edt(objects[near] != number)
        second[near] = np.minimum(second[near], np.maximum(first[near], distance))
        first[near] = np.minimum(first[near], distance)
    weight: NDArray[np.float64] = height * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return np.where(label == 0, weight, 0.0)


loss = Loss(border_cross_entropy, class_weighted=True)
