"""Pseudo labels: which predictions are sure enough to be learned from, and when none are.

The pixel gate keeps what is confident, class by class, so that a class isn't lost because the
others are easier; quotas follow class-balanced self-training (Zou et al. 2018, arXiv 1810.07911).
The tile gate is that of Paul and Ganju (2021), arXiv 2107.08369.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import ConfigError
from floodloom.learning.metrics import IGNORE

Labels = NDArray[np.uint8]
PAUL_GANJU_CONFIDENCE = 0.95
PAUL_GANJU_SHARE = 0.90


def gate_pixels(
    confidence: NDArray[np.float32],
    prediction: Labels,
    thresholds: Sequence[float],
    quotas: Sequence[float],
) -> Labels:
    """Label the pixels that are sure enough.

    Parameters
    ----------
    confidence
        (tile, y, x) float32 probability of the predicted class, NaN = no data.
    prediction
        (tile, y, x) uint8 predicted class.
    thresholds
        Least confidence per class.
    quotas
        Greatest share, per class, of the pixels predicted as it that are kept: the most confident
        ones; those that tie with the last one are kept, too.

    Returns
    -------
    ndarray
        (tile, y, x) uint8, 255 elsewhere.
    """
    label = np.full(prediction.shape, IGNORE, dtype=np.uint8)
    for value, (threshold, quota) in enumerate(zip(thresholds, quotas, strict=True)):
        member = (prediction == value) & np.isfinite(confidence)
        least = max(threshold, _cutoff(confidence[member], quota))
        label[member & (confidence >= least)] = value
    return label


def _cutoff(confidence: NDArray[np.float32], quota: float) -> float:
    """Return the confidence of the last pixel within the quota."""
    count = int(np.floor(quota * confidence.size))
    if count >= confidence.size:
        return -np.inf
    if count == 0:
        return np.inf
    return float(np.partition(confidence, confidence.size - count)[confidence.size - count])


def gate_tiles(
    confidence: NDArray[np.float32],
    prediction: Labels,
    least: float = PAUL_GANJU_CONFIDENCE,
    share: float = PAUL_GANJU_SHARE,
) -> Labels:
    """Label whole tiles in which more than `share` of the pixels are more confident than `least`.

    Parameters
    ----------
    confidence, prediction
        As for `gate_pixels`.

    Returns
    -------
    ndarray
        (tile, y, x) uint8; all pixels with data of a kept tile, 255 elsewhere.
    """
    valid = np.isfinite(confidence)
    sure = (np.nan_to_num(confidence) > least).sum(axis=(1, 2))
    kept = sure > share * np.maximum(valid.sum(axis=(1, 2)), 1)
    return np.where(valid & kept[:, np.newaxis, np.newaxis], prediction, np.uint8(IGNORE))


def per_class(values: Sequence[float], classes: int, name: str) -> tuple[float, ...]:
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


@dataclass(frozen=True)
class Limits:
    """What a round must keep to.

    Attributes
    ----------
    water_share
        Least and greatest share of class 1, both among all predictions and among what is kept.
    flips
        Greatest share of the pixels labelled in this and the previous round whose label differs.
    """

    water_share: tuple[float, float] = (0.001, 0.9)
    flips: float = 0.2


def refusal(
    prediction: Labels,
    confidence: NDArray[np.float32],
    label: Labels,
    agreement: float | None,
    limits: Limits,
) -> str | None:
    """Return why a round must be refused, or None.

    Parameters
    ----------
    prediction, confidence
        As for `gate_pixels`.
    label
        (tile, y, x) uint8 pseudo labels, 255 = ignore.
    agreement
        Share of the pixels labelled in both rounds whose label is the same; None without a
        previous round.
    limits
        What to keep to.
    """
    if not len(prediction):
        return "no tile is in the split `target`"
    low, high = limits.water_share
    shares = {
        "predictions": share_of(1, prediction, np.isfinite(confidence)),
        "pseudo labels": share_of(1, label, label != IGNORE),
    }
    if shares["pseudo labels"] is None:
        return "no pixel passed the gate"
    for what, share in shares.items():
        if share is not None and not low <= share <= high:
            return f"water is {share:.2%} of the {what}, outside {low:.2%} to {high:.2%}"
    if agreement is not None and 1 - agreement > limits.flips:
        return (
            f"{1 - agreement:.2%} of the labels flipped since the previous round, "
            f"more than {limits.flips:.2%}"
        )
    return None


def share_of(value: int, array: Labels, among: NDArray[np.bool_]) -> float | None:
    """Return the share of `value` among the pixels where `among`; None if there are none."""
    total = int(among.sum())
    return float((among & (array == value)).sum() / total) if total else None


def agreement_with(
    names: Sequence[str],
    label: Labels,
    previous_names: Sequence[str],
    previous: Labels,
) -> float | None:
    """Return the share of equal labels where this and the previous round have one.

    Tiles are matched by their names; None if no pixel is labelled in both.
    """
    place = {name: position for position, name in enumerate(previous_names)}
    pairs = [(i, place[name]) for i, name in enumerate(names) if name in place]
    if not pairs:
        return None
    ours, theirs = (np.array(column) for column in zip(*pairs, strict=True))
    both = (label[ours] != IGNORE) & (previous[theirs] != IGNORE)
    if not both.any():
        return None
    return float((label[ours][both] == previous[theirs][both]).mean())


def kept_area(
    label: Labels, classes: Sequence[str], spacing: float | None
) -> dict[str, Mapping[str, float]]:
    """Return per class the labelled pixels, their share, and their area in km² if known."""
    total = label.size
    areas: dict[str, Mapping[str, float]] = {}
    for value, name in enumerate(classes):
        pixels = int((label == value).sum())
        areas[name] = {"pixels": pixels, "share": pixels / total if total else 0.0}
        if spacing is not None:
            areas[name] = {**areas[name], "km2": pixels * spacing**2 / 1e6}
    return areas


def confidence_histogram(
    confidence: NDArray[np.float32], prediction: Labels, classes: Sequence[str], bins: int = 20
) -> dict[str, object]:
    """Return counts of confidences in equal bins of 0-1, per predicted class."""
    edges = np.linspace(0, 1, bins + 1)
    counts = {
        name: np.histogram(confidence[(prediction == value) & np.isfinite(confidence)], edges)[0]
        for value, name in enumerate(classes)
    }
    return {"edges": edges.tolist(), **{name: count.tolist() for name, count in counts.items()}}
