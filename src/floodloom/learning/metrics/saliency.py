"""Scores of a foreground's probability as a whole: its place, its structure, its mean error.

They are read by strips of rows, so their memory doesn't grow with the map.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import IGNORE, Doubles
from floodloom.kernels import jit
from floodloom.learning.metrics.pixels import Counts
from floodloom.learning.metrics.strips import Strip, each_strip
from floodloom.raster.rows import STRIP, Rows, by_strips

_TINY = float(np.finfo(np.float64).eps)
_CONSTANT = 1e-12  # of the mean square: less variance is rounding


@dataclass(frozen=True)
class Centre:
    """Row and column after the foreground's centre, and pixels: of foreground, and in all."""

    row: int = 0
    col: int = 0
    foreground: int = 0
    pixels: int = 0


def centre_of(label: Rows, *, rows: int = STRIP, threads: int = 1) -> Centre:
    """Return where the foreground of a label, (y, x), has its centre."""
    height, width = label.shape
    across = np.arange(width)

    def read(start: int, stop: int) -> tuple[int, ...]:
        known = label[start:stop]
        truth = known == 1
        by_row = truth.sum(axis=1)
        below = by_row @ np.arange(start, stop)
        found = below, truth.sum(axis=0) @ across, by_row.sum(), (known != IGNORE).sum()
        return tuple(int(sum_of) for sum_of in found)

    parts = [part for _, part in by_strips(read, height, rows=rows, threads=threads)]
    down, right, foreground, pixels = (sum(sums) for sums in zip(*parts, strict=True))
    if not foreground:
        return Centre(pixels=pixels)
    return Centre(round(down / foreground) + 1, round(right / foreground) + 1, foreground, pixels)


@dataclass(frozen=True)
class Moments:
    """Sums of a probability by the four parts around the truth's centre and by the truth.

    `sums` is (part, truth, 4) float64, where the truth is 0 and where it is 1: pixels, Σx, Σx², and
    pixels that are called foreground.
    """

    sums: Doubles

    @classmethod
    def of(cls, parts: Iterable[Doubles], scale: float) -> Moments:
        """Return those of a map by `sums_of` its strips, with what probability 1 is in them."""
        return cls(sum(parts, np.zeros((4, 2, 4))) / np.array([1, scale, scale**2, 1]))

    @property
    def absolute_error(self) -> float:
        """Σ |probability - truth|."""
        pixels, total, *_ = self.sums.sum(axis=0).T
        return float(total[0] + pixels[1] - total[1])

    @property
    def counts(self) -> Counts:
        """Agreement of foreground and truth."""
        pixels, *_, called = self.sums.sum(axis=0).T.astype(int).tolist()
        return Counts(called[1], called[0], pixels[1] - called[1], pixels[0] - called[0])

    @property
    def structure(self) -> float:
        """The S-measure with α = 0.5, see `structure_measure`."""
        return _structure(self.sums[..., :3], 0.5)


def moments(probability: Rows, label: Rows) -> Moments:
    """Sum up a probability, (y, x) 0-1; `label` (y, x): 0 background, 1 foreground, 255 ignored."""
    centre = centre_of(label)
    return Moments.of(each_strip(lambda strip: sums_of(strip, centre), probability, label), 1.0)


def sums_of(strip: Strip, centre: Centre) -> Doubles:
    """Return the sums of a strip, see `Moments`; of percent they are whole numbers."""
    sums = np.zeros((4, 2, 4))
    own = strip.within(0)
    below, half = centre.row - strip.start, strip.scale / 2
    _add_moments(own.probability, own.label, below, centre.col, half, sums)
    return sums


@jit()
def _add_moments(probability, label, centre_row, centre_col, half, sums):  # type: ignore[no-untyped-def]
    for row in range(label.shape[0]):
        lower = 2 if row >= centre_row else 0
        for col in range(label.shape[1]):
            truth = label[row, col]
            if truth != IGNORE:
                part = sums[lower + (col >= centre_col), np.uint8(truth == 1)]
                value = np.float64(probability[row, col])
                part[0] += 1
                part[1] += value
                part[2] += value * value
                part[3] += value >= half


