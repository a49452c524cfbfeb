"""The likelihood of the classes by the distributions of one place, fitted as a mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from floodloom.arrays import Floats
from floodloom.classical.histograms import Bins, Scale
from floodloom.classical.two_classes import are_bimodal, classes_of, fit_two_classes
from floodloom.kernels import jit

Doubles = NDArray[np.float64]

_LEAST_VARIANCE = 0.02  # in units of the inputs, for pixels that are all alike
_FAINTEST = 1e-9
_BLOCK = 512  # pixels that are evaluated together
_NEGLIGIBLE = np.float32(-20.0)  # log-density below the greatest that adds nothing to it in float32


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
    def divide(cls, sample: Doubles, components: int) -> Mixture:
        """Return a first guess: equal parts of a sample (feature, pixel) along its main axis."""
        centred = sample - sample.mean(axis=1, keepdims=True)
        axis = np.linalg.eigh(centred @ centred.T)[1][:, -1]
        order = np.argsort(axis @ centred, kind="stable")
        belongs = np.zeros((components, sample.shape[1]))
        for component, part in enumerate(np.array_split(order, components)):
            belongs[component, part] = 1
        return cls.of(sample, belongs)

    @classmethod
    def of(cls, sample: Doubles, belongs: Doubles) -> Mixture:
        """Return the mixture in which pixels belong to components (component, pixel) so far."""
        counts = belongs.sum(axis=1) + _FAINTEST
        means = belongs @ sample.T / counts[:, np.newaxis]
        ridge = _LEAST_VARIANCE * np.eye(len(sample))
        covariances = np.empty((len(means), len(sample), len(sample)))
        for component, (weight, mean) in enumerate(zip(belongs, means, strict=True)):
            apart = sample - mean[:, np.newaxis]
            covariances[component] = (weight * apart) @ apart.T / counts[component] + ridge
        return cls(counts / counts.sum(), means, covariances)

    def fit(self, sample: Doubles, steps: int) -> Mixture:
        """Return the mixture after steps of expectation and maximisation on a sample.

        References
        ----------
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM
        algorithm, JRSS B 39(1), 1-38; a ridge keeps components from collapsing.
        """
        found = self
        for _ in range(steps if len(self.shares) > 1 else 1):
            joint = np.stack(found._joint(sample))
            belongs = np.exp(joint - joint.max(axis=0))
            found = Mixture.of(sample, belongs / belongs.sum(axis=0))
        return found

    def log_density(self, features: Floats) -> Floats:
        """Return the log-density, up to a constant, of (feature, pixel) float32 as (pixel,)."""
        whiten, offsets = self._whitened()
        density = np.empty(features.shape[1], dtype=np.float32)
        _log_density(
            features,
            self.means.astype(np.float32),
            whiten.astype(np.float32),
            offsets.astype(np.float32),
            density,
        )
        return density

    def _joint(self, sample: Doubles) -> list[Doubles]:
        """Log-density of each component at each pixel, with its share."""
        whiten, offsets = self._whitened()
        return [
            offset - np.square(lower @ (sample - mean[:, np.newaxis])).sum(axis=0) / 2
            for mean, lower, offset in zip(self.means, whiten, offsets, strict=True)
        ]

    def _whitened(self) -> tuple[Doubles, Doubles]:
        whiten = np.linalg.inv(np.linalg.cholesky(self.covariances))
        volume = np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(axis=1)
        return whiten, np.log(self.shares) + volume


@jit()
def _log_density(features, means, whiten, offsets, density):  # type: ignore[no-untyped-def]
    components, wide = means.shape
    each = np.empty((components, _BLOCK), dtype=np.float32)
    value = np.empty(_BLOCK, dtype=np.float32)
    for first in range(0, features.shape[1], _BLOCK):
        block = features[:, first : first + _BLOCK]
        size = block.shape[1]
        for k in range(components):
            each[k, :] = offsets[k]
            for row in range(wide):
                value[:] = 0
                for col in range(row + 1):
                    factor, mean = whiten[k, row, col], means[k, col]
                    for pixel in range(size):
                        value[pixel] += factor * (block[col, pixel] - mean)
                for pixel in range(size):
                    each[k, pixel] -= value[pixel] * value[pixel] * np.float32(0.5)
        for pixel in range(size):
            greatest = each[0, pixel]
            for k in range(1, components):
                greatest = max(greatest, each[k, pixel])
            total = np.float32(0)
            for k in range(components):
                apart = each[k, pixel] - greatest
                if apart > _NEGLIGIBLE:
                    total += np.exp(apart)
            density[first + pixel] = greatest + np.log(total)


_SUREST = 0.65  # share of a class's pixels from which its distribution is taken
_COMPONENTS = (3, 2)  # of land, which is fields, woods and rivers, and of every other class
_ROUNDS = 3  # of classifying the pixels and fitting the mixtures again
_STEPS = 6  # of fitting a mixture, the first time
_SAMPLE = 2048  # pixels that a mixture is fitted to, at most
_CLASSIFIED = 1 << 16  # pixels that are classified while mixtures are fitted, at most
_FEWEST = 60  # pixels of a class, below which nothing is known of its distribution
_NEIGHBOURHOOD = 1.0  # px, standard deviation of the bell over which neighbours are averaged
_LOWEST = 8.0  # log-likelihood below the likeliest class's, at most
_BINS = 128  # of the histogram that shows whether a tile holds two classes
_TAIL = 0.001  # share of the pixels beyond the histogram, on either side
_LEAST_SHARE = 0.03  # of the smaller class, with which a tile holds two
_LEAST_D = 3.0  # Ashman's D of the two, see `holds_two_classes`


@dataclass(frozen=True)
class LikelihoodWeighting:
    """How the local likelihood of a scene is added to the logits of its prediction.

    Attributes
    ----------
    weight
        Of `local_likelihood` against the networks' logits; 0 leaves it out.
    temperature
        What the sum of both is divided by, so that it is calibrated; an ensemble's logits are
        divided by it already, see `Ensemble.with_joint_temperature`.
    """

    weight: float = 0.0
    temperature: float = 1.0

    @classmethod
    def of(cls, notes: Sequence[Mapping[str, Any]]) -> LikelihoodWeighting:
        """Return the mean of the notes of an ensemble's checkpoints."""
        noted = [one.get("likelihood", {"weight": 0.0, "temperature": 1.0}) for one in notes]
        if not noted:
            return cls()
        means = (float(np.mean([one[k] for one in noted])) for k in ("weight", "temperature"))
        return cls(*means)


