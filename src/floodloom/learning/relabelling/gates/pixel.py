"""Confident pixels, class by class, so that a class isn't lost because the others are easier.

Portions and quotas follow class-balanced self-training (Zou et al. 2018, arXiv 1810.07911).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from floodloom.arrays import IGNORE
from floodloom.errors import ConfigError
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.settings import GateSettings


def select_pixels(predictions: Predictions, settings: GateSettings) -> Labels:
    """Label the pixels that are sure enough.

    Of the pixels predicted as a class, those from its threshold on are kept, at least the most
    confident ones that make up its portion, so that a difficult class isn't lost. Where the shares
    of the classes are estimated, a class has at most its share of all pixels, the most confident
    ones; those that tie with the last one are kept, too.

    Returns
    -------
    ndarray
        (tile, y, x) uint8, 255 elsewhere.

    Raises
    ------
    ConfigError
        If the settings have neither one number for all classes nor one each.
    """
    thresholds, portions = (
        expand_to_classes(getattr(settings, name), predictions.classes, name)
        for name in ("thresholds", "portions")
    )
    label = np.full(predictions.label.shape, IGNORE, dtype=np.uint8)
    for value, (threshold, portion) in enumerate(zip(thresholds, portions, strict=True)):
        member = (predictions.label == value) & predictions.valid
        cutoff = partial(predictions.ranking.cutoff, value)
        least = max(min(threshold, cutoff(portion)), cutoff(_quota(predictions, value)))
        label[member & (predictions.confidence >= least)] = value
    return label


def _quota(predictions: Predictions, value: int) -> float:
    """Return which share of the pixels predicted as a class makes up its estimated share."""
    if predictions.shares is None:
        return 1.0
    counts = predictions.ranking.counts
    return predictions.shares[value] * int(counts.sum()) / max(int(counts[value]), 1)


def expand_to_classes(values: Sequence[float], classes: int, name: str) -> tuple[float, ...]:
    """Return one value per class from one for all or one each.

    Raises
    ------
    ConfigError
        If their number is neither 1 nor that of the classes.
    """
    if len(values) not in (1, classes):
        raise ConfigError(
            f"{name}: {len(values)} values for {classes} classes; give one, or one per class"
        )
    return tuple(values) * (classes if len(values) == 1 else 1)


gate = Gate(select_pixels)
