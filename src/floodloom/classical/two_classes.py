"""Two Gaussian classes in a histogram, and the odds that a level belongs to the darker one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles, Floats
from floodloom.classical.histograms import Bins, Counts, Scale
from floodloom.kernels import jit

_STEPS = 200  # of expectation and maximisation, at most
_SETTLED = 1e-4  # of a bin: means that move by less have converged

LEAST_D = 2.0
"""Ashman's D above which two classes are apart (Ashman et al. 1994)."""
LEAST_SHARE = 0.1
"""Share of the smaller class from which both can be fitted (Chini et al. 2017)."""
LEAST_FIT = 0.95
"""Bhattacharyya coefficient of histogram and fit from which the fit holds. Chini et al. (2017) ask
for more; but in a tile of 64 px the mixed pixels of a lake's shore, which neither Gaussian has, are
5 percent and more, and take the coefficient of a perfect lake to .97."""
FEWEST = 1024
"""Pixels of a histogram from which it is looked at."""

SUREST = 6.0
"""Greatest log-odds, 99.75 percent: none of two bands decides alone against the other."""


@dataclass(frozen=True)
class TwoClasses:
    """Two Gaussians of levels, that of the darker class first.

    Attributes
    ----------
    share
        Of the darker class, 0-1.
    means, deviations
        Of both classes, in the units of the levels.
    """

    share: float
    means: tuple[float, float]
    deviations: tuple[float, float]

    @property
    def ashman_d(self) -> float:
        """How far the classes are apart: sqrt(2) |m2 - m1| / sqrt(s1² + s2²)."""
        return float(np.sqrt(2) * (self.means[1] - self.means[0]) / np.hypot(*self.deviations))

    def log_odds(self, levels: Doubles) -> Doubles:
        """Return the log of the darker class's posterior over the other's, of any shape."""
        dark, bright = (
            np.log(share / deviation) - np.square((levels - mean) / deviation) / 2
            for share, mean, deviation in zip(
                (self.share, 1 - self.share), self.means, self.deviations, strict=True
            )
        )
        return np.asarray(dark - bright)

    @property
    def crossing(self) -> float:
        """Level between the means at which both classes are equally likely."""
        levels = np.linspace(*self.means, 2001)
        return float(levels[np.argmin(np.abs(self.log_odds(levels)))])


@dataclass(frozen=True)
class LogOdds:
    """Log-odds of water by level.

    Attributes
    ----------
    threshold
        Level at which they are 0.
    levels, odds
        (n,) float64 ascending levels and the log-odds at them, which fall; between them they are
        interpolated, beyond them they stay.
    """

    threshold: float
    levels: Doubles
    odds: Doubles

    @classmethod
    def of(cls, classes: TwoClasses, bins: Bins, threshold: float) -> LogOdds:
        """Return those of two classes, shifted to be 0 at a threshold between their means.

        Where the wider of two Gaussians comes back beyond the mean of the narrower one, the odds
        stay: what is darker than dark water isn't land.
        """
        levels = np.unique(np.append(bins.centres, threshold))
        odds = classes.log_odds(levels) - classes.log_odds(np.array(threshold))
        at = int(np.searchsorted(levels, threshold))
        odds[: at + 1] = np.maximum.accumulate(odds[at::-1])[::-1]
        odds[at:] = np.minimum.accumulate(odds[at:])
        return cls(threshold, levels, np.clip(odds, -SUREST, SUREST))

    def at(self, levels: Floats) -> Floats:
        """Return the log-odds at levels of any shape, float32; NaN stays NaN."""
        return np.interp(levels, self.levels, self.odds).astype(np.float32)


def otsu_classes(counts: Counts, bins: Bins) -> tuple[float, TwoClasses]:
    """Return the threshold of the greatest variance between classes, and the classes.

    Parameters
    ----------
    counts
        (bin,) of one histogram, in which several bins hold something.
    bins
        What the bins are.

    Returns
    -------
    threshold, classes
        Half-way between the means, where the best threshold lies but for the width of a bin; the
        classes have equal shares and the deviation within both, of which Otsu's criterion is the
        likelihood.

    References
    ----------
    Otsu (1979), A threshold selection method from gray-level histograms, IEEE Transactions on
    Systems, Man, and Cybernetics 9(1), 62-66. Kurita, Otsu and Abdelmalek (1992), Maximum
    likelihood thresholding based on population mixture models, Pattern Recognition 25(10),
    1231-1240: two Gaussians of equal shares and variances have this threshold.
    """
    split = _Split.of(counts, bins)
    between = split.shares[0] * split.shares[1] * np.square(split.means[1] - split.means[0])
    best = int(np.argmax(between))
    within = sum(p[best] * v[best] for p, v in zip(split.shares, split.variances, strict=True))
    means = (float(split.means[0][best]), float(split.means[1][best]))
    return sum(means) / 2, TwoClasses(0.5, means, (within**0.5, within**0.5))


