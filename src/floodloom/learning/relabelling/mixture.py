"""Mixtures of Gaussians: fitted to a sample of pixels, and their densities at every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from floodloom.arrays import Doubles, Floats
from floodloom.kernels import jit

LEAST_VARIANCE = 0.02
"""Of every component in every direction, in units of the inputs: pixels may be all alike."""

_FAINTEST = 1e-9
_BLOCK = 512  # pixels that are evaluated together
_LEAST_LOG = np.float32(-80)  # e^-80 is still a normal number of 32 bits
_ROOT_HALF = 0.5**0.5
_LOG_2 = np.float32(0.6931471805599453)
_LOG2_E = np.float32(1.4426950408889634)


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians.

    Attributes
    ----------
    shares
        (component,) float64, which sum to 1.
    means
        (component, feature) float64.
    covariances
        (component, feature, feature) float64.
    """

    shares: Doubles
    means: Doubles
    covariances: Doubles

    @classmethod
    def divide(cls, sample: Floats, components: int) -> Mixture:
        """Return a first guess: equal parts of a sample (feature, pixel) along its main axis."""
        centred = sample - sample.mean(axis=1, keepdims=True)
        axis = np.linalg.eigh(centred @ centred.T)[1][:, -1]
        order = np.argsort(axis @ centred, kind="stable")
        parts = [sample[:, part].astype(np.float64) for part in np.array_split(order, components)]
        sizes = np.array([part.shape[1] for part in parts])
        means = np.stack([part.mean(axis=1) for part in parts])
        squares = np.stack([part @ part.T for part in parts]) / sizes[:, None, None]
        products = means[:, :, None] * means[:, None, :]
        ridge = LEAST_VARIANCE * np.eye(len(sample))
        return cls(sizes / sample.shape[1], means, squares - products + ridge)

    def fit(self, sample: Floats, steps: int) -> Mixture:
        """Return the mixture after steps of expectation and maximisation on a sample.

        Parameters
        ----------
        sample
            (feature, pixel) float32.
        steps
            How many; a single component needs one.

        References
        ----------
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM
        algorithm, JRSS B 39(1), 1-38; a ridge keeps components from collapsing.
        """
        found = Mixture(self.shares.copy(), self.means.copy(), self.covariances.copy())
        needed = steps if len(self.shares) > 1 else 1
        features = np.ascontiguousarray(sample, dtype=np.float32)
        _fit(features, needed, found.shares, found.means, found.covariances)
        return found

    def log_density(self, features: Floats) -> Floats:
        """Return the log-density, up to a constant, of (feature, pixel) float32 as (pixel,)."""
        return np.asarray(log_densities([self], features)[0])


def log_densities(mixtures: Sequence[Mixture], features: Floats) -> Floats:
    """Return the log-density of each mixture, up to a constant.

    Parameters
    ----------
    mixtures
        Of the same features.
    features
        (feature, pixel) float32.

    Returns
    -------
    ndarray
        (mixture, pixel) float32, to 1e-6 of what is above -80 beside the greatest component.
    """
    densities = np.empty((len(mixtures), features.shape[1]), dtype=np.float32)
    dense = np.ascontiguousarray(features)
    for mixture, density in zip(mixtures, densities, strict=True):
        _log_density(dense, mixture.shares, mixture.means, mixture.covariances, density)
    return densities


def log_ratio(one: Mixture, other: Mixture, features: Floats, most: float) -> Floats:
    """Return the log of a mixture's density over that of another.

    Parameters
    ----------
    one, other
        Of the same features.
    features
        (feature, pixel) float32.
    most
        Where it ends on either side of 0.

    Returns
    -------
    ndarray
        (pixel,) float32.
    """
    ratio = np.empty(features.shape[1], dtype=np.float32)
    mixtures = [(each.shares, each.means, each.covariances) for each in (one, other)]
    _log_ratio(np.ascontiguousarray(features), *mixtures, np.float32(most), ratio)
    return ratio


