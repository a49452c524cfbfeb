"""Gates, quotas and guards worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.errors import ConfigError
from floodloom.learning.relabelling.audit import confidence_histogram, kept_area
from floodloom.learning.relabelling.gates import (
    Limits,
    agreement_with,
    gate_images,
    gate_pixels,
    gate_tiles,
    per_class,
    refusal,
)
from floodloom.learning.relabelling.round import Gate

NAN = np.nan
CONFIDENCE = np.array([[[0.99, 0.96, 0.90], [0.97, 0.80, NAN]]], dtype=np.float32)
PREDICTION = np.array([[[0, 0, 0], [1, 1, 1]]], dtype=np.uint8)


def gated(thresholds, quotas):
    return gate_pixels(CONFIDENCE, PREDICTION, thresholds, quotas)[0].tolist()


def test_thresholds_by_class():
    assert gated((0.95, 0.95), (1, 1)) == [[0, 0, 255], [1, 255, 255]]
    assert gated((0.95, 0.75), (1, 1)) == [[0, 0, 255], [1, 1, 255]]


def test_quotas_keep_the_surest_of_each_class():
    assert gated((0.5, 0.5), (2 / 3, 0.5)) == [[0, 0, 255], [1, 255, 255]]
    assert gated((0.5, 0.5), (0.34, 0.0)) == [[0, 255, 255], [255, 255, 255]]


def test_ties_at_the_quota_are_kept():
    confidence = np.ones((1, 1, 4), dtype=np.float32)
    label = gate_pixels(confidence, np.zeros((1, 1, 4), np.uint8), (0.9, 0.9), (0.25, 1))
    assert (label == 0).all()


def test_a_portion_of_each_class_is_kept_below_the_threshold():
    label = gate_pixels(CONFIDENCE, PREDICTION, (0.995, 0.995), (1, 1), (2 / 3, 0.5))
    assert label[0].tolist() == [[0, 0, 255], [1, 255, 255]]
    capped = gate_pixels(CONFIDENCE, PREDICTION, (0.995, 0.995), (1 / 3, 1), (2 / 3, 0.0))
    assert capped[0].tolist() == [[0, 255, 255], [255, 255, 255]]


def test_tiles_known_as_a_whole():
    confidence = np.full((3, 1, 2), 0.6, np.float32)
    confidence[0, 0, 0] = NAN
    prediction = np.array([[[1, 1]], [[0, 1]], [[1, 1]]], np.uint8)
    known = np.array([0, 1, 255], np.uint8)
    first = gate_images(confidence, prediction, known, first=True)
    assert first.tolist() == [[[255, 0]], [[1, 1]], [[255, 255]]]
    later = gate_images(confidence, prediction, known, first=False)
    assert later.tolist() == [[[255, 0]], [[0, 1]], [[255, 255]]]


def test_gates_by_name():
    arguments = CONFIDENCE, PREDICTION, 2
    assert (Gate("none")(*arguments) == 255).all()
    np.testing.assert_array_equal(
        Gate("pixel", (0.95,), (1.0,))(*arguments)[0], gated((0.95, 0.95), (1, 1))
    )
    with pytest.raises(ConfigError, match="the tiles have no label as a whole"):
        Gate("image-level")(*arguments)
    with pytest.raises(ConfigError, match="gate 'all': choose"):
        Gate("all")(*arguments)


def test_tile_gate_keeps_whole_tiles_only():
    confidence = np.full((3, 4, 5), 0.99, dtype=np.float32)
    confidence[1, 0, :2] = 0.5  # 18 of 20 pixels are sure: not more than 90 %
    confidence[2, 0, 0] = 0.5
    confidence[2, 3] = NAN  # 14 of 15
    label = gate_tiles(confidence, np.ones((3, 4, 5), np.uint8))
    assert (label[0] == 1).all()
    assert (label[1] == 255).all()
    assert (label[2, :3] == 1).all()
    assert (label[2, 3] == 255).all()


def test_numbers_per_class():
    assert per_class((0.9,), 3, "thresholds") == (0.9, 0.9, 0.9)
    assert per_class((0.9, 0.8), 2, "thresholds") == (0.9, 0.8)
    with pytest.raises(ConfigError, match="quotas: 3 values for 2 classes"):
        per_class((1, 1, 1), 2, "quotas")


def judged(prediction, label, agreement=None, **limits):
    prediction = np.array([[prediction]], dtype=np.uint8)
    label = np.array([[label]], dtype=np.uint8)
    confidence = np.ones(prediction.shape, dtype=np.float32)
    return refusal(prediction, confidence, label, agreement, Limits(**limits))


@pytest.mark.parametrize(
    ("prediction", "label", "reason"),
    [
        ([0, 0, 1, 1], [0, 255, 1, 255], None),
        ([0, 0, 0, 0], [0, 0, 0, 0], "water is 0.00% of the predictions"),
        ([1, 1, 1, 1], [1, 1, 1, 1], "water is 100.00% of the predictions"),
        ([0, 0, 1, 1], [0, 0, 255, 255], "water is 0.00% of the pseudo labels"),
        ([0, 0, 1, 1], [255, 255, 255, 255], "no pixel passed the gate"),
    ],
)
def test_water_must_keep_to_its_band(prediction, label, reason):
    found = judged(prediction, label)
    assert found is None if reason is None else found.startswith(reason)


def test_too_many_flips_are_refused():
    assert judged([0, 1], [0, 1], agreement=0.85, flips=0.2) is None
    assert "flipped" in judged([0, 1], [0, 1], agreement=0.75, flips=0.2)


def test_agreement_matches_tiles_by_name_and_labelled_pixels_only():
    label = np.array([[[0, 1, 255]], [[1, 1, 1]]], dtype=np.uint8)
    before = np.array([[[0, 0, 0]], [[1, 0, 255]]], dtype=np.uint8)
    # b meets b: 1 = 1 and 1 ≠ 0; a has no partner
    assert agreement_with(["a", "b"], label, ["c", "b"], before) == 0.5
    assert agreement_with(["a"], label[:1], ["c"], before[:1]) is None


def test_areas_and_histogram_count_every_pixel():
    areas = kept_area(np.array([[[0, 0, 1, 255]]], np.uint8), ["dry", "water"], 10.0)
    assert areas["dry"] == {"pixels": 2, "share": 0.5, "km2": pytest.approx(2e-4)}
    assert "km2" not in kept_area(np.zeros((1, 1, 1), np.uint8), ["dry"], None)["dry"]
    histogram = confidence_histogram(CONFIDENCE, PREDICTION, ["dry", "water"])
    assert sum(histogram["dry"]) == 3
    assert sum(histogram["water"]) == 2