def minimum_error_classes(
    counts: Counts, bins: Bins, between: tuple[float, float]
) -> tuple[float, TwoClasses]:
    """Return the threshold of the least classification error, and the classes on its two sides.

    The threshold t has the least J(t) = 1 + 2 (P1 ln s1 + P2 ln s2) - 2 (P1 ln P1 + P2 ln P2),
    with shares P and deviations s of the parts below and above it.

    Parameters
    ----------
    counts
        (bin,) of one histogram, in which several bins hold something.
    bins
        What the bins are.
    between
        Levels between which the threshold is sought, such as the means of two fitted classes: J is
        low, too, where it cuts off a few outliers, such as bright buildings.

    Returns
    -------
    threshold, classes
        The edge of a bin, and Gaussians of the moments of both parts.

    References
    ----------
    Kittler and Illingworth (1986), Minimum error thresholding, Pattern Recognition 19(1), 41-47.
    """
    split = _Split.of(counts, bins)
    criterion = 1 + sum(
        p * np.log(v) - 2 * p * np.log(p)
        for p, v in zip(split.shares, split.variances, strict=True)
    )
    low, high = between
    inside = (split.edges > low) & (split.edges < high)
    best = int(np.argmin(np.where(inside, criterion, np.inf)))
    dark, bright = (
        (float(m[best]), float(v[best] ** 0.5))
        for m, v in zip(split.means, split.variances, strict=True)
    )
    threshold = float(split.edges[best])
    share = float(split.shares[0][best])
    return threshold, TwoClasses(share, (dark[0], bright[0]), (dark[1], bright[1]))


@dataclass(frozen=True)
class _Split:
    """Shares, means and variances of the parts below and above each edge between two bins."""

    edges: Doubles
    shares: tuple[Doubles, Doubles]
    means: tuple[Doubles, Doubles]
    variances: tuple[Doubles, Doubles]

    @classmethod
    def of(cls, counts: Counts, bins: Bins) -> _Split:
        weight, levels = counts / counts.sum(), bins.centres
        sums = [np.cumsum(weight * levels**power) for power in range(3)]
        used = (sums[0][:-1] > 0) & (weight[::-1].cumsum()[::-1][1:] > 0)
        below = [one[:-1][used] for one in sums]
        above = [one[-1] - part for one, part in zip(sums, below, strict=True)]
        parts = (below, above)
        means = tuple(part[1] / part[0] for part in parts)
        least = bins.step**2 / 12  # of what lies in one bin
        variances = tuple(
            np.maximum(part[2] / part[0] - mean**2, 0) + least
            for part, mean in zip(parts, means, strict=True)
        )
        edges = bins.low + bins.step * np.arange(1, bins.number)
        shares = (below[0], above[0])
        return cls(edges[used], shares, means, variances)


def fit_two_classes(counts: Counts, bins: Bins) -> Doubles:
    """Fit two Gaussians to each of many histograms by expectation and maximisation.

    Parameters
    ----------
    counts
        (histogram, bin) uint32.
    bins
        What the bins are.

    Returns
    -------
    ndarray
        (histogram, 6) float64: share of the darker class, its mean and that of the other, their
        deviations, and the Bhattacharyya coefficient of histogram and fit, 0-1; NaN where fewer
        than two bins hold something.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM
    algorithm, JRSS B 39(1), 1-38.
    """
    found = np.empty((len(counts), 6))
    _fit(np.ascontiguousarray(counts), bins.centres, bins.step, found)
    return found


@jit()
def _fit(counts, levels, step, found):  # type: ignore[no-untyped-def]
    number = levels.size
    belongs = np.empty(number)
    for row in range(counts.shape[0]):
        weight = counts[row]
        total = 0.0
        for i in range(number):
            total += weight[i]
        split = _otsu_bin(weight, levels)
        if split < 0:
            found[row] = np.nan
            continue
        for i in range(number):
            belongs[i] = 1.0 if i <= split else 0.0
        share, dark, bright, wide, width = _moments(weight, levels, belongs, total, step)
        for _ in range(_STEPS):
            before = dark, bright
            for i in range(number):
                if weight[i]:
                    one = share / wide * np.exp(-(((levels[i] - dark) / wide) ** 2) / 2)
                    two = (1 - share) / width * np.exp(-(((levels[i] - bright) / width) ** 2) / 2)
                    if one + two > 0:
                        belongs[i] = one / (one + two)
                    else:
                        belongs[i] = 1.0 if levels[i] < (dark + bright) / 2 else 0.0
            share, dark, bright, wide, width = _moments(weight, levels, belongs, total, step)
            if max(abs(dark - before[0]), abs(bright - before[1])) < _SETTLED * step:
                break
        if dark > bright:
            share, dark, bright, wide, width = 1 - share, bright, dark, width, wide
        found[row, 0], found[row, 1], found[row, 2] = share, dark, bright
        found[row, 3], found[row, 4] = wide, width
        found[row, 5] = _likeness(weight, levels, total, step, found[row])


