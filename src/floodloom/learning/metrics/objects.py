"""Scores of objects and of their outlines, from counts that add up over chips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from floodloom.learning.metrics.pixels import Counts
from floodloom.raster.nodata import IGNORE

_EIGHT = np.ones((3, 3), dtype=np.int64)


def object_counts(
    prediction: NDArray[np.integer], label: NDArray[np.integer], threshold: float = 0.5
) -> Counts:
    """Count objects that were found, made up and missed.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; where `label` is 255 neither has an object. Objects are
        8-connected.
    threshold
        A predicted and a true object are a pair if their IoU is at least this; each is in one pair
        at most, the pairs with the greatest IoU first.

    Returns
    -------
    Counts
        tp (pairs), fp (predicted objects without a partner), fn (true objects without one).
    """
    scored = label != IGNORE
    found, found_count = ndimage.label((prediction == 1) & scored, _EIGHT)
    true, true_count = ndimage.label(label == 1, _EIGHT)
    overlap = np.bincount(
        (true * (found_count + 1) + found).ravel(), minlength=(true_count + 1) * (found_count + 1)
    ).reshape(true_count + 1, found_count + 1)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    iou = (overlap / np.maximum(union, 1))[1:, 1:]
    pairs = _pairs(iou, threshold)
    return Counts(tp=pairs, fp=found_count - pairs, fn=true_count - pairs)


def _pairs(iou: NDArray[np.float64], threshold: float) -> int:
    """Return how many pairs there are when the best are joined first."""
    rows, cols = np.nonzero((iou >= threshold) & (iou > 0))
    order = np.argsort(-iou[rows, cols], kind="stable")
    taken_rows: set[int] = set()
    taken_cols: set[int] = set()
    for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True):
        if row not in taken_rows and col not in taken_cols:
            taken_rows.add(row)
            taken_cols.add(col)
    return len(taken_rows)


def boundary_counts(
    prediction: NDArray[np.integer], label: NDArray[np.integer], tolerance: float = 2.0
) -> dict[str, int]:
    """Count outline pixels that lie within a tolerance of the other outline.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; outlines that touch ignored pixels (255) aren't counted, because
        they are the edge of what is known, not of the foreground.
    tolerance
        Greatest distance, px.

    Returns
    -------
    dict
        found and predicted: outline pixels of the prediction near the truth's, and all of them;
        met and true: outline pixels of the truth near the prediction's, and all of them.
    """
    scored = label != IGNORE
    ours = _outline((prediction == 1) & scored, scored)
    theirs = _outline(label == 1, scored)
    return {
        "found": int((ours & _near(theirs, tolerance)).sum()),
        "predicted": int(ours.sum()),
        "met": int((theirs & _near(ours, tolerance)).sum()),
        "true": int(theirs.sum()),
    }


def boundary_f1(counts: dict[str, int]) -> float:
    """Return the F1 of the outlines; 0 where either has none.

    References
    ----------
    Csurka et al. (2013), What is a good evaluation measure for semantic segmentation?, BMVC.
    """
    if not counts["predicted"] or not counts["true"]:
        return 0.0
    precision = counts["found"] / counts["predicted"]
    recall = counts["met"] / counts["true"]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(mask: NDArray[np.bool_], scored: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the foreground pixels with a background 4-neighbour, all four of them labelled."""
    background = ndimage.binary_dilation(scored & ~mask)
    unknown = ndimage.binary_dilation(~scored)
    return np.asarray(mask & background & ~unknown)


def _near(outline: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    if not outline.any():
        return np.zeros_like(outline)
    return np.asarray(ndimage.distance_transform_edt(~outline) <= tolerance)
