"""Calibrating confidences: temperature scaling on held-out labels."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.metrics.reliability import Reliability, reliability

_LIMITS = (0.05, 20.0)
_PIXELS = 500_000
_BATCH = 8


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """Find the divisor of the logits that maximises the likelihood of held-out labels.

    Parameters
    ----------
    logits
        (pixel, class) float32.
    label
        (pixel,) int64, 255 = ignore.

    Returns
    -------
    float
        Temperature in 0.05-20; 1 if no pixel is labelled.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks, arXiv 1706.04599, section 4.2.
    """
    scored = label != IGNORE
    if not bool(scored.any()):
        return 1.0
    logits, label = logits[scored].double(), label[scored].long()

    def slope(scale: float) -> float:
        """Derivative of the negative log-likelihood by the inverse temperature, increasing."""
        probability = (logits * scale).softmax(dim=1)
        expected = (probability * logits).sum(dim=1)
        actual = logits.gather(1, label.unsqueeze(1)).squeeze(1)
        return float((expected - actual).mean())

    return _bisected(lambda temperature: slope(1 / temperature) >= 0)


def temperature_of_accuracy(logits: Tensor, accuracy: float) -> float:
    """Find the divisor of (pixel, class) logits with which their mean confidence is an accuracy.

    Parameters
    ----------
    logits
        (pixel, class) float32.
    accuracy
        Share of right pixels, 0-1.

    Returns
    -------
    float
        Temperature in 0.05-20.
    """
    precise = logits.double()

    def too_sure(temperature: float) -> bool:
        return float((precise / temperature).softmax(dim=1).amax(dim=1).mean()) > accuracy

    return _bisected(too_sure)


def _bisected(too_sure: Callable[[float], bool]) -> float:
    """Return the least temperature within the limits that isn't `too_sure`."""
    low, high = _LIMITS
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_sure(middle) else (low, middle)
    return math.sqrt(low * high)


def reliability_at(logits: Tensor, label: Tensor, temperature: float) -> Reliability:
    """Return the reliability of the most likely class of (pixel, class) logits."""
    scored = label != IGNORE
    probability = F.softmax(logits[scored].double() / temperature, dim=1)
    confidence, prediction = probability.max(dim=1)
    correct = prediction == label[scored].long()
    return reliability(confidence.numpy(), correct.numpy())


def held_out_pixels(
    logits_of: Callable[[Samples], Tensor], samples: Tiles
) -> tuple[Tensor, Tensor]:
    """Return logits (pixel, class) and labels (pixel,) of labelled pixels of held-out tiles.

    `logits_of` gives (tile, class, y, x) of tiles. At most half a million pixels are drawn, the
    same number from each batch and always the same.
    """
    return _pixels(logits_of, samples, lambda part: part.label)


def seen_pixels(logits_of: Callable[[Samples], Tensor], tiles: Tiles) -> Tensor:
    """Return logits (pixel, class) of pixels with data, drawn as in `held_out_pixels`."""

    def seen(part: Samples) -> Tensor:
        return torch.where(part.all_valid, 0, IGNORE)

    return _pixels(logits_of, tiles, seen)[0]


def _pixels(
    logits_of: Callable[[Samples], Tensor], samples: Tiles, label_of: Callable[[Samples], Tensor]
) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    share = _PIXELS * _BATCH // max(len(samples), _BATCH)
    parts = []
    for first in range(0, len(samples), _BATCH):
        part = samples.take(torch.arange(first, min(first + _BATCH, len(samples))))
        parts.append(sample_pixels(logits_of(part), label_of(part), share, draw))
    return torch.cat([logits for logits, _ in parts]), torch.cat([label for _, label in parts])


def sample_pixels(
    logits: Tensor, label: Tensor, count: int, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw labelled pixels at random.

    Parameters
    ----------
    logits
        (tile, class, y, x) float32.
    label
        (tile, y, x), 255 = ignore.
    count
        Greatest number of pixels; if there are fewer, all are taken.
    draw
        Random generator.

    Returns
    -------
    tuple
        (pixel, class) float32 logits and (pixel,) int64 labels.
    """
    flat = label.flatten().long()
    index = torch.nonzero(flat != IGNORE).squeeze(1)
    if len(index) > count:
        index = index[torch.randperm(len(index), generator=draw)[:count]]
    return logits.movedim(1, -1).flatten(0, 2)[index].float(), flat[index]