@jit()
def _otsu_bin(weight, levels):  # type: ignore[no-untyped-def]
    """Last bin of the part below the threshold of Otsu; -1 without two bins."""
    total = summed = 0.0
    for i in range(levels.size):
        total += weight[i]
        summed += weight[i] * levels[i]
    best, greatest = -1, 0.0
    below = low = 0.0
    for i in range(levels.size - 1):
        below += weight[i]
        low += weight[i] * levels[i]
        if below > 0 and below < total:
            apart = low / below - (summed - low) / (total - below)
            between = below * (total - below) * apart * apart
            if between > greatest:
                best, greatest = i, between
    return best


@jit()
def _moments(weight, levels, belongs, total, step):  # type: ignore[no-untyped-def]
    """Share, means and deviations of two classes; none is narrower than a bin."""
    one = two = low = high = 0.0
    for i in range(levels.size):
        part = weight[i] * belongs[i]
        one += part
        two += weight[i] - part
        low += part * levels[i]
        high += (weight[i] - part) * levels[i]
    one, two = max(one, 1e-9), max(two, 1e-9)
    dark, bright = low / one, high / two
    wide = width = 0.0
    for i in range(levels.size):
        part = weight[i] * belongs[i]
        wide += part * (levels[i] - dark) ** 2
        width += (weight[i] - part) * (levels[i] - bright) ** 2
    wide, width = np.sqrt(wide / one), np.sqrt(width / two)
    return one / total, dark, bright, max(wide, step / 2), max(width, step / 2)


@jit()
def _likeness(weight, levels, total, step, found):  # type: ignore[no-untyped-def]
    """Bhattacharyya coefficient of histogram and fit, over pairs of bins, whose noise is less."""
    share, dark, bright, wide, width = found[0], found[1], found[2], found[3], found[4]
    scale = step / np.sqrt(2 * np.pi)
    result = 0.0
    for i in range(0, levels.size - 1, 2):
        seen = expected = 0.0
        for j in range(i, i + 2):
            seen += weight[j] / total
            expected += scale * (
                share / wide * np.exp(-(((levels[j] - dark) / wide) ** 2) / 2)
                + (1 - share) / width * np.exp(-(((levels[j] - bright) / width) ** 2) / 2)
            )
        result += np.sqrt(seen * expected)
    return result


def are_bimodal(
    fits: Doubles, pixels: NDArray[np.integer], scale: Scale, least_share: float = LEAST_SHARE
) -> NDArray[np.bool_]:
    """Return which histograms hold two classes, the darker of which may be water.

    Parameters
    ----------
    fits
        (histogram, 6) of `fit_two_classes`.
    pixels
        (histogram,) how many pixels each holds.
    scale
        What the levels are.
    least_share
        Least share of the smaller class.

    Returns
    -------
    ndarray
        (histogram,) bool: Ashman's D is above 2, the smaller class has its share, the Bhattacharyya
        coefficient with the fit is at least .95, and the darker mean isn't above
        `scale.greatest_mean`.

    References
    ----------
    Ashman, Bird and Zepf (1994), Detecting bimodality in astronomical datasets, The Astronomical
    Journal 108(6), 2348-2361. Chini, Hostache, Giustarini and Matgen (2017), A hierarchical
    split-based approach for parametric thresholding of SAR images: flood inundation as a test
    case, IEEE TGRS 55(12), 6975-6988.
    """
    share, dark, bright, wide, width, likeness = fits.T
    with np.errstate(invalid="ignore"):
        apart = np.sqrt(2) * (bright - dark) / np.hypot(wide, width) > LEAST_D
        found = apart & (np.minimum(share, 1 - share) >= least_share) & (likeness >= LEAST_FIT)
        return np.asarray(found & (pixels >= FEWEST) & (dark <= scale.greatest_mean))


def classes_of(fit: Doubles) -> TwoClasses:
    """Return the classes of a row of `fit_two_classes`."""
    share, dark, bright, wide, width = (float(value) for value in fit[:5])
    return TwoClasses(share, (dark, bright), (wide, width))
