"""For sparse labels: cross-entropy, and FESTA's terms on neighbours in features and space."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.losses.cross_entropy import cross_entropy

FESTA_WEIGHT = 0.1  # Hua et al. 2021, section IV
_BLOCK = 2**24  # distances that are held at once


def cross_entropy_and_festa(prediction: Prediction, batch: Samples) -> Tensor:
    """Return cross-entropy on the labelled pixels and FESTA's terms on the finest features."""
    finest, logits = prediction.finest, prediction.logits.float()
    valid = batch.any_valid
    if finest.shape[-2:] != valid.shape[-2:]:
        size = (finest.shape[-2], finest.shape[-1])
        valid = F.adaptive_max_pool2d(valid.float().unsqueeze(1), size)[:, 0] > 0
    return cross_entropy(logits, batch.label.long()) + FESTA_WEIGHT * festa(finest, valid)


def festa(
    features: Tensor,
    valid: Tensor,
    share: float = 0.01,
    weights: tuple[float, float, float] = (0.5, 1.5, 1.0),
) -> Tensor:
    """Return FESTA's three terms on a random share of the pixels.

    α |x - nearest in feature space|² + β |x - nearest of its eight neighbours|² + γ cos(x,
    farthest in feature space), averaged over the drawn pixels.

    Parameters
    ----------
    features
        (N, C, y, x) float.
    valid
        (N, y, x) bool; pixels without data are neither drawn nor compared with.
    share
        Share of a tile's pixels that is drawn, from torch's random state.
    weights
        α, β, γ.

    References
    ----------
    Hua et al. (2021), arXiv 2101.03492, and the authors' loss.py (Hua-YS/Semantic-Segmentation-
    with-Sparse-Labels), whose zeros outside the neighbourhood aren't taken over.
    """
    alpha, beta, gamma = weights
    terms = []
    for feature, known in zip(features.float(), valid, strict=True):
        flat = feature.flatten(1).T
        drawn = _drawn(known, max(round(share * known.numel()), 1))
        if len(drawn) < 1 or int(known.sum()) < 2:
            continue
        near, far = _extremes(flat, drawn, known.flatten())
        beside = _nearest_beside(feature, known, drawn)
        nearest = (flat[drawn] - flat[near]).square().sum(1)
        farthest = F.cosine_similarity(flat[drawn], flat[far], dim=1)
        neighbour = (flat[drawn] - flat[beside]).square().sum(1)
        terms.append(alpha * nearest + beta * neighbour + gamma * farthest)
    return torch.cat(terms).mean() if terms else features.sum() * 0


def _drawn(valid: Tensor, count: int) -> Tensor:
    known = torch.nonzero(valid.flatten()).squeeze(1)
    return known[torch.randperm(len(known), device=known.device)[:count]]


@torch.no_grad()
def _extremes(flat: Tensor, drawn: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each drawn pixel which other is the most like it, and which the least."""
    unit = F.normalize(flat, dim=1)
    near, far = [], []
    for part in torch.split(drawn, max(_BLOCK // len(flat), 1)):
        distance = torch.cdist(flat[part], flat, compute_mode="donot_use_mm_for_euclid_dist")
        distance[:, ~valid] = torch.inf
        distance[torch.arange(len(part)), part] = torch.inf
        near.append(distance.argmin(dim=1))
        cosine = unit[part] @ unit.T
        cosine[:, ~valid] = torch.inf
        far.append(cosine.argmin(dim=1))
    return torch.cat(near), torch.cat(far)


@torch.no_grad()
def _nearest_beside(feature: Tensor, valid: Tensor, drawn: Tensor) -> Tensor:
    """Return which of the eight neighbours is the most like each drawn pixel, itself if none."""
    height, width = valid.shape
    row, col = drawn // width, drawn % width
    best = torch.full(drawn.shape, torch.inf, device=drawn.device)
    found = drawn.clone()
    for down, right in product((-1, 0, 1), repeat=2):
        r, c = (row + down).clamp(0, height - 1), (col + right).clamp(0, width - 1)
        other = r * width + c
        distance = (feature[:, row, col] - feature[:, r, c]).square().sum(0)
        closer = valid[r, c] & (other != drawn) & (distance < best)
        best, found = torch.where(closer, distance, best), torch.where(closer, other, found)
    return found


loss = Loss(cross_entropy, cross_entropy_and_festa)
