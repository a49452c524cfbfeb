"""What a student is drawn towards: the terms of distillation.

All act on (N, ..., y, x) and are averages over the pixels that `weight` (N, y, x) float 0-1 counts:
those that the teacher saw clearly and is sure of.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.models.blocks import resize

_CHANNEL_SOFTENING = 4.0  # Shu et al. 2021, section 4.1
_NODES = 8  # along each side, as regions of a feature map are related


@dataclass(frozen=True)
class Distillation:
    """Weights of the terms, and what gates them.

    Attributes
    ----------
    feature_weight
        Multi-scale features (Gao and Dong 2022, arXiv 2210.08988).
    logit_weight, softening
        Logits softened by a temperature (Hinton et al. 2015, arXiv 1503.02531).
    attention_weight
        Where each channel looks (Shu et al. 2021, arXiv 2011.13256).
    relation_weight
        Affinity of regions (Liu et al. 2019, arXiv 1903.04197).
    confidence
        Least probability of the teacher's class where it is listened to; 0 everywhere.
    tolerance
        Shift between radar and optical image that is looked for, px; 0 none.
    everywhere
        Listen wherever the radar has data to a teacher that copes without its optical image.
    """

    feature_weight: float = 0.0
    logit_weight: float = 1.0
    softening: float = 2.0
    attention_weight: float = 0.0
    relation_weight: float = 0.0
    confidence: float = 0.0
    tolerance: int = 2
    everywhere: bool = True

    @property
    def on_features(self) -> bool:
        """Whether any term needs the teacher's features."""
        return self.feature_weight + self.attention_weight + self.relation_weight > 0


def teacher_weight(soft: Tensor, clear: Tensor, confidence: float) -> Tensor:
    """Return 1 where the teacher sees the ground and its class has at least this probability."""
    sure = soft.float().softmax(dim=1).amax(dim=1) >= confidence
    return (sure & clear).float()


def logit_loss(logits: Tensor, target: Tensor, weight: Tensor, softening: float) -> Tensor:
    """Return T² KL(teacher || student) of logits (N, class, y, x) softened by T."""
    ours = F.log_softmax(logits.float() / softening, dim=1)
    theirs = F.log_softmax(target.float() / softening, dim=1)
    divergence = (theirs.exp() * (theirs - ours)).sum(dim=1)
    return softening**2 * (divergence * weight).sum() / weight.sum().clamp(min=1)


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
    return _CHANNEL_SOFTENING**2 * total / len(aligned)


def _attention(features: Tensor, counts: Tensor) -> Tensor:
    hidden = features.flatten(2) / _CHANNEL_SOFTENING
    return F.log_softmax(hidden.masked_fill(~counts, -1e4), dim=2)


def relation_loss(features: list[Tensor], target: list[Tensor], weight: Tensor) -> Tensor:
    """Return the squared difference of the affinities of regions, mean over pairs and scales.

    The affinity of two of the 8 by 8 regions is the cosine of their mean features (Liu et al.
    2019, equations 2 and 3), so the networks may differ in their channels.
    """
    pairs = list(_pairs(features, target))
    total = torch.zeros((), device=weight.device)
    for ours, theirs in pairs:
        share = _share(weight, ours)
        held = F.adaptive_avg_pool2d(share, (_NODES, _NODES)).flatten(1)
        both = held.unsqueeze(1) * held.unsqueeze(2)
        difference = (_affinity(ours, share) - _affinity(theirs, share)).square()
        total = total + (difference * both).sum() / both.sum().clamp(min=1e-6)
    return total / len(pairs)


def _affinity(features: Tensor, share: Tensor) -> Tensor:
    pooled = F.adaptive_avg_pool2d(features * share.unsqueeze(1), (_NODES, _NODES))
    nodes = F.normalize(pooled.flatten(2), dim=1, eps=1e-6)
    with torch.autocast(nodes.device.type, enabled=False):  # cosines differ by less than bfloat16
        return nodes.transpose(1, 2) @ nodes


def _pairs(ours: list[Tensor], theirs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pair the scales from the finest on, the teacher's at the student's size."""
    count = min(len(ours), len(theirs))
    pairs = zip(ours[-count:], theirs[-count:], strict=True)
    return [(a.float(), resize(b.float(), a.shape[-2:])) for a, b in pairs]


def _share(weight: Tensor, features: Tensor) -> Tensor:
    height, width = features.shape[-2:]
    return F.adaptive_avg_pool2d(weight, (height, width))
