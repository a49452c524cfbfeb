"""The terms of distillation: how far a student is from the outputs and features of its teacher."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.models.blocks import resize

_CHANNEL_TEMPERATURE = 4.0  # Shu et al. 2021, section 4.1
_BETTER = 0.7  # a shift must bring the divergence below this share of the unshifted one


@torch.no_grad()
def find_shift(logits: Tensor, target: Tensor, weight: Tensor, reach: int) -> Tensor:
    """Return the shift that brings the teacher's classes onto the student's.

    Parameters
    ----------
    logits, target
        (N, class, y, x) of student and teacher.
    weight
        (N, y, x) float, of the teacher's pixels.
    reach
        Greatest shift to either side, px; 0 searches none.

    Returns
    -------
    Tensor
        (N, 2) int64 on the CPU: pixels down and right; 0 unless another shift is clearly better.
    """
    ours = F.log_softmax(logits.float(), dim=1)
    theirs = F.softmax(target.float(), dim=1)
    entropy = -(theirs * theirs.clamp(min=1e-7).log()).sum(dim=1)
    inner = (..., slice(reach, -reach or None), slice(reach, -reach or None))
    offsets = list(product(range(-reach, reach + 1), repeat=2))
    divergence = []
    for offset in offsets:
        moved = theirs.roll(offset, dims=(-2, -1))
        share = weight.roll(offset, dims=(-2, -1))[inner]
        cross = -(moved * ours).sum(dim=1) - entropy.roll(offset, dims=(-2, -1))
        divergence.append((cross[inner] * share).sum((-2, -1)) / share.sum((-2, -1)).clamp(min=1))
    table = torch.stack(divergence)  # (offset, N)
    lowest, at = table.min(dim=0)
    none = table[offsets.index((0, 0))]
    found = torch.tensor(offsets)[at.cpu()]
    return torch.where((lowest < _BETTER * none).cpu().unsqueeze(1), found, 0)


def shift_tiles(tensor: Tensor, shift: Tensor, scale: float = 1.0) -> Tensor:
    """Move each tile of (N, ..., y, x) by its shift (N, 2) px, divided by `scale` and rounded.

    What comes in at the rim is 0.
    """
    if not bool(shift.any()):
        return tensor
    height, width = tensor.shape[-2:]
    result = torch.zeros_like(tensor)
    for tile, (down, right) in enumerate((shift / scale).round().long().tolist()):
        rows, cols = (
            slice(max(down, 0), height + min(down, 0)),
            slice(max(right, 0), width + min(right, 0)),
        )
        from_rows = slice(max(-down, 0), height - max(down, 0))
        from_cols = slice(max(-right, 0), width - max(right, 0))
        result[tile, ..., rows, cols] = tensor[tile, ..., from_rows, from_cols]
    return result


def logit_loss(logits: Tensor, target: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Return T² KL(teacher || student) of logits (N, class, y, x) at temperature T."""
    ours = F.log_softmax(logits.float() / temperature, dim=1)
    theirs = F.log_softmax(target.float() / temperature, dim=1)
    divergence = (theirs.exp() * (theirs - ours)).sum(dim=1)
    return temperature**2 * (divergence * weight).sum() / weight.sum().clamp(min=1)


def feature_loss(aligned: list[Tensor], target: list[Tensor], weight: Tensor) -> Tensor:
    """Return 1 - cosine between aligned and target features, (N, C, y, x) per scale.

    Scales come coarsest first and are paired from the finest on. A coarse pixel counts by the
    share of its ground that does.
    """
    total = torch.zeros((), device=weight.device)
    for ours, theirs in _pairs(aligned, target):
        share = _share(weight, ours)
        distance = 1 - F.cosine_similarity(ours, theirs, dim=1)
        total = total + (distance * share).sum() / share.sum().clamp(min=1e-6)
    return total / len(aligned)


def attention_loss(aligned: list[Tensor], target: list[Tensor], weight: Tensor) -> Tensor:
    """Return the divergence of where each channel looks, mean over channels and scales.

    A channel's attention is its softmax over the pixels that count (Shu et al. 2021, equation 5);
    the divergence is that of equation 6.
    """
    total = torch.zeros((), device=weight.device)
    for ours, theirs in _pairs(aligned, target):
        counts = (_share(weight, ours) > 0.5).flatten(1).unsqueeze(1)
        tiles = counts.any(dim=2).float()
        ours, theirs = _attention(ours, counts), _attention(theirs, counts)
        divergence = (theirs.exp() * (theirs - ours) * counts).sum(dim=2).mean(dim=1, keepdim=True)
        total = total + (divergence * tiles).sum() / tiles.sum().clamp(min=1)
    return _CHANNEL_TEMPERATURE**2 * total / len(aligned)


def _attention(features: Tensor, counts: Tensor) -> Tensor:
    hidden = features.flatten(2) / _CHANNEL_TEMPERATURE
    return F.log_softmax(hidden.masked_fill(~counts, -1e4), dim=2)


def _pairs(ours: list[Tensor], theirs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pair the scales from the finest on, the teacher's at the student's size."""
    count = min(len(ours), len(theirs))
    pairs = zip(ours[-count:], theirs[-count:], strict=True)
    return [(a.float(), resize(b.float(), a.shape[-2:])) for a, b in pairs]


def _share(weight: Tensor, features: Tensor) -> Tensor:
    height, width = features.shape[-2:]
    return F.adaptive_avg_pool2d(weight, (height, width))
