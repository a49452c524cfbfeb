"""Scores by object and by outline, read by strips of rows.

Their memory doesn't grow with the map: of objects it is the number of these that counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, Bytes, Mask
from floodloom.kernels import jit
from floodloom.learning.metrics.pixels import Counts, ratio
from floodloom.learning.metrics.strips import Strip, each_strip
from floodloom.raster.rows import STRIP, Rows
from floodloom.raster.runs import crossings, find_runs, join_pairs

_MOST = 1 << 32  # objects of a map
_DRY, _WET, _UNKNOWN = 0, 1, 2

TOLERANCE = 2.0
"""How far outlines may lie apart, px."""

Wholes = NDArray[np.int64]
Runs = tuple[Wholes, NDArray[np.int32], NDArray[np.int32]]


def object_counts(
    prediction: Rows, label: Rows, threshold: float = 0.5, *, rows: int = STRIP
) -> Counts:
    """Count objects that were found, made up and missed; see `ObjectPairs`.

    Parameters
    ----------
    prediction, label
        (y, x), 1 = foreground; where `label` is 255 neither has an object.
    threshold
        See `ObjectPairs.counts`.
    rows
        Rows of a strip; they change no result.
    """
    objects = ObjectPairs()
    for found in each_strip(objects_of, prediction, label, rows=rows):
        objects.add(found)
    return objects.counts(threshold)


@dataclass(frozen=True)
class Numbered:
    """8-connected objects of a strip: its runs, the object of each, the area of each object, px."""

    runs: Runs
    number: Wholes
    areas: Wholes


@dataclass(frozen=True)
class StripObjects:
    """Objects of a strip, predicted and true: `codes` are pairs that overlap, by `pixels` each."""

    ours: Numbered
    theirs: Numbered
    codes: Wholes
    pixels: Wholes


def objects_of(strip: Strip) -> StripObjects:
    """Return the objects of a strip."""
    ours, theirs = (_numbered(states == _WET) for states in _states(strip.within(0)))
    pairs = crossings(*ours.runs, *theirs.runs, 0)
    (_, first, stop), (_, other_first, other_stop) = ours.runs, theirs.runs
    pixels = np.minimum(stop[pairs[0]], other_stop[pairs[1]])
    pixels -= np.maximum(first[pairs[0]], other_first[pairs[1]])
    codes = ours.number[pairs[0]] * _MOST + theirs.number[pairs[1]]
    return StripObjects(ours, theirs, *_summed(codes, pixels))


def _numbered(mask: Mask) -> Numbered:
    at, first, stop = runs = find_runs(mask.view(np.uint8))
    number = join_pairs(len(first), crossings(at[:-1], first, stop, at[1:], first, stop, 1))
    areas = np.bincount(number, weights=stop - first).astype(np.int64)
    return Numbered(runs, number, areas)


def _states(strip: Strip) -> tuple[Bytes, Bytes]:
    """Return what prediction and truth are, (row, x) uint8: dry, wet, or unknown in both."""
    unknown = strip.label == IGNORE
    ours, theirs = (
        np.where(unknown, np.uint8(_UNKNOWN), wet.view(np.uint8))
        for wet in (strip.probability >= strip.scale / 2, strip.label == 1)
    )
    return ours, theirs


class ObjectPairs:
    """8-connected objects of a map and its truth, which are added strip by strip."""

    def __init__(self) -> None:
        self._ours, self._theirs = _Objects(), _Objects()
        self._codes, self._pixels = [np.empty(0, np.int64)], [np.empty(0, np.int64)]

    def add(self, strip: StripObjects) -> None:
        """Add the next strip."""
        ours, theirs = self._ours.add(strip.ours), self._theirs.add(strip.theirs)
        self._codes.append(strip.codes + ours * _MOST + theirs)
        self._pixels.append(strip.pixels)

    def counts(self, threshold: float) -> Counts:
        """Count objects that were found, made up and missed.

        Parameters
        ----------
        threshold
            A predicted and a true object are a pair if their IoU exceeds this; each is in one pair
            at most, the pairs with the greatest IoU first. From 0.5 on no object can be in two.

        Returns
        -------
        Counts
            tp (pairs), fp (predicted objects without a partner), fn (true objects without one).
        """
        our_object, our_area = self._ours.joined()
        their_object, their_area = self._theirs.joined()
        codes = np.concatenate(self._codes)
        joint = our_object[codes // _MOST] * _MOST + their_object[codes % _MOST]
        joint, overlap = _summed(joint, np.concatenate(self._pixels))
        ours, theirs = joint // _MOST, joint % _MOST
        iou = overlap / (our_area[ours] + their_area[theirs] - overlap)
        matches = _matches(ours, theirs, iou, threshold)
        return Counts(tp=matches, fp=len(our_area) - matches, fn=len(their_area) - matches)


def _summed(codes: Wholes, values: NDArray[np.integer]) -> tuple[Wholes, Wholes]:
    """Return each code once, and the sum of its values."""
    distinct, place = np.unique(codes, return_inverse=True)
    sums = np.bincount(place.ravel(), weights=values, minlength=len(distinct))
    return distinct, sums.astype(np.int64)


@dataclass
class _Objects:
    """Objects that are numbered strip by strip, and which of these numbers are one."""

    areas: list[Wholes] = field(default_factory=list)
    seams: list[Wholes] = field(default_factory=list)
    total: int = 0
    last: tuple[Any, ...] | None = None  # runs of the row above the next strip, and their objects

    def add(self, strip: Numbered) -> int:
        """Add the next strip, and return the number that its first object has."""
        at, first, stop = strip.runs
        before = self.total
        if self.last is not None:
            *above, objects = self.last
            over, below = crossings(*above, at[:2], first, stop, 1)
            self.seams.append(np.stack([objects[over], strip.number[below] + before]))
        row = slice(at[-2], at[-1])
        ends = np.array([0, at[-1] - at[-2]])
        self.last = ends, first[row].copy(), stop[row].copy(), strip.number[row] + before
        self.areas.append(strip.areas)
        self.total += len(strip.areas)
        return before

    def joined(self) -> tuple[Wholes, Wholes]:
        """Return the object of each number, and the area of each object, px."""
        seams = np.concatenate([np.empty((2, 0), dtype=np.int64), *self.seams], axis=1)
        object_of = join_pairs(self.total, seams)
        areas = np.concatenate([np.empty(0, dtype=np.int64), *self.areas])
        return object_of, np.bincount(object_of, weights=areas).astype(np.int64)


def _matches(ours: Wholes, theirs: Wholes, iou: NDArray[np.float64], threshold: float) -> int:
    """Return how many pairs there are when the best are joined first."""
    above = np.flatnonzero(iou > threshold)
    if threshold >= 0.5:
        return len(above)
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
    prediction: Rows, label: Rows, tolerance: float = TOLERANCE, *, rows: int = STRIP
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
        Rows of a strip; they change no result.
    """
    strips = each_strip(lambda strip: outlines_of(strip, tolerance), prediction, label, rows=rows)
    return sum(strips, Outlines())


