"""The shares of the classes on ground without labels, estimated from what is predicted there.

By confusion, and by expectation and maximisation, it is right where only the shares have changed
and not what a class looks like (label shift).
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.learning.relabelling.settings import PriorsMethod
from floodloom.settings import Number, Record

Logits = NDArray[np.floating]

_STEPS = 1000  # of expectation and maximisation, at most
_SETTLED = 1e-7  # change of a share that ends them
_LEAST = 1e-6  # share of a class that has none
_TOLERATED = 0.1  # of the estimated share, by which another may be called
_SEPARATED = 0.05  # least singular value of the rates of confusion: 0 where nothing is separated


def shares_of_labels(label: NDArray[np.integer], classes: int) -> Doubles:
    """Return the share of each class among labels (pixel,), (class,) float64."""
    counts = np.bincount(label, minlength=classes)[:classes]
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)


def em_priors(posterior: Doubles, source: Doubles) -> Doubles:
    """Return the shares with which posteriors, corrected by them, have these shares on average.

    Parameters
    ----------
    posterior
        (pixel, class) float64 calibrated probabilities on the ground without labels.
    source
        (class,) shares of the classes on the ground that they are calibrated on.

    Returns
    -------
    ndarray
        (class,) float64, which sum to 1: the maximum likelihood estimate.

    References
    ----------
    Saerens, Latinne and Decaestecker (2002), Adjusting the outputs of a classifier to new a priori
    probabilities: a simple procedure, Neural Computation 14(1), 21-41, eq. 9. That it is the
    maximum likelihood under label shift: Garg et al. (2020), A unified view of label shift
    estimation, arXiv 2003.07554, section 3.
    """
    ratio = np.asarray(posterior / np.maximum(source, _LEAST), np.float64)
    found = np.maximum(source, _LEAST)
    for _ in range(_STEPS):
        joint = ratio * found
        new = (joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        if np.abs(new - found).max() < _SETTLED:
            return np.asarray(new)
        found = new
    return np.asarray(found)


def confusion_priors(
    predicted: Doubles, held_out: NDArray[np.integer], label: NDArray[np.integer]
) -> Doubles | None:
    """Return the shares that explain what is predicted, given how often classes are confused.

    Parameters
    ----------
    predicted
        (class,) shares of the classes among the predictions of the ground without labels.
    held_out, label
        (pixel,) predicted class and label on held-out ground.

    Returns
    -------
    ndarray or None
        (class,) float64, not below 0, which sum to 1. None where the predictions hardly separate
        the classes, or one has no held-out label, so that nothing follows.

    References
    ----------
    Lipton, Wang and Smola (2018), Detecting and correcting for label shift with black box
    predictors, arXiv 1802.03916, proposition 2 (black box shift estimation). Here the columns are
    conditional on the label, which gives the shares themselves instead of their ratios.
    """
    classes = len(predicted)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (held_out, label), 1)
    if not counts.sum(axis=0).all():
        return None
    rates = counts / counts.sum(axis=0)
    if np.linalg.svd(rates, compute_uv=False)[-1] < _SEPARATED:
        return None
    found = np.maximum(np.linalg.solve(rates, predicted), 0)
    return np.asarray(found / found.sum())


def bias_corrected(logits: Logits, label: NDArray[np.integer]) -> tuple[float, Doubles]:
    """Find the scale and the biases of logits that maximise the likelihood of held-out labels.

    Temperature alone leaves the mean probability of a class apart from its share, which is what
    `em_priors` builds on.

    Parameters
    ----------
    logits
        (pixel, class) of the held-out pixels.
    label
        (pixel,) their classes.

    Returns
    -------
    scale, bias
        Posteriors are the softmax of `scale * logits + bias`; the first bias is 0.

    References
    ----------
    Alexandari, Kundaje and Shrikumar (2020), Maximum likelihood with bias-corrected calibration is
    hard-to-beat at label shift adaptation, arXiv 1901.06852, section 3 (bias-corrected temperature
    scaling).
    """
    precise = np.asarray(logits, np.float64)
    one_hot = np.eye(precise.shape[1])[label]

    def loss(parameters: Doubles) -> tuple[float, Doubles]:
        bias = np.append(0.0, parameters[1:])
        weighed = parameters[0] * precise + bias
        error = scipy.special.softmax(weighed, axis=1) - one_hot
        slope = np.append((error * precise).sum(axis=1).mean(), error.mean(axis=0)[1:])
        likelihood = (scipy.special.log_softmax(weighed, axis=1) * one_hot).sum(axis=1).mean()
        return float(-likelihood), slope

    start = np.append(1.0, np.zeros(precise.shape[1] - 1))
    limits = [(0.05, 20.0)] + [(-10.0, 10.0)] * (precise.shape[1] - 1)
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    return float(found[0]), np.append(0.0, found[1:])


def estimate_priors(
    method: PriorsMethod, target: Logits, held_out: Logits, label: NDArray[np.integer]
) -> Doubles | None:
    """Return the shares of the classes on ground without labels.

    Parameters
    ----------
    method
        `count`: of the predicted classes; `confusion`: that by `confusion_priors`;
        `bias-corrected-em`: by `em_priors` of posteriors that `bias_corrected` calibrates; `none`.
    target
        (pixel, class) logits of that ground.
    held_out, label
        (pixel, class) logits of held-out ground, and (pixel,) its classes.

    Returns
    -------
    ndarray or None
        (class,) float64, which sum to 1; None where nothing follows: without a pixel, or without
        the held-out labels of each class that `confusion` and `bias-corrected-em` need.
    """
    classes = held_out.shape[1]
    if method == "none" or not len(target):
        return None
    predicted = shares_of_labels(target.argmax(axis=1), classes)
    if method == "count":
        return predicted
    if len(np.unique(label)) < classes:
        return None
    if method == "confusion":
        return confusion_priors(predicted, held_out.argmax(axis=1), label)
    scale, bias = bias_corrected(held_out, label)
    posterior = scipy.special.softmax(scale * np.asarray(target, np.float64) + bias, axis=1)
    return em_priors(posterior, shares_of_labels(label, classes))


class EstimatedShare(Record):
    """The share of water on ground without labels, as it is estimated.

    `method` is how; `called` the share that the networks call water there, without any likelihood.
    """

    method: str
    share: Number
    called: Number

    def moves_away(self, before: float, after: float) -> str | None:
        """Return why a share that was called before is better than one that is called after.

        That is where the latter lies farther from the estimate than the former and than a tenth of
        it.
        """
        limit = max(abs(before - self.share), _TOLERATED * self.share)
        if abs(after - self.share) <= limit:
            return None
        return (
            f"water called moved from {before:.2%} to {after:.2%}, away from the estimated "
            f"{self.share:.2%}"
        )