def local_likelihood(
    image: Floats, valid: NDArray[np.bool_], logits: Floats, *, averaged: bool = True
) -> Floats:
    """Return the log-likelihood of each class by the tile's own distributions.

    For each tile and class, a mixture of Gaussians is fitted to the two thirds of the predicted
    pixels that are the surest, over the bands and their means in the neighbourhood: the
    maximum-likelihood classifier of remote sensing, retrained without labels on the image at hand.
    Its log-likelihood is added to the logits, and the mixtures are fitted again, three times.

    Parameters
    ----------
    image
        (tile, band, y, x) float32 normalised inputs, of any value where there are no data.
    valid
        (tile, y, x) where there are data.
    logits
        (tile, class, y, x) float32 of a network.
    averaged
        Average the likelihood over neighbours, which are mostly of one class: maps gain by it and
        are better calibrated, but networks that learn from labels made of it lose
        (on unseen OMBRIA chips .1 to .5 points gained, .3 to 1.6 lost).

    Returns
    -------
    ndarray
        (tile, class, y, x) float32, -8 to 0: relative to each pixel's likeliest class. 0 where
        there are no data, for classes of which too few pixels are predicted, and in tiles that
        don't show two classes, see `holds_two_classes`.

    References
    ----------
    Bruzzone and Prieto (2001), Unsupervised retraining of a maximum likelihood classifier for the
    analysis of multitemporal remote sensing images, IEEE TGRS 39(2), 456-460, sections II and III;
    here the network gives the first labels and its logits stay in the sum, and classes are
    mixtures. The mean
    over neighbours: Hosni et al. (2013), Fast cost-volume filtering for visual correspondence and
    beyond, IEEE TPAMI 35(2), 504-511, eq. 1, with a bell as its weights.
    """
    likelihood = np.zeros(logits.shape, dtype=np.float32)
    for tile, known in enumerate(valid):
        if known.any():
            inside = slice(None) if known.all() else np.flatnonzero(known)
            bands = np.where(known, image[tile], np.float32(0))
            features, networks = (
                _by_pixel(values)[:, inside]
                for values in (np.concatenate([bands, _means(bands, known)]), logits[tile])
            )
            _by_pixel(likelihood[tile])[:, inside] = _likelihood(features, networks)
            if averaged:
                likelihood[tile] = np.where(known, _means(likelihood[tile], known), np.float32(0))
    return likelihood