def outlines_of(strip: Strip, tolerance: float = TOLERANCE) -> Outlines:
    """Count the outline pixels of a strip, see `outline_counts`."""
    reach = math.floor(tolerance)
    side = np.arange(-reach, reach + 1)
    near = np.argwhere(side[:, np.newaxis] ** 2 + side**2 <= tolerance**2) - reach
    strip = strip.within(reach + 1)
    ours, theirs = (_outline(states) for states in _states(strip))
    found, predicted = _count_near(ours, theirs, strip.own.start, strip.own.stop, near)
    met, true = _count_near(theirs, ours, strip.own.start, strip.own.stop, near)
    return Outlines(found, predicted, met, true)


@jit()
def _outline(states):  # type: ignore[no-untyped-def]
    """Find the foreground pixels with a background 4-neighbour, all four of them labelled."""
    height, width = states.shape
    found = np.zeros((height, width), np.bool_)
    for row in range(height):
        for col in range(width):
            if states[row, col] != _WET:
                continue
            dry, known = False, True
            for down, across in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                y, x = row + down, col + across
                if 0 <= y < height and 0 <= x < width:
                    dry |= states[y, x] == _DRY
                    known &= states[y, x] != _UNKNOWN
            found[row, col] = dry and known
    return found


@jit()
def _count_near(outline, other, start, stop, near):  # type: ignore[no-untyped-def]
    """Count the outline's pixels in some rows with one of the other beside them, and all."""
    height, width = outline.shape
    met, total = 0, 0
    for row in range(start, stop):
        for col in range(width):
            if not outline[row, col]:
                continue
            total += 1
            for place in range(near.shape[0]):
                y, x = row + near[place, 0], col + near[place, 1]
                if 0 <= y < height and 0 <= x < width and other[y, x]:
                    met += 1
                    break
    return met, total
