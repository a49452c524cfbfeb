"""Label shift on OMBRIA's events as a classifier of pixels meets it, in seconds.

Its logits are linear in the two images, their means over two neighbourhoods, squares and one
product, on chips of a quarter of the size. Weaker than a network, it shows what estimates of the
target's share of water and the local likelihood are worth on real events without training one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.special import expit, softmax

from benchmarks.relabel_protocols import Floats, ombria_by_share
from floodloom.learning.relabelling import local_likelihood as likelihood
from floodloom.learning.relabelling.priors import em_priors, estimate_priors, shares_of_labels

SHRINK = 4
_NEIGHBOURHOODS = (1, 3)  # px, standard deviations
_PER_TILE = 100  # pixels of a tile that are learnt from, or that show the shares
_HELD_OUT = 0.3  # of the labelled tiles, in whole events
_WEIGHTS = (0.25, 1.0)
SPLITS = ("few", "much", "half")
"""Events of little flood are the target, the others are, or half of all, drawn at random."""


@dataclass(frozen=True)
class PixelClassifier:
    """Log-odds of flood, linear in the features of a pixel, (feature + 1,) float64."""

    weights: NDArray[np.float64]

    @classmethod
    def fit(cls, features: Floats, flood: NDArray[np.bool_]) -> PixelClassifier:
        """Fit to (feature, pixel) features by logistic regression, slightly regularised."""
        level, spread = features.mean(axis=1), features.std(axis=1) + 1e-6
        known = np.append((features.T - level) / spread, np.ones((len(flood), 1)), axis=1)

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            odds = known @ weights
            value = np.logaddexp(0, np.where(flood, -odds, odds)).mean() + 1e-4 * weights @ weights
            return float(value), known.T @ (expit(odds) - flood) / len(flood) + 2e-4 * weights

        found = minimize(loss, np.zeros(known.shape[1]), jac=True, method="L-BFGS-B").x
        scaled = found[:-1] / spread
        return cls(np.append(scaled, found[-1] - scaled @ level))

    def margin(self, features: Floats) -> Floats:
        """Return the log-odds of (feature, ...) features, float32."""
        odds = np.tensordot(self.weights[:-1], features, 1) + self.weights[-1]
        return np.asarray(odds, np.float32)


def features_of(image: Floats) -> Floats:
    """Return the features (feature, y, x) of two images (band, y, x)."""
    means = [image, *(gaussian_filter(image, (0, size, size)) for size in _NEIGHBOURHOODS)]
    linear = np.concatenate(means)
    return np.concatenate([linear, linear**2, image[:1] * image[1:]]).astype(np.float32)


def pixel_figures(root: Path, split: str, seed: int) -> dict[str, Any]:
    """Return estimated shares, and IoU with and without likelihoods, on the target's events."""
    tiles, few = ombria_by_share(root, SHRINK)
    event = tiles["event"].values
    draw = np.random.default_rng(seed)
    labelled = {"few": ~few, "much": few}.get(split)
    if labelled is None:
        names = draw.permutation(np.unique(event))
        labelled = np.isin(event, names[: len(names) // 2])
    order = draw.permutation(np.unique(event[labelled]))
    sizes = np.cumsum([(event == name).sum() for name in order])
    held = labelled & np.isin(event, order[: 1 + np.searchsorted(sizes, _HELD_OUT * sizes[-1])])
    images, label = tiles["image"].values, tiles["label"].values == 1
    features = np.stack([features_of(image) for image in images])

    def drawn(which: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        place = draw.integers(0, label[0].size, (int(which.sum()), _PER_TILE))
        flat = features[which].reshape(int(which.sum()), features.shape[1], -1)
        seen = np.take_along_axis(flat, place[:, np.newaxis], axis=2)
        truth = np.take_along_axis(label[which].reshape(len(place), -1), place, axis=1)
        return seen.transpose(1, 0, 2).reshape(features.shape[1], -1), truth.ravel()

    classifier = PixelClassifier.fit(*drawn(labelled & ~held))
    known, target = drawn(held), drawn(~labelled)
    return {
        "tiles": int((~labelled).sum()),
        "true": round(float(label[~labelled].mean()), 4),
        "labelled": round(float(label[labelled].mean()), 4),
        **_shares(_two(classifier, known[0]), known[1], _two(classifier, target[0]), target[1]),
        "likelihood": _likelihoods(
            classifier, images[~labelled], features[~labelled], label[~labelled]
        ),
    }


def _two(classifier: PixelClassifier, features: Floats) -> Floats:
    margin = classifier.margin(features)
    return np.stack([np.zeros_like(margin), margin], axis=1)


def _shares(
    known: Floats, label: NDArray[np.bool_], target: Floats, truth: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return the estimated shares, and the IoU of posteriors corrected by each, and by the true."""
    numbers = label.astype(np.int64)
    shares: dict[str, float] = {}
    for method in ("count", "confusion", "bias-corrected-em"):
        found = estimate_priors(method, target, known, numbers)
        if found is not None:
            shares[method] = float(found[1])
    posterior = softmax(target.astype(np.float64), axis=1)
    shares["em"] = float(em_priors(posterior, shares_of_labels(numbers, 2))[1])
    margin = target[:, 1].astype(np.float64)
    corrected = {name: _corrected(margin, share) for name, share in shares.items()}
    corrected["true"] = _corrected(margin, float(truth.mean()))
    return {
        "shares": {name: round(share, 4) for name, share in shares.items()},
        "uncorrected_iou": _iou(margin > 0, truth),
        "corrected_iou": {name: _iou(odds > 0, truth) for name, odds in corrected.items()},
    }


def _corrected(margin: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return log-odds whose probabilities are a share on average (Saerens et al. 2002, eq. 4)."""
    low, high = -10.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(margin + middle).mean() < share else (low, middle)
    return margin + low


def _iou(called: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return round(float((called & truth).sum() / max(int((called | truth).sum()), 1)), 4)


def _likelihoods(
    classifier: PixelClassifier, images: Floats, features: Floats, label: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    """Return IoU and share called, by weight, with the likelihood everywhere or where it may be."""
    margins = np.stack([classifier.margin(one) for one in features])
    logits = np.stack([np.zeros_like(margins), margins], axis=1)
    valid = np.ones(label.shape, dtype=np.bool_)
    tested = likelihood.holds_two_classes
    found = {"0": margins > 0}
    for name, test in (("everywhere", lambda *_: True), ("bimodal", tested)):
        likelihood.holds_two_classes = test
        ratio = np.diff(likelihood.local_likelihood(images, valid, logits), axis=1)[:, 0]
        found |= {f"{weight:g} {name}": margins + weight * ratio > 0 for weight in _WEIGHTS}
    likelihood.holds_two_classes = tested
    return {
        name: {"iou": _iou(called, label), "called": round(float(called.mean()), 4)}
        for name, called in found.items()
    }
