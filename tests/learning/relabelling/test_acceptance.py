"""When a round is refused, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.learning.relabelling.acceptance import agreement_with, round_refusal


def refusal(prediction, label, agreement=None, *, limited=True):
    counts = (np.bincount(one, minlength=256)[:2] for one in (prediction, label))
    return round_refusal(*counts, agreement, limited=limited)


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
    found = refusal(prediction, label)
    assert found is None if reason is None else found.startswith(reason)


def test_too_many_flips_are_refused():
    assert refusal([0, 1], [0, 1], agreement=0.85) is None
    assert "flipped" in refusal([0, 1], [0, 1], agreement=0.75)


def test_without_limits_only_a_round_without_labels_is_refused():
    assert refusal([0, 0], [0, 0], agreement=0.0, limited=False) is None
    assert refusal([1, 1], [255, 255], limited=False) == "no pixel passed the gate"


def test_agreement_matches_tiles_by_name_and_labelled_pixels_only():
    label = np.array([[[0, 1, 255]], [[1, 1, 1]]], dtype=np.uint8)
    before = np.array([[[0, 0, 0]], [[1, 0, 255]]], dtype=np.uint8)
    # b meets b: 1 = 1 and 1 ≠ 0; a has no partner
    rows, rows_before = label.__getitem__, before.__getitem__
    assert agreement_with(["a", "b"], rows, ["c", "b"], rows_before) == 0.5
    assert agreement_with(["a"], rows, ["c"], rows_before) is None
