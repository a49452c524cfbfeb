"""Every score of a set of chips at once; named by whether it is pooled or a mean of chips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.metrics.objects import boundary_counts, boundary_f1, object_counts
from floodloom.learning.metrics.pixels import (
    Counts,
    confusion_matrix,
    counts_by_class,
    counts_of,
    foreground_reliability,
    mean_iou,
    mean_of_chip_iou,
    mean_of_chip_macro_jaccard,
    pixel_accuracy,
)
from floodloom.learning.metrics.saliency import (
    alignment_measure,
    mean_absolute_error,
    structure_measure,
    weighted_f_beta,
)
from floodloom.raster.nodata import IGNORE


def all_scores(
    probability: NDArray[np.floating],
    label: NDArray[np.integer],
    *,
    beta: float = 2.0,
    object_iou: float = 0.5,
    tolerance: float = 2.0,
) -> dict[str, object]:
    """Return every score of a foreground probability on chips.

    Parameters
    ----------
    probability
        (chip, y, x) in 0-1; foreground from 0.5. NaN where there is no data, which doesn't count.
    label
        (chip, y, x): 0 background, 1 foreground, 255 ignored.
    beta
        β of Fβ.
    object_iou
        Least IoU of a predicted and a true object that are a pair.
    tolerance
        Greatest distance between outlines that agree, px.

    Returns
    -------
    dict
        pooled: counts over all chips, divided once: accuracy, miou, iou, f1, precision, recall,
        f_beta, by_class, mean_absolute_error, objects, boundary_f1, calibration.
        mean_of_chip: means over the chips with a labelled pixel: accuracy, mean_absolute_error,
        structure_measure, alignment_measure; over the chips that show or predict foreground: iou,
        f1; over the chips that show it: weighted_f_beta; and macro_jaccard, the mean over chips of
        their mean IoU of both classes.

    Raises
    ------
    InputError
        If no pixel can be scored.
    """
    scored = (label != IGNORE) & np.isfinite(probability)
    if not scored.any():
        raise InputError("label: no pixel to score; give chips with labels and data")
    truth = np.where(scored, label, IGNORE)
    sure = np.where(scored, probability, 0.0)
    chips = [(p, t) for p, t in zip(sure, truth, strict=True) if (t != IGNORE).any()]
    guesses = [(p >= 0.5).astype(np.uint8) for p, _ in chips]
    matrices = np.stack(
        [confusion_matrix(g, t, 2) for g, (_, t) in zip(guesses, chips, strict=True)]
    )
    pairs = [(g, t) for g, (_, t) in zip(guesses, chips, strict=True)]
    pooled = _pooled(matrices.sum(axis=0), beta)
    pooled["mean_absolute_error"] = mean_absolute_error(sure, truth)
    pooled["objects"] = sum((object_counts(g, t, object_iou) for g, t in pairs), Counts()).scores()
    pooled["boundary_f1"] = boundary_f1(
        _added([boundary_counts(g, t, tolerance) for g, t in pairs])
    )
    pooled["calibration"] = foreground_reliability(sure[scored], (truth == 1)[scored]).as_dict()
    return {"pooled": pooled, "mean_of_chip": _of_chips(chips, matrices)}


def _pooled(matrix: NDArray[np.int64], beta: float) -> dict[str, object]:
    counts = counts_of(matrix, 1)
    return {
        "accuracy": pixel_accuracy(matrix),
        "miou": mean_iou(matrix),
        **counts.scores(),
        "f_beta": counts.f_beta(beta),
        "by_class": [one.scores() for one in counts_by_class(matrix)],
    }


def _of_chips(
    chips: Sequence[tuple[NDArray[np.floating], NDArray[np.integer]]], matrices: NDArray[np.int64]
) -> dict[str, float]:
    counts = [counts_of(matrix, 1) for matrix in matrices]
    return {
        "accuracy": _mean([pixel_accuracy(matrix) for matrix in matrices]),
        "iou": mean_of_chip_iou(counts),
        "f1": _mean([c.f1 for c in counts if c.tp + c.fp + c.fn]),
        "macro_jaccard": mean_of_chip_macro_jaccard(counts),
        "mean_absolute_error": _mean([mean_absolute_error(p, t) for p, t in chips]),
        "weighted_f_beta": _mean([weighted_f_beta(p, t) for p, t in chips if (t == 1).any()]),
        "structure_measure": _mean([structure_measure(p, t) for p, t in chips]),
        "alignment_measure": _mean([alignment_measure(p, t) for p, t in chips]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _added(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(count[name] for count in counts) for name in counts[0]}
