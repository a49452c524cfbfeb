"""What an audit holds is counted, and read as it was written."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.learning.relabelling.audit import (
    KeptArea,
    confidence_histogram,
    kept_area,
)
from floodloom.learning.relabelling.gate import Predictions
from floodloom.learning.relabelling.held_out import scores_by_event

CONFIDENCE = np.array([[[0.99, 0.96, 0.90], [0.97, 0.80, np.nan]]], dtype=np.float32)
PREDICTION = np.array([[[0, 0, 0], [1, 1, 1]]], dtype=np.uint8)


def test_areas_and_histogram_count_every_pixel():
    areas = kept_area(np.array([2, 1]), 4, ["dry", "water"], 10.0)
    assert areas["dry"] == KeptArea(pixels=2, share=0.5, km2=2e-4)
    assert kept_area(np.array([1]), 1, ["dry"], None)["dry"].km2 is None
    histogram = confidence_histogram([Predictions(CONFIDENCE, PREDICTION, 2)], ["dry", "water"])
    assert sum(histogram["dry"]) == 3
    assert sum(histogram["water"]) == 2


def test_scores_by_event_add_up(make_tiles):
    tiles = make_tiles(4)
    tiles = tiles.assign_coords(event=("tile", np.array(["a", "a", "b", "b"])))

    def predict(image):
        shape = image[:, 0].shape
        return np.full(shape, 0.9, np.float32), np.ones(shape, np.uint8)

    found = scores_by_event(tiles, predict, 2)
    water = float((tiles.label == 1).mean())
    assert found.pooled.iou == pytest.approx(water)
    assert set(found.by_event) == {"a", "b"}
    assert found.by_event["a"].tiles == 2
    assert found.pooled.expected_calibration_error == pytest.approx(abs(0.9 - water), abs=1e-6)