def mean_absolute_error(probability: Rows, label: Rows) -> float:
    """Return the mean of |probability - truth| over the labelled pixels, NaN if there are none."""
    found = moments(probability, label)
    pixels = found.sums[..., 0].sum()
    return found.absolute_error / pixels if pixels else math.nan


def structure_measure(probability: Rows, label: Rows, alpha: float = 0.5) -> float:
    """Return the S-measure: α times object-aware plus 1 - α times region-aware similarity.

    NaN without a labelled pixel.

    References
    ----------
    Fan et al. (2017), Structure-measure, arXiv 1708.00786, equations 1 to 8.
    """
    return _structure(moments(probability, label).sums[..., :3], alpha)


def _structure(sums: NDArray[np.float64], alpha: float) -> float:
    outside, inside = sums.sum(axis=0)
    if not outside[0] + inside[0]:
        return math.nan
    share = inside[0] / (outside[0] + inside[0])
    if share == 0:
        return float(1 - outside[1] / outside[0])
    if share == 1:
        return float(inside[1] / inside[0])
    count, total, squares = outside
    opposite = np.array([count, count - total, count - 2 * total + squares])
    by_object = share * _object_similarity(inside) + (1 - share) * _object_similarity(opposite)
    parts = [(part, part[:, 0].sum()) for part in sums if part[:, 0].any()]
    by_region = sum(pixels * _similarity(part) for part, pixels in parts) / sums[..., 0].sum()
    return max(float(alpha * by_object + (1 - alpha) * by_region), 0.0)


def _object_similarity(sums: NDArray[np.float64]) -> float:
    mean = sums[1] / sums[0]
    deviation = math.sqrt(_spread(*sums) / max(sums[0] - 1, 1))
    return float(2 * mean / (mean**2 + 1 + deviation + _TINY))


def _similarity(sums: NDArray[np.float64]) -> float:
    """Return 4 x̄ ȳ σxy / ((x̄² + ȳ²)(σx² + σy²)), 1 where both are constant and alike."""
    count, total, squares = sums.sum(axis=0)
    degrees = max(count - 1, 1)
    mean_x, mean_y = total / count, sums[1, 0] / count
    of_x, of_y = _spread(count, total, squares), _spread(count, sums[1, 0], sums[1, 0])
    joint = sums[1, 1] - count * mean_x * mean_y if of_x and of_y else 0.0
    above = 4 * mean_x * mean_y * joint / degrees
    below = (mean_x**2 + mean_y**2) * (of_x + of_y) / degrees
    if above != 0:
        return float(above / (below + _TINY))
    return 1.0 if below == 0 else 0.0


def _spread(count: float, total: float, squares: float) -> float:
    """Return Σ(x - x̄)², 0 where that is no more than rounding."""
    spread = squares - total**2 / count
    return spread if spread > _CONSTANT * squares else 0.0


def alignment(counts: Counts) -> float:
    """Return the E-measure of a map of foreground and background; NaN without a pixel.

    Its alignment matrix has one value for each kind of pixel, so their counts are enough.

    References
    ----------
    Fan et al. (2018), Enhanced-alignment measure, arXiv 1805.10421, equations 2 to 5.
    """
    kinds = {(1, 1): counts.tp, (1, 0): counts.fp, (0, 1): counts.fn, (0, 0): counts.tn}
    pixels = sum(kinds.values())
    if not pixels:
        return math.nan
    found, true = ((counts.tp + other) / pixels for other in (counts.fp, counts.fn))
    if true in (0, 1):
        return (counts.tp + counts.tn) / pixels
    total = 0.0
    for (one, other), number in kinds.items():
        x, y = one - found, other - true
        total += number * (2 * x * y / (x**2 + y**2 + _TINY) + 1) ** 2 / 4
    return total / pixels
