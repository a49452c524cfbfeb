"""Scores by object and by outline, read strip by strip: their memory doesn't grow with the map."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from floodloom.arrays import IGNORE
from floodloom.learning.metrics.pixels import Counts, ratio

_EIGHT = np.ones((3, 3), dtype=np.int64)
_STRIP = 1 << 22  # px at once
_MOST = 1 << 32  # objects of a map

Mask = NDArray[np.bool_]


def object_counts(
    prediction: NDArray[np.integer | np.bool_],
    label: NDArray[np.integer],
    threshold: float = 0.5,
    *,
    rows: int | None = None,
) -> Counts:
    """Count objects that were found, made up and missed.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; where `label` is 255 neither has an object. Objects are
        8-connected.
    threshold
        A predicted and a true object are a pair if their IoU exceeds this; each is in one pair at
        most, the pairs with the greatest IoU first. From 0.5 on no object can be in two.
    rows
        Rows that are read at once; they change no result.

    Returns
    -------
    Counts
        tp (pairs), fp (predicted objects without a partner), fn (true objects without one).
    """
    found, true, overlaps = _Objects(), _Objects(), []
    for strip in _strips(label.shape, rows):
        scored = label[strip] != IGNORE
        ours = found.number((prediction[strip] == 1) & scored)
        theirs = true.number(label[strip] == 1)
        both = (ours > 0) & (theirs > 0)
        overlaps.append(np.unique(ours[both] * _MOST + theirs[both], return_counts=True))
    codes = np.concatenate([code for code, _ in overlaps])
    pixels = np.concatenate([count for _, count in overlaps])

    our_object, our_area = found.joined()
    their_object, their_area = true.joined()
    joint = our_object[codes // _MOST - 1] * _MOST + their_object[codes % _MOST - 1]
    pairs, place = np.unique(joint, return_inverse=True)
    overlap = np.bincount(place.ravel(), weights=pixels, minlength=len(pairs))
    ours, theirs = pairs // _MOST, pairs % _MOST
    iou = overlap / (our_area[ours] + their_area[theirs] - overlap)
    matches = _matches(ours, theirs, iou, threshold)
    return Counts(tp=matches, fp=len(our_area) - matches, fn=len(their_area) - matches)


@dataclass
class _Objects:
    """Objects that are numbered from 1 strip by strip, and which of these numbers are one."""

    areas: list[NDArray[np.int64]] = field(default_factory=list)
    seams: list[NDArray[np.int64]] = field(default_factory=list)
    total: int = 0
    last: NDArray[np.int64] | None = None

    def number(self, mask: Mask) -> NDArray[np.int64]:
        """Return the objects (y, x) of the next strip by number, 0 where there is none."""
        local, count = ndimage.label(mask, _EIGHT)
        self.areas.append(np.bincount(local.ravel(), minlength=count + 1)[1:])
        numbers = np.where(local > 0, local.astype(np.int64) + self.total, 0)
        if self.last is not None:
            self.seams.append(_touching(self.last, numbers[0]))
        self.total += count
        self.last = numbers[-1]
        return numbers

    def joined(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the object of each number less 1, from 0, and the area of each object, px."""
        seams = np.concatenate([np.empty((2, 0), dtype=np.int64), *self.seams], axis=1) - 1
        links = sparse.coo_array(
            (np.ones(seams.shape[1], dtype=bool), tuple(seams)), shape=(self.total, self.total)
        )
        count, object_of = sparse.csgraph.connected_components(links, directed=False)
        areas = np.concatenate([np.empty(0, dtype=np.int64), *self.areas])
        of_object = np.zeros(count, dtype=np.int64)
        np.add.at(of_object, object_of, areas)
        return object_of.astype(np.int64), of_object


def _touching(above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs (2, n) of objects that touch across a seam, corners included."""
    found = np.concatenate(
        [
            np.stack([above, below]),
            np.stack([above[1:], below[:-1]]),
            np.stack([above[:-1], below[1:]]),
        ],
        axis=1,
    )
    return np.unique(found[:, (found > 0).all(axis=0)], axis=1)


def _matches(
    ours: NDArray[np.int64], theirs: NDArray[np.int64], iou: NDArray[np.float64], threshold: float
) -> int:
    """Return how many pairs there are when the best are joined first."""
    above = np.flatnonzero(iou > threshold)
    order = above[np.argsort(-iou[above], kind="stable")]
    taken_ours: set[int] = set()
    taken_theirs: set[int] = set()
    for one, other in zip(ours[order].tolist(), theirs[order].tolist(), strict=True):
        if one not in taken_ours and other not in taken_theirs:
            taken_ours.add(one)
            taken_theirs.add(other)
    return len(taken_ours)


@dataclass(frozen=True)
class Outlines:
    """Outline pixels; those of parts add up.

    `found` of the `predicted` ones lie near the truth's outline, `met` of the `true` ones near the
    prediction's.
    """

    found: int = 0
    predicted: int = 0
    met: int = 0
    true: int = 0

    def __add__(self, other: Outlines) -> Outlines:
        return Outlines(
            self.found + other.found,
            self.predicted + other.predicted,
            self.met + other.met,
            self.true + other.true,
        )

    @property
    def f1(self) -> float:
        """F1 of the outlines (boundary F1); 0 where either has none.

        Source: Csurka et al. 2013, What is a good evaluation measure for semantic segmentation?,
        BMVC.
        """
        precision = ratio(self.found, self.predicted)
        recall = ratio(self.met, self.true)
        return ratio(2 * precision * recall, precision + recall)


def outline_counts(
    prediction: NDArray[np.integer | np.bool_],
    label: NDArray[np.integer],
    tolerance: float = 2.0,
    *,
    rows: int | None = None,
) -> Outlines:
    """Count outline pixels that lie within a tolerance of the other outline.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; outlines that touch ignored pixels (255) aren't counted, because
        they are the edge of what is known, not of the foreground.
    tolerance
        Greatest distance, px.
    rows
        Rows that are read at once; they change no result.
    """
    halo = math.ceil(tolerance) + 1
    total = Outlines()
    for strip in _strips(label.shape, rows):
        wide = slice(max(strip.start - halo, 0), strip.stop + halo)
        core = slice(strip.start - wide.start, strip.stop - wide.start)
        scored = label[wide] != IGNORE
        ours = _outline((prediction[wide] == 1) & scored, scored)
        theirs = _outline(label[wide] == 1, scored)
        near_theirs, near_ours = _near(theirs, tolerance), _near(ours, tolerance)
        parts = (ours & near_theirs, ours, theirs & near_ours, theirs)
        total += Outlines(*(int(part[core].sum()) for part in parts))
    return total


def _outline(mask: Mask, scored: Mask) -> Mask:
    """Return the foreground pixels with a background 4-neighbour, all four of them labelled."""
    if not mask.any():
        return np.zeros_like(mask)
    background = ndimage.binary_dilation(scored & ~mask)
    unknown = ndimage.binary_dilation(~scored)
    return np.asarray(mask & background & ~unknown)


def _near(outline: Mask, tolerance: float) -> Mask:
    if not outline.any():
        return np.zeros_like(outline)
    reach = math.floor(tolerance)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(ndimage.binary_dilation(outline, y**2 + x**2 <= tolerance**2))


def _strips(shape: tuple[int, ...], rows: int | None) -> Iterator[slice]:
    """Yield the rows of strips from top to bottom."""
    height, width = shape
    step = rows or max(_STRIP // max(width, 1), 1)
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))
