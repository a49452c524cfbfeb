"""The likelihood of the classes by the distributions of one place, fitted as a mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.classical.histograms import Bins, Scale
from floodloom.classical.two_classes import are_bimodal, classes_of, fit_two_classes
from floodloom.kernels import jit
from floodloom.learning.relabelling.mixture import (
    LEAST_VARIANCE,
    Mixture,
    log_densities,
    log_ratio,
    relate_to_likeliest,
)

FEWEST = 60
"""Pixels of a class, below which nothing is known of its distribution."""

_SUREST = 0.65  # share of a class's pixels from which its distribution is taken
_COMPONENTS = (3, 2)  # of land, which is fields, woods and rivers, and of every other class
_ROUNDS = 3  # of classifying the pixels and fitting the mixtures again
_STEPS = 6  # of fitting a mixture, the first time
_SAMPLE = 2048  # pixels that a mixture is fitted to, at most
_CLASSIFIED = 1 << 14  # pixels that are classified while mixtures are fitted, at most
_NEIGHBOURHOOD = 1.0  # px, standard deviation of the bell over which neighbours are averaged
_REACH = 4  # px, of the bell
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
        found = _tile_likelihood(image[tile], known, logits[tile])
        if found is not None:
            likelihood[tile] = neighbourhood_means(found, known) if averaged else found
    return likelihood


def local_likelihood_ratio(image: Floats, known: Mask, logit: Floats) -> Floats:
    """Return the log-likelihood of class 1 against class 0 by the distributions of one tile.

    Parameters
    ----------
    image
        (band, y, x) float32 normalised inputs, of any value where there are no data.
    known
        (y, x) where there are data.
    logit
        (y, x) float32 of class 1 against class 0.

    Returns
    -------
    ndarray
        (y, x) float32, -8 to 8: the difference of what `local_likelihood` gives of the two.
    """
    found = _tile_mixtures(image, known, np.stack([np.zeros_like(logit), logit]))
    if found is None:
        return np.zeros_like(logit)
    features, mixtures = found
    ratio = log_ratio(mixtures[1], mixtures[0], _by_pixel(features), _LOWEST).reshape(known.shape)
    if not known.all():
        ratio[~known] = 0
    return np.asarray(neighbourhood_means(ratio[np.newaxis], known)[0])


def _tile_likelihood(image: Floats, known: Mask, logits: Floats) -> Floats | None:
    """(class, y, x) log-likelihood relative to the likeliest class, None if it is 0 everywhere."""
    found = _tile_mixtures(image, known, logits)
    if found is None:
        return None
    features, mixtures = found
    by_class = _class_likelihood(_by_pixel(features), mixtures, len(logits))
    return np.where(known, by_class.reshape(logits.shape), np.float32(0))


def _tile_mixtures(
    image: Floats, known: Mask, logits: Floats
) -> tuple[Floats, dict[int, Mixture]] | None:
    """(feature, y, x) of a tile and the mixtures of its classes, None if it doesn't show two."""
    inside = slice(None) if known.all() else np.flatnonzero(known)
    networks = _by_pixel(logits)[:, inside]
    step = max(-(-networks.shape[1] // _CLASSIFIED), 1)
    few = np.ascontiguousarray(networks[:, ::step])
    if not _show_two_classes(_predicted(few)):
        return None

    pixels = _by_pixel(image)[:, inside]
    varied = pixels.min(axis=1) < pixels.max(axis=1)  # one that a scene lacks tells no class apart
    if not varied.any():
        return None
    features = _features(image[varied], known)
    some = np.ascontiguousarray(_by_pixel(features)[:, inside][:, ::step])
    mixtures = _fit_classes(some, few)
    return None if len(mixtures) < 2 else (features, mixtures)


def _features(image: Floats, known: Mask) -> Floats:
    """(band, y, x) and, behind them, their means over the neighbours."""
    features = np.empty((2 * len(image), *known.shape), dtype=np.float32)
    bands, means = np.split(features, 2)
    np.copyto(bands, image)
    if not known.all():
        bands[:, ~known] = 0
    _write_means(bands, known, means)
    return features


def neighbourhood_means(values: Floats, known: Mask) -> Floats:
    """Return means over the neighbours that have data, weighted by a bell.

    Parameters
    ----------
    values
        (layer, y, x) float32, 0 where there are no data.
    known
        (y, x) where there are data.

    Returns
    -------
    ndarray
        (layer, y, x) float32, 0 where there are no data.
    """
    means = np.empty(values.shape, dtype=np.float32)
    _write_means(values, known, means)
    return means


def _write_means(values: Floats, known: Mask, means: Floats) -> None:
    for layer, mean in zip(values, means, strict=True):
        _blur(layer, _BELL, mean)
    if not known.all():
        share = np.empty(known.shape, dtype=np.float32)
        _blur(known.astype(np.float32), _BELL, share)
        means /= np.maximum(share, 1e-6)
        means[:, ~known] = 0


def _bell() -> Floats:
    """Weights of a bell that sum to 1, of its centre and of what lies on either side of it."""
    offsets = np.arange(-_REACH, _REACH + 1)
    weights = np.exp(-((offsets / _NEIGHBOURHOOD) ** 2) / 2)
    return np.asarray((weights / weights.sum())[_REACH:], dtype=np.float32)


_BELL = _bell()


@jit(fastmath={"contract"})
def _blur(values, bell, out):  # type: ignore[no-untyped-def]
    """Weigh (y, x) along its columns and its rows, mirrored at its borders."""
    height, width = values.shape
    b0, b1, b2, b3, b4 = bell[0], bell[1], bell[2], bell[3], bell[4]
    padded = np.empty(width + 2 * _REACH, dtype=np.float32)
    column = padded[_REACH : _REACH + width]
    for row in range(height):
        # In two turns, since loops over more rows than five don't compile to vectors.
        middle = values[row]
        p1, n1 = values[_mirrored(row - 1, height)], values[_mirrored(row + 1, height)]
        p2, n2 = values[_mirrored(row - 2, height)], values[_mirrored(row + 2, height)]
        for x in range(width):
            column[x] = b0 * middle[x] + b1 * (p1[x] + n1[x]) + b2 * (p2[x] + n2[x])
        p3, n3 = values[_mirrored(row - 3, height)], values[_mirrored(row + 3, height)]
        p4, n4 = values[_mirrored(row - 4, height)], values[_mirrored(row + 4, height)]
        for x in range(width):
            column[x] += b3 * (p3[x] + n3[x]) + b4 * (p4[x] + n4[x])

        for k in range(1, _REACH + 1):
            padded[_REACH - k] = column[_mirrored(-k, width)]
            padded[_REACH + width - 1 + k] = column[_mirrored(width - 1 + k, width)]
        mean = out[row]
        for x in range(width):
            near = b1 * (padded[x + 3] + padded[x + 5]) + b2 * (padded[x + 2] + padded[x + 6])
            far = b3 * (padded[x + 1] + padded[x + 7]) + b4 * (padded[x] + padded[x + 8])
            mean[x] = b0 * padded[x + 4] + near + far


@jit()
def _mirrored(place, length):  # type: ignore[no-untyped-def]
    while place < 0 or place >= length:
        place = -1 - place if place < 0 else 2 * length - 1 - place
    return place


def _by_pixel(values: Floats) -> Floats:
    return values.reshape(len(values), -1)


def _fit_classes(features: Floats, logits: Floats) -> dict[int, Mixture]:
    """Fit mixtures to (feature, pixel) by the (class, pixel) logits, none if they aren't two."""
    known: dict[int, Mixture] = {}
    if not holds_two_classes(features, _predicted(logits)):
        return known
    likelihood = np.zeros_like(logits)
    for turn in range(_ROUNDS):
        sure = _surest(logits + likelihood)
        if len(sure) < 2:
            break
        known = {value: _fitted(features, own, value, known) for value, own in sure.items()}
        if turn < _ROUNDS - 1:
            likelihood = _class_likelihood(features, known, len(logits))
    return known


def _show_two_classes(predicted: NDArray[np.integer]) -> bool:
    """Whether there are enough pixels of class 0 and of others to know their distributions."""
    others = np.count_nonzero(predicted)
    return bool(min(others, predicted.size - others) >= FEWEST)


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
    if not _show_two_classes(predicted):
        return False
    levels = _discriminant(features, predicted > 0) @ features
    beyond = int(_TAIL * (levels.size - 1))
    ordered = np.partition(levels, (beyond, levels.size - 1 - beyond))
    low, high = ordered[beyond], ordered[levels.size - 1 - beyond]
    if low == high:
        return False
    bins = Bins(float(low), float(high - low) / _BINS, _BINS)
    counts = bins.count(levels)
    fits = fit_two_classes(counts[np.newaxis], bins)
    if not are_bimodal(fits, np.array([levels.size]), Scale(bins), _LEAST_SHARE)[0]:
        return False
    return classes_of(fits[0]).ashman_d > _LEAST_D


def _discriminant(features: Floats, others: Mask) -> Doubles:
    """Return Fisher's axis (feature,) between the pixels of class 0 and others."""
    values, members = features.astype(np.float64), np.stack([~others, others]).astype(np.float64)
    counts = members.sum(axis=1)
    centres = values @ members.T / counts
    scatter = (values @ values.T - counts * centres @ centres.T) / others.size
    return np.asarray(
        np.linalg.solve(
            scatter + LEAST_VARIANCE * np.eye(len(features)), centres[:, 1] - centres[:, 0]
        )
    )


def _class_likelihood(features: Floats, known: dict[int, Mixture], classes: int) -> Floats:
    """(class, pixel) log-likelihood by mixtures of some of the classes, 0 of the others."""
    found = log_densities(list(known.values()), features)
    relate_to_likeliest(found, np.float32(-_LOWEST))
    if len(known) == classes:
        return found
    likelihood = np.zeros((classes, features.shape[1]), dtype=np.float32)
    likelihood[list(known)] = found
    return likelihood


def _surest(logits: Floats) -> dict[int, NDArray[np.intp]]:
    """Pixels that show what a class looks like: the surest, of classes with enough."""
    predicted, margin = _predicted(logits), _margin(logits)
    found = {}
    for value in range(len(logits)):
        member = np.flatnonzero(predicted == value)
        if len(member) >= FEWEST:
            own = margin[member]
            least = math.ceil((1 - _SUREST) * (len(own) - 1))
            found[value] = member[own >= np.partition(own, least)[least]]
    return found


def _fitted(
    features: Floats, own: NDArray[np.intp], value: int, known: dict[int, Mixture]
) -> Mixture:
    """Return the mixture of a class, which goes on from what was known of it."""
    sample = features[:, own[:: -(-len(own) // _SAMPLE)]]
    if value in known:
        return known[value].fit(sample, _STEPS // 2)
    components = _COMPONENTS[min(value, len(_COMPONENTS) - 1)]
    return Mixture.divide(sample, components).fit(sample, _STEPS)


def _predicted(logits: Floats) -> NDArray[np.integer]:
    """(pixel,) the class of the greatest of (class, pixel) logits, the first of equal ones."""
    two = len(logits) == 2
    return np.asarray((logits[1] > logits[0]).view(np.uint8) if two else logits.argmax(axis=0))


def _margin(logits: Floats) -> Floats:
    """How far the greatest logit is above the next."""
    if len(logits) == 2:
        return np.asarray(np.abs(logits[1] - logits[0]))
    two = np.partition(logits, len(logits) - 2, axis=0)[-2:]
    return np.asarray(two[1] - two[0])
