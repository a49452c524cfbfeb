"""Pseudo labels: which predictions are sure enough to be learned from, and when none are.

The pixel gate keeps what is confident, class by class, so that a class isn't lost because the
others are easier; quotas follow class-balanced self-training (Zou et al. 2018, arXiv 1810.07911).
The tile gate is that of Paul and Ganju (2021), arXiv 2107.08369.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import ConfigError
from floodloom.raster.nodata import IGNORE

Labels = NDArray[np.uint8]
PAUL_GANJU_CONFIDENCE = 0.95
PAUL_GANJU_SHARE = 0.90


def gate_pixels(
    confidence: NDArray[np.float32],
    prediction: Labels,
    thresholds: Sequence[float],
    quotas: Sequence[float],
    portions: Sequence[float] | None = None,
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
    portions
        Share, per class, of the pixels predicted as it that are kept even below the threshold, the
        most confident ones: a class that is hard to tell must not be lost. None by default.

    Returns
    -------
    ndarray
        (tile, y, x) uint8, 255 elsewhere.
    """
    label = np.full(prediction.shape, IGNORE, dtype=np.uint8)
    rules = zip(thresholds, quotas, portions or [0.0] * len(quotas), strict=True)
    for value, (threshold, quota, portion) in enumerate(rules):
        member = (prediction == value) & np.isfinite(confidence)
        sure = confidence[member]
        least = max(min(threshold, _cutoff(sure, portion)), _cutoff(sure, quota))
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


def gate_images(
    confidence: NDArray[np.float32], prediction: Labels, tile_label: Labels, *, first: bool
) -> Labels:
    """Label pixels by what is known of whole tiles.

    Parameters
    ----------
    confidence, prediction
        As for `gate_pixels`.
    tile_label
        (tile,) uint8: 0 = no pixel is of another class, 1 = some are of class 1, 255 = unknown.
    first
        Whether every pixel takes its tile's label; otherwise those of tiles with class 1 keep what
        is predicted.

    Returns
    -------
    ndarray
        (tile, y, x) uint8; 255 in unknown tiles and where there are no data.
    """
    known = np.broadcast_to(tile_label[:, np.newaxis, np.newaxis], prediction.shape)
    label = known if first else np.where(known == 1, prediction, known)
    return np.where(np.isfinite(confidence), label, np.uint8(IGNORE)).astype(np.uint8)


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
        Greatest share of the pixels labelled in this and the previous round whose label differs;
        the same for what the models before and after a round predict.
    iou_fall
        Greatest fall of the foreground IoU on held-out labels; not 0, because that is never known
        exactly, and a model that fits a new place may fit the old one a little less.
    iou
        Least foreground IoU on held-out labels of a model that gives pseudo labels.
    """

    water_share: tuple[float, float] = (0.001, 0.9)
    flips: float = 0.2
    iou_fall: float = 0.02
    iou: float = 0.3


def refusal(
    prediction: Labels,
    confidence: NDArray[np.float32],
    label: Labels | None,
    agreement: float | None,
    limits: Limits,
) -> str | None:
    """Return why a round must be refused, or None.

    Parameters
    ----------
    prediction, confidence
        As for `gate_pixels`.
    label
        (tile, y, x) uint8 pseudo labels, 255 = ignore; None where tiles teach without labels.
    agreement
        Share of the pixels labelled in both rounds whose label is the same; None without a
        previous round.
    limits
        What to keep to.
    """
    if not len(prediction):
        return "no tile is in the split `target`"
    shares = {"predictions": share_of(1, prediction, np.isfinite(confidence))}
    if label is not None:
        shares["pseudo labels"] = share_of(1, label, label != IGNORE)
        if shares["pseudo labels"] is None:
            return "no pixel passed the gate"
    flips = None if agreement is None else 1 - agreement
    for what, share in shares.items():
        reason = out_of_limits(share, None, limits, what)
        if reason is not None:
            return reason
    return out_of_limits(None, flips, limits)


def out_of_limits(
    water_share: float | None, flips: float | None, limits: Limits, what: str = "predictions"
) -> str | None:
    """Return why a share of water or of changed labels is out of its limits, or None."""
    low, high = limits.water_share
    if water_share is not None and not low <= water_share <= high:
        return f"water is {water_share:.2%} of the {what}, outside {low:.2%} to {high:.2%}"
    if flips is not None and flips > limits.flips:
        return (
            f"{flips:.2%} of the labels flipped since the previous round, "
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