@jit()
def relate_to_likeliest(densities, lowest):  # type: ignore[no-untyped-def]
    """Turn (mixture, pixel) log-densities into what they are below the greatest, to `lowest`."""
    greatest = np.empty(_BLOCK, dtype=np.float32)
    for first in range(0, densities.shape[1], _BLOCK):
        size = min(_BLOCK, densities.shape[1] - first)
        for pixel in range(size):
            greatest[pixel] = densities[0, first + pixel]
        for one in range(1, len(densities)):
            density = densities[one, first : first + size]
            for pixel in range(size):
                greatest[pixel] = max(greatest[pixel], density[pixel])
        for one in range(len(densities)):
            density = densities[one, first : first + size]
            for pixel in range(size):
                density[pixel] = max(density[pixel] - greatest[pixel], lowest)


@jit(fastmath={"contract"}, error_model="numpy")
def _log_density(features, shares, means, covariances, density):  # type: ignore[no-untyped-def]
    whitened, buffers = _whitened(shares, means, covariances), _buffers(len(shares))
    for first in range(0, features.shape[1], _BLOCK):
        _log_density_of_block(features, first, whitened, buffers, density[first : first + _BLOCK])


@jit(fastmath={"contract"}, error_model="numpy")
def _log_ratio(features, one, other, most, ratio):  # type: ignore[no-untyped-def]
    """Go over the pixels once for both mixtures."""
    whitened, buffers = _whitened(*one), _buffers(len(one[0]))
    less, more_buffers = _whitened(*other), _buffers(len(other[0]))
    density = np.empty(_BLOCK, dtype=np.float32)
    for first in range(0, features.shape[1], _BLOCK):
        out = ratio[first : first + _BLOCK]
        _log_density_of_block(features, first, whitened, buffers, out)
        _log_density_of_block(features, first, less, more_buffers, density[: len(out)])
        for pixel in range(len(out)):
            out[pixel] = min(max(out[pixel] - density[pixel], -most), most)


@jit(fastmath={"contract"}, error_model="numpy")
def _log_density_of_block(features, first, whitened, buffers, density):  # type: ignore[no-untyped-def]
    (each, work, total), size = buffers, len(density)
    _log_joint(features, first, size, whitened, each, work)
    _exponentials(each, size, work, total)
    _add_logarithm(work, total, size, density)


@jit(fastmath={"contract"}, error_model="numpy")
def _fit(features, steps, shares, means, covariances):  # type: ignore[no-untyped-def]
    components, (wide, pixels) = len(shares), features.shape
    each, work, total = _buffers(components)
    for _ in range(steps):
        whitened = _whitened(shares, means, covariances)
        for k in range(components):
            shares[k] = _FAINTEST
            for row in range(wide):
                means[k, row] = 0
                for col in range(wide):
                    covariances[k, row, col] = 0
        for first in range(0, pixels, _BLOCK):
            size = min(_BLOCK, pixels - first)
            _log_joint(features, first, size, whitened, each, work)
            _exponentials(each, size, work, total)
            for k in range(components):
                belongs = each[k, :size]
                for pixel in range(size):
                    belongs[pixel] /= total[pixel]
                _add_moments(
                    belongs, features, first, work[:size], shares[k:], means[k], covariances[k]
                )
        _normalise(shares, means, covariances)


@jit(fastmath={"contract"}, error_model="numpy")
def _add_moments(belongs, features, first, weighed, count, sums, products):  # type: ignore[no-untyped-def]
    """Add up a block for one component: its pixels, their values, and products of these."""
    count[0] += _sum(belongs)
    for row in range(len(features)):
        values = features[row, first : first + len(belongs)]
        for pixel in range(len(belongs)):
            weighed[pixel] = belongs[pixel] * values[pixel]
        sums[row] += _sum(weighed)
        for col in range(row + 1):
            products[row, col] += _dot(weighed, features[col, first : first + len(belongs)])


