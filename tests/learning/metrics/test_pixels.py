"""Metrics against scikit-learn and torchmetrics, and their own identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle
from torchmetrics.functional.classification import binary_calibration_error

from floodloom.learning.metrics.pixels import Counts, confusion_matrix, counts_of, foreground_scores
from floodloom.learning.metrics.reliability import reliability


@pytest.fixture
def pixels():
    draw = np.random.default_rng(0)
    return draw.integers(0, 3, (4, 20, 20)), draw.integers(0, 3, (4, 20, 20))


def test_confusion_matrix_is_that_of_scikit_learn(pixels):
    prediction, label = pixels
    expected = oracle.confusion_matrix(label.ravel(), prediction.ravel())
    np.testing.assert_array_equal(confusion_matrix(prediction, label, 3), expected)


def test_scores_are_those_of_scikit_learn(pixels):
    prediction, label = pixels
    matrix = confusion_matrix(prediction, label, 3)
    for value in range(3):
        counts = counts_of(matrix, value)
        truth, guess = label.ravel() == value, prediction.ravel() == value
        assert counts.iou == pytest.approx(oracle.jaccard_score(truth, guess))
        assert counts.f1 == pytest.approx(oracle.f1_score(truth, guess))
        assert counts.precision == pytest.approx(oracle.precision_score(truth, guess))
        assert counts.recall == pytest.approx(oracle.recall_score(truth, guess))
        assert counts.tp + counts.fp + counts.fn + counts.tn == label.size


def test_parts_add_up_and_ignored_pixels_do_not_count(pixels):
    prediction, label = pixels
    label = label.copy()
    label[:, :5] = 255
    parts = sum(confusion_matrix(p, t, 3) for p, t in zip(prediction, label, strict=True))
    np.testing.assert_array_equal(parts, confusion_matrix(prediction, label, 3))
    assert parts.sum() == (label != 255).sum()


def test_pooled_scores_are_not_means_of_chips():
    label = np.array([[1, 1, 1, 1], [1, 0, 0, 0]])
    prediction = np.array([[1, 1, 1, 1], [0, 1, 0, 0]])
    pooled = foreground_scores(confusion_matrix(prediction, label, 2))["iou"]
    chips = [
        foreground_scores(confusion_matrix(p, t, 2))["iou"]
        for p, t in zip(prediction, label, strict=True)
    ]
    assert pooled == pytest.approx(4 / 6)
    assert np.mean(chips) == pytest.approx(0.5)


def test_nothing_to_find_scores_zero_and_never_nan():
    assert Counts(tn=9).scores()["iou"] == 0.0
    assert Counts().scores()["iou"] is None


def test_calibration_error_is_that_of_torchmetrics():
    draw = np.random.default_rng(1)
    probability = draw.random(5000).astype(np.float32)
    truth = draw.random(5000) < probability**2
    expected = binary_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(truth.astype(int)), n_bins=15
    )
    ours = reliability(probability, truth, bins=15).expected_calibration_error
    assert ours == pytest.approx(float(expected), abs=1e-5)
    assert ours > 0.1


def test_an_honest_classifier_has_no_calibration_error():
    draw = np.random.default_rng(2)
    confidence = 0.5 + 0.5 * draw.random(200_000)
    correct = draw.random(200_000) < confidence
    assert reliability(confidence, correct).expected_calibration_error < 0.01


def test_full_confidence_falls_into_the_last_bin():
    result = reliability(np.array([1.0]), np.array([True]))
    assert result.count[-1] == 1
    assert result.as_dict()["accuracy"][0] is None
