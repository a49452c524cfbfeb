"""Scores by pixel, of tiles and of whole maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, NODATA
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.raster.product import FloodClass


@dataclass(frozen=True)
class Counts:
    """True and false positives and negatives; those of parts add up."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def iou(self) -> float:
        """Intersection over union; as the other scores, 0 where undefined."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """Share of the positives that are true."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of what is true that is found."""
        return ratio(self.tp, self.tp + self.fn)

    def f_beta(self, beta: float) -> float:
        """Return (1 + β²) P R / (β² P + R): recall counts β times as much as precision."""
        square = beta**2
        return ratio((1 + square) * self.tp, (1 + square) * self.tp + square * self.fn + self.fp)

    def scores(self) -> dict[str, float | int | None]:
        """Return IoU, F1, precision and recall with the counts.

        These are 0 where undefined, as without any water, and None where nothing is counted.
        """
        counts = {"tp": self.tp, "fp": self.fp, "fn": self.fn, "tn": self.tn}
        some = any(counts.values())
        return {**{name: getattr(self, name) if some else None for name in SCORES}, **counts}


SCORES = ("iou", "f1", "precision", "recall")


def ratio(numerator: float, denominator: float) -> float:
    """Return a quotient, 0 where it is undefined."""
    return numerator / denominator if denominator else 0.0


def count(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    scored: NDArray[np.bool_],
    pixels: NDArray[np.int64] | None = None,
) -> Counts:
    """Count agreement on the scored pixels; all bool, of one shape.

    Each counts once, or as often as `pixels` states.
    """
    each = 1 if pixels is None else pixels
    return Counts(
        tp=int((each * (predicted & true & scored)).sum()),
        fp=int((each * (predicted & ~true & scored)).sum()),
        fn=int((each * (~predicted & true & scored)).sum()),
        tn=int((each * (~predicted & ~true & scored)).sum()),
    )


