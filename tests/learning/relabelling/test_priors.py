"""Shares of classes on ground whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from floodloom.learning.relabelling.priors import (
    EstimatedShare,
    bias_corrected,
    confusion_priors,
    em_priors,
    estimate_priors,
    shares_of_labels,
)

SOURCE = np.array([0.67, 0.33])


def ground(share, pixels=60_000, seed=0, apart=2.0):
    """Logits, calibrated for a third of water, and classes of pixels with a share of water."""
    draw = np.random.default_rng(seed)
    label = (draw.random(pixels) < share).astype(np.int64)
    level = draw.normal(np.where(label == 1, apart / 2, -apart / 2), 1)
    margin = apart * level + np.log(SOURCE[1] / SOURCE[0])  # the exact log-odds of two Gaussians
    return np.stack([np.zeros(pixels), margin], axis=1), label


@pytest.mark.parametrize("method", ["bias-corrected-em", "confusion"])
@pytest.mark.parametrize("share", [0.02, 0.109, 0.33, 0.5, 0.9])
def test_every_method_finds_the_true_share(method, share):
    held_out, label = ground(SOURCE[1], seed=1)
    target, _ = ground(share)
    found = estimate_priors(method, target, held_out, label)
    assert found.sum() == pytest.approx(1)
    assert found[1] == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize("method", ["bias-corrected-em", "confusion"])
def test_a_network_that_calls_too_much_water_everywhere_is_seen_through(method):
    held_out, label = ground(SOURCE[1], seed=1)
    target, truth = ground(0.109)
    worse = np.array([0.0, 1.5])
    found = estimate_priors(method, 0.5 * target + worse, 0.5 * held_out + worse, label)
    assert (target + worse).argmax(axis=1).mean() > 2 * truth.mean()
    assert found[1] == pytest.approx(0.109, abs=0.015)


def test_without_a_bias_corrected_expectation_and_maximisation_goes_astray():
    _, label = ground(SOURCE[1], seed=1)
    target, truth = ground(0.109)
    posterior = softmax(target + np.array([0.0, 1.5]), axis=1)
    assert abs(em_priors(posterior, shares_of_labels(label, 2))[1] - truth.mean()) > 0.05


def test_what_is_called_is_counted():
    logits, _ = ground(0.3)
    found = estimate_priors("count", logits, logits[:0], np.zeros(0, np.int64))
    assert found[1] == pytest.approx((logits[:, 1] > 0).mean())


def test_nothing_follows_without_both_classes_or_where_they_are_confused():
    held_out, label = ground(0.3)
    nothing = np.zeros((0, 2))
    for method in ("count", "confusion", "bias-corrected-em"):
        assert estimate_priors(method, nothing, held_out, label) is None
    assert estimate_priors("confusion", held_out, held_out, np.zeros_like(label)) is None
    assert estimate_priors("none", held_out, held_out, label) is None
    guessed = np.random.default_rng(0).integers(0, 2, len(label))
    assert confusion_priors(np.array([0.5, 0.5]), guessed, label) is None


def test_shares_that_no_confusion_explains_stay_within_their_limits():
    label = np.repeat([0, 1], 100)
    held_out = np.where(np.arange(200) % 10 == 0, 1 - label, label)  # a tenth is wrong
    np.testing.assert_allclose(confusion_priors(np.array([0.95, 0.05]), held_out, label), [1, 0])
    np.testing.assert_allclose(confusion_priors(np.array([0.5, 0.5]), held_out, label), [0.5, 0.5])
    np.testing.assert_allclose(
        confusion_priors(np.array([0.74, 0.26]), held_out, label), [0.8, 0.2]
    )


def test_three_classes_are_no_harder():
    draw = np.random.default_rng(0)
    source, target = np.array([0.5, 0.3, 0.2]), np.array([0.8, 0.05, 0.15])
    label = draw.choice(3, 60_000, p=target)
    places = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    level = places[label] + draw.normal(size=(len(label), 2))
    density = -((level[:, np.newaxis] - places) ** 2).sum(axis=2) / 2
    posterior = softmax(density + np.log(source), axis=1)
    np.testing.assert_allclose(em_priors(posterior, source), target, atol=0.01)


def test_calibration_finds_scale_and_bias_again():
    logits, label = ground(SOURCE[1])
    scale, bias = bias_corrected(2 * logits - np.array([0, 0.7]), label)
    assert scale == pytest.approx(0.5, abs=0.02)
    assert bias == pytest.approx([0, 0.35], abs=0.03)


def test_a_share_that_is_called_may_come_nearer_and_not_go_away():
    estimated = EstimatedShare(method="confusion", share=0.11, called=0.153)
    assert estimated.moves_away(0.153, 0.12) is None
    assert estimated.moves_away(0.153, 0.07) is None
    assert estimated.moves_away(0.11, 0.12) is None  # by less than a tenth
    reason = "water called moved from 15.30% to 23.60%, away from the estimated 11.00%"
    assert estimated.moves_away(0.153, 0.236) == reason
    assert estimated.moves_away(0.153, 0.05)
    assert EstimatedShare(method="count", share=0.153, called=0.153).moves_away(0.153, 0.236)