@jit(error_model="numpy")
def _normalise(counts, sums, products):  # type: ignore[no-untyped-def]
    """Turn what was added up into shares, means and covariances."""
    pixels = 0.0
    for k in range(len(counts)):
        pixels += counts[k]
    for k in range(len(counts)):
        for row in range(sums.shape[1]):
            sums[k, row] /= counts[k]
            for col in range(row + 1):
                products[k, row, col] /= counts[k]
                products[k, row, col] -= sums[k, row] * sums[k, col]
                products[k, col, row] = products[k, row, col]
            products[k, row, row] += LEAST_VARIANCE
        counts[k] /= pixels


@jit(error_model="numpy")
def _whitened(shares, means, covariances):  # type: ignore[no-untyped-def]
    """What the log of a component's density is made of, each float32.

    It is `offset - |whiten @ x - centre|^2`, with the inverse of the Cholesky factor of the
    covariance in `whiten`: (component, feature, feature), (component, feature) and (component,).
    """
    components, wide = means.shape
    whiten = np.empty((components, wide, wide), dtype=np.float32)
    centres = np.empty((components, wide), dtype=np.float32)
    offsets = np.empty(components, dtype=np.float32)
    factor, inverse = np.empty((wide, wide)), np.empty((wide, wide))
    for k in range(components):
        offset = math.log(shares[k])
        for row in range(wide):
            for col in range(row + 1):
                rest = covariances[k, row, col]
                for i in range(col):
                    rest -= factor[row, i] * factor[col, i]
                factor[row, col] = math.sqrt(rest) if row == col else rest / factor[col, col]
            offset -= math.log(factor[row, row])
            centre = 0.0
            for col in range(row + 1):
                rest = 1.0 if row == col else 0.0
                for i in range(col, row):
                    rest -= factor[row, i] * inverse[i, col]
                inverse[row, col] = rest / factor[row, row]
                centre += inverse[row, col] * means[k, col]
                whiten[k, row, col] = inverse[row, col] * _ROOT_HALF
            centres[k, row] = centre * _ROOT_HALF
        offsets[k] = offset
    return whiten, centres, offsets


@jit(fastmath={"contract", "reassoc"})
def _sum(values):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for pixel in range(len(values)):
        total += values[pixel]
    return total


@jit(fastmath={"contract", "reassoc"})
def _dot(one, other):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for pixel in range(len(one)):
        total += one[pixel] * other[pixel]
    return total


@jit()
def _buffers(components):  # type: ignore[no-untyped-def]
    """Log-densities of each component in a block, one row to work in, and their sum."""
    each = np.empty((components, _BLOCK), dtype=np.float32)
    return each, np.empty(_BLOCK, dtype=np.float32), np.empty(_BLOCK, dtype=np.float32)


@jit(fastmath={"contract"}, error_model="numpy")
def _log_joint(features, first, size, whitened, each, work):  # type: ignore[no-untyped-def]
    """Log-density of each component, with its share, at the pixels of a block."""
    whiten, centres, offsets = whitened
    for k in range(len(offsets)):
        component, out = (whiten[k], centres[k], offsets[k]), each[k, :size]
        if len(features) == 4:  # two polarisations and their means
            _log_joint_of_four(features, first, component, out)
        else:
            _log_joint_of_any(features, first, component, out, work)


@jit(fastmath={"contract"}, error_model="numpy")
def _log_joint_of_any(features, first, component, out, work):  # type: ignore[no-untyped-def]
    """Go over a block once for every number of a component."""
    whiten, centre, offset = component
    size = len(out)
    for pixel in range(size):
        out[pixel] = offset
    for row in range(len(whiten)):
        for pixel in range(size):
            work[pixel] = -centre[row]
        for col in range(row + 1):
            factor, values = whiten[row, col], features[col, first : first + size]
            for pixel in range(size):
                work[pixel] += factor * values[pixel]
        for pixel in range(size):
            out[pixel] -= work[pixel] * work[pixel]