def confusion_matrix(
    prediction: NDArray[np.integer], label: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Parameters
    ----------
    prediction, label
        Arrays of one shape with values 0 to `classes` - 1; where `label` is 255 the pixel doesn't
        count.
    classes
        Number of classes.

    Returns
    -------
    ndarray
        (true class, predicted class) int64. Matrices of parts add up to the whole's.

    Raises
    ------
    InputError
        If a label is neither a class nor 255.
    """
    scored = label != IGNORE
    known = label[scored]
    if known.size and not 0 <= known.min() <= known.max() < classes:
        unknown = known[(known < 0) | (known >= classes)][0]
        raise InputError(
            f"label {unknown} is no class; labels must be 0 to {classes - 1}, or {IGNORE} for "
            "pixels to ignore"
        )
    code = known.astype(np.int64) * classes + prediction[scored]
    return np.bincount(code, minlength=classes**2).reshape(classes, classes)


def counts_of(matrix: NDArray[np.int64], class_index: int) -> Counts:
    """Return the counts of one class against all others."""
    tp = int(matrix[class_index, class_index])
    fn = int(matrix[class_index].sum()) - tp
    fp = int(matrix[:, class_index].sum()) - tp
    return Counts(tp, fp, fn, int(matrix.sum()) - tp - fp - fn)


def pixel_accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the share of the labelled pixels that are right."""
    return ratio(int(np.trace(matrix)), int(matrix.sum()))


def counts_by_class(matrix: NDArray[np.int64]) -> list[Counts]:
    """Return `counts_of` each class."""
    return [counts_of(matrix, index) for index in range(len(matrix))]


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Return the mean IoU of the classes that are labelled or predicted."""
    found = [c.iou for c in counts_by_class(matrix) if c.tp + c.fp + c.fn]
    return float(np.mean(found)) if found else 0.0


def foreground_scores(matrix: NDArray[np.int64]) -> dict[str, float]:
    """Return the scores of class 1, or their means over classes 1, 2, ... if there are more."""
    classes = counts_by_class(matrix)[1:]
    return {name: float(np.mean([getattr(c, name) for c in classes])) for name in SCORES}


def mean_of_chip_iou(chips: Iterable[Counts]) -> float:
    """Return the mean IoU of the chips that show or predict the class, 0 without any."""
    found = [chip.iou for chip in chips if chip.tp + chip.fp + chip.fn]
    return float(np.mean(found)) if found else 0.0


def mean_of_chip_macro_jaccard(chips: Iterable[Counts]) -> float:
    """Return the mean over chips with a scored pixel of their mean IoU of both classes."""
    both = []
    for chip in (chip for chip in chips if chip != Counts()):
        other = Counts(tp=chip.tn, fp=chip.fn, fn=chip.fp, tn=chip.tp)
        both.append(np.mean([c.iou for c in (chip, other) if c.tp + c.fp + c.fn]))
    return float(np.mean(both)) if both else 0.0


def split_scores(matrices: NDArray[np.int64]) -> dict[str, float]:
    """Return scores of a split from its confusion matrices (chip, true class, predicted class).

    Returns
    -------
    dict
        accuracy and miou, pooled over all pixels, and mean_of_chip_iou, the mean foreground IoU of
        the chips that show or predict foreground.
    """
    pooled = matrices.sum(axis=0)
    chips = [
        foreground_scores(chip)["iou"] for chip in matrices if chip[1:].sum() + chip[0, 1:].sum()
    ]
    return {
        "accuracy": pixel_accuracy(pooled),
        "miou": mean_iou(pooled),
        "mean_of_chip_iou": float(np.mean(chips)) if chips else 0.0,
    }


@dataclass(frozen=True)
class PairScores:
    """What comparing maps with truths gives; the scores of several pairs add up.

    `flood` and `water` are counts; `known` is the number of pixels with truth, `excluded` and
    `nodata` that of those among them that the map excludes or has no data for; `permanent` is the
    number of pixels of true permanent water that the map has data for, `called_flood` that of those
    among them that it calls flood.
    """

    flood: Counts = field(default_factory=Counts)
    water: Counts = field(default_factory=Counts)
    known: int = 0
    excluded: int = 0
    nodata: int = 0
    permanent: int = 0
    called_flood: int = 0

    def __add__(self, other: PairScores) -> PairScores:
        return PairScores(
            self.flood + other.flood,
            self.water + other.water,
            self.known + other.known,
            self.excluded + other.excluded,
            self.nodata + other.nodata,
            self.permanent + other.permanent,
            self.called_flood + other.called_flood,
        )

    @property
    def scored(self) -> int:
        """Pixels with truth that the map has data for."""
        return self.known - self.nodata

    def as_dict(self) -> dict[str, object]:
        """Return both classes' scores, the shares of the known ground that are undecided, and the
        share of permanent water that is called flood; None where there isn't any.
        """
        mistaken = round(ratio(self.called_flood, self.permanent), 6) if self.permanent else None
        return {
            "flood": self.flood.scores(),
            "water": self.water.scores(),
            "undecided": {
                "excluded": round(ratio(self.excluded, self.known), 6),
                "nodata": round(ratio(self.nodata, self.known), 6),
            },
            "permanent_water": {"pixels": self.permanent, "called_flood": mistaken},
        }


def score_map(classes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> PairScores:
    """Compare a flood map with the truth.

    Parameters
    ----------
    classes
        (y, x) uint8 flood map, see `FloodClass`.
    truth
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.

    Returns
    -------
    PairScores
        Of `flood` (class 2) and `water` (1 or 2). Pixels without data or truth aren't counted.
        Excluded pixels are counted as "no water": flood that the map leaves out is missed, whatever
        the reason.
    """
    pixels = _joint_counts(classes, truth)
    found, true = _PAIRS
    known = true != IGNORE
    missing, excluded = found == FloodClass.NODATA.value, found == FloodClass.EXCLUDED.value
    flood, permanent = FloodClass.FLOOD.value, FloodClass.PERMANENT.value
    lake = (true == permanent) & ~missing
    return PairScores(
        flood=count(found == flood, true == flood, known & ~missing, pixels),
        water=count(
            np.isin(found, (permanent, flood)),
            np.isin(true, (permanent, flood)),
            known & ~missing,
            pixels,
        ),
        known=int(pixels[known].sum()),
        excluded=int(pixels[excluded & known].sum()),
        nodata=int(pixels[missing & known].sum()),
        permanent=int(pixels[lake].sum()),
        called_flood=int(pixels[lake & (found == flood)].sum()),
    )


def score_probability(
    percent: NDArray[np.uint8], truth: NDArray[np.uint8], *, separate: bool
) -> PairScores:
    """Compare a probability mosaic with the truth; a pixel is water from 50 %.

    Parameters
    ----------
    percent
        (y, x) uint8 percent of water, 255 = no data.
    truth
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.
    separate
        Whether the whole truth, of which this may be a part, separates flood from permanent water.

    Returns
    -------
    PairScores
        `water` against 1 or 2. `flood` against 2, with permanent water not counted, because a
        probability of water can't separate the two; where the truth doesn't either, it is `water`.
    """
    pixels = _joint_counts(percent, truth)
    found, true = _PAIRS
    known, missing = true != IGNORE, found == NODATA
    wet, scored = (found >= 50) & ~missing, known & ~missing
    water = count(wet, (true == 1) | (true == 2), scored, pixels)
    return PairScores(
        flood=count(wet, true == 2, scored & (true != 1), pixels) if separate else water,
        water=water,
        known=int(pixels[known].sum()),
        nodata=int(pixels[missing & known].sum()),
    )


_PAIRS = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")


@jit()
def _joint_counts(one, other):  # type: ignore[no-untyped-def]
    """Count how often each pair of bytes occurs in two rasters, (256, 256) int64."""
    counts = np.zeros((256, 256), np.int64)
    for row in range(one.shape[0]):
        for col in range(one.shape[1]):
            counts[one[row, col], other[row, col]] += 1
    return counts