def _means(values: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Means of (layer, y, x) values, 0 without data, over the neighbours that have data."""
    share = np.maximum(gaussian_filter(valid.astype(np.float32), _NEIGHBOURHOOD), 1e-6)
    return np.stack([gaussian_filter(layer, _NEIGHBOURHOOD) / share for layer in values])


def _by_pixel(values: Floats) -> Floats:
    return values.reshape(len(values), -1)


def _likelihood(features: Floats, logits: Floats) -> Floats:
    """(class, pixel) log-likelihood relative to the likeliest class of (feature, pixel)."""
    step = -(-features.shape[1] // _CLASSIFIED)
    few, networks = features[:, ::step], logits[:, ::step]
    likelihood = np.zeros_like(networks)
    if not holds_two_classes(few, networks.argmax(axis=0)):
        return likelihood if step == 1 else np.zeros_like(logits)
    known: dict[int, Mixture] = {}
    for _ in range(_ROUNDS):
        sure = _surest(networks + likelihood)
        if len(sure) < 2:
            break
        known = {value: _fitted(few, own, value, known) for value, own in sure.items()}
        likelihood = _class_likelihood(few, known, len(logits))
    return likelihood if step == 1 else _class_likelihood(features, known, len(logits))


def holds_two_classes(features: Floats, predicted: NDArray[np.integer]) -> bool:
    """Return whether pixels themselves show two classes where a network sees two.

    Along the axis that best separates the predicted classes (Fisher 1936) the histogram of all
    pixels must be bimodal, whatever was predicted: where it isn't, the boundary lies within one
    class, and the distributions of its two sides only spread what was predicted.

    Parameters
    ----------
    features
        (feature, pixel) float32.
    predicted
        (pixel,) classes, 0 or not.

    Returns
    -------
    bool
        Whether two Gaussians fit, the smaller has 3 % of the pixels, and Ashman's D is above 3.
        Above 2, where histograms begin to have two modes, the likelihood cost OMBRIA's events of
        little flood 3 to 4 points of IoU, above 3 half a point (benchmarks/README.md, label_shift).

    References
    ----------
    Ashman et al. (1994), see `floodloom.classical.two_classes.are_bimodal`.
    """
    sides = [features[:, predicted == 0], features[:, predicted > 0]]
    if min(side.shape[1] for side in sides) < _FEWEST:
        return False
    within = sum(np.atleast_2d(np.cov(side)) * side.shape[1] for side in sides)
    within = within / features.shape[1] + _LEAST_VARIANCE * np.eye(len(features))
    axis = np.linalg.solve(within, sides[1].mean(axis=1) - sides[0].mean(axis=1))
    levels = axis @ features
    low, high = np.quantile(levels, (_TAIL, 1 - _TAIL))
    bins = Bins(float(low), float(high - low) / _BINS, _BINS)
    edges = np.linspace(low, high, _BINS + 1)
    counts = np.histogram(np.clip(levels, low, high), edges)[0].astype(np.uint32)[np.newaxis]
    fits = fit_two_classes(counts, bins)
    if not are_bimodal(fits, counts.sum(axis=1), Scale(bins), _LEAST_SHARE)[0]:
        return False
    return classes_of(fits[0]).ashman_d > _LEAST_D


def _class_likelihood(features: Floats, known: dict[int, Mixture], classes: int) -> Floats:
    """(class, pixel) log-likelihood by mixtures of some of the classes, 0 of the others."""
    likelihood = np.zeros((classes, features.shape[1]), dtype=np.float32)
    if known:
        found = {value: mixture.log_density(features) for value, mixture in known.items()}
        likeliest = np.maximum.reduce(list(found.values()))
        for value, density in found.items():
            likelihood[value] = np.maximum(density - likeliest, -_LOWEST)
    return likelihood


def _surest(logits: Floats) -> dict[int, NDArray[np.intp]]:
    """Pixels that show what a class looks like: the surest, of classes with enough."""
    predicted, margin = logits.argmax(axis=0), _margin(logits)
    found = {}
    for value in range(len(logits)):
        member = np.flatnonzero(predicted == value)
        if len(member) >= _FEWEST:
            own = margin[member]
            found[value] = member[own >= np.quantile(own, 1 - _SUREST)]
    return found


def _fitted(
    features: Floats, own: NDArray[np.intp], value: int, known: dict[int, Mixture]
) -> Mixture:
    """Return the mixture of a class, which goes on from what was known of it."""
    sample = features[:, own[:: -(-len(own) // _SAMPLE)]].astype(np.float64)
    if value in known:
        return known[value].fit(sample, _STEPS // 2)
    components = _COMPONENTS[min(value, len(_COMPONENTS) - 1)]
    return Mixture.divide(sample, components).fit(sample, _STEPS)


def _margin(logits: Floats) -> Floats:
    """How far the greatest logit is above the next."""
    if len(logits) == 2:
        return np.asarray(np.abs(logits[1] - logits[0]))
    two = np.partition(logits, len(logits) - 2, axis=0)[-2:]
    return np.asarray(two[1] - two[0])