@jit(fastmath={"contract"}, error_model="numpy")
def _log_joint_of_four(features, first, component, out):  # type: ignore[no-untyped-def]
    """Go over a block of four features once, which takes a third of the time."""
    whiten, centre, offset = component
    last = first + len(out)
    f0, f1, f2, f3 = (
        features[0, first:last],
        features[1, first:last],
        features[2, first:last],
        features[3, first:last],
    )
    w00, w10, w11, w20, w21 = whiten[0, 0], whiten[1, 0], whiten[1, 1], whiten[2, 0], whiten[2, 1]
    w22, w30, w31, w32, w33 = whiten[2, 2], whiten[3, 0], whiten[3, 1], whiten[3, 2], whiten[3, 3]
    c0, c1, c2, c3 = centre[0], centre[1], centre[2], centre[3]
    for pixel in range(len(out)):
        x0, x1, x2, x3 = f0[pixel], f1[pixel], f2[pixel], f3[pixel]
        z0 = w00 * x0 - c0
        z1 = w10 * x0 - c1 + w11 * x1
        z2 = w20 * x0 - c2 + w21 * x1 + w22 * x2
        z3 = w30 * x0 - c3 + w31 * x1 + w32 * x2 + w33 * x3
        out[pixel] = offset - z0 * z0 - z1 * z1 - z2 * z2 - z3 * z3


@jit(fastmath={"contract"}, error_model="numpy")
def _exponentials(each, size, greatest, total):  # type: ignore[no-untyped-def]
    """Turn logarithms into exponentials relative to the greatest, which is noted with their sum.

    e^x = 2^n 2^f, with a whole n whose bits are set and a polynomial of f in -1/2..1/2 (Taylor, to
    2e-7), which compiles to vectors as a call of the library's function doesn't.
    """
    for pixel in range(size):
        greatest[pixel] = each[0, pixel]
        total[pixel] = 0
    components = len(each)
    for k in range(1, components):
        for pixel in range(size):
            greatest[pixel] = max(greatest[pixel], each[k, pixel])
    bits = np.empty(_BLOCK, dtype=np.int32)
    power = bits.view(np.float32)
    for k in range(components):
        for pixel in range(size):
            doublings = max(each[k, pixel] - greatest[pixel], _LEAST_LOG) * _LOG2_E
            whole = np.floor(doublings + np.float32(0.5))
            bits[pixel] = (np.int32(whole) + np.int32(127)) << np.int32(23)
            x = (doublings - whole) * _LOG_2
            fraction = np.float32(1 / 720)
            fraction = fraction * x + np.float32(1 / 120)
            fraction = fraction * x + np.float32(1 / 24)
            fraction = fraction * x + np.float32(1 / 6)
            fraction = fraction * x + np.float32(0.5)
            fraction = fraction * x + np.float32(1)
            each[k, pixel] = fraction * x + np.float32(1)
        for pixel in range(size):
            each[k, pixel] *= power[pixel]
            total[pixel] += each[k, pixel]


@jit(fastmath={"contract"}, error_model="numpy")
def _add_logarithm(start, total, size, out):  # type: ignore[no-untyped-def]
    """Write start + ln total, total from 1 on: m 2^n, and 2 artanh((m - 1) / (m + 1)) of m."""
    bits = total.view(np.int32)
    for pixel in range(size):
        whole = (bits[pixel] >> np.int32(23)) - np.int32(127)
        bits[pixel] -= whole << np.int32(23)
        start[pixel] += np.float32(whole) * _LOG_2
    for pixel in range(size):
        z = (total[pixel] - np.float32(1)) / (total[pixel] + np.float32(1))
        square = z * z
        series = np.float32(1 / 11)
        series = series * square + np.float32(1 / 9)
        series = series * square + np.float32(1 / 7)
        series = series * square + np.float32(1 / 5)
        series = series * square + np.float32(1 / 3)
        out[pixel] = start[pixel] + np.float32(2) * z * (series * square + np.float32(1))
