"""Gates worked out by hand, and one from outside."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.errors import ConfigError
from floodloom.learning.relabelling.gate import Predictions
from floodloom.learning.relabelling.gates import GATES
from floodloom.learning.relabelling.gates.pixel import expand_to_classes
from floodloom.learning.relabelling.settings import GateSettings, RelabelSettings

NAN = np.nan
CONFIDENCE = np.array([[[0.99, 0.96, 0.90], [0.97, 0.80, NAN]]], dtype=np.float32)
PREDICTION = np.array([[[0, 0, 0], [1, 1, 1]]], dtype=np.uint8)


def select(
    gate,
    confidence=CONFIDENCE,
    prediction=PREDICTION,
    *,
    of_tile=None,
    first=True,
    shares=None,
    **settings,
):
    predictions = Predictions(confidence, prediction, 2, of_tile, first, shares)
    return GATES.load(gate).select(predictions, GateSettings(gate=gate, **settings))


def gated(thresholds, portions=(0.0,), shares=None):
    found = select("pixel", thresholds=thresholds, portions=portions, shares=shares)
    return found[0].tolist()


def test_thresholds_by_class():
    assert gated((0.95, 0.95)) == [[0, 0, 255], [1, 255, 255]]
    assert gated((0.95, 0.75)) == [[0, 0, 255], [1, 1, 255]]
    assert gated((0.95,)) == gated((0.95, 0.95))


def test_no_class_has_more_labels_than_its_estimated_share_of_all_pixels():
    # of five pixels with data, two are predicted as water
    assert gated((0.5,), shares=(0.8, 0.2)) == [[0, 0, 0], [1, 255, 255]]
    assert gated((0.5,), shares=(0.4, 0.6)) == [[0, 0, 255], [1, 1, 255]]
    assert gated((0.5,), (1.0,), shares=(0.2, 0.0)) == [[0, 255, 255], [255, 255, 255]]


def test_ties_at_the_quota_are_kept():
    alike = np.ones((1, 1, 4), dtype=np.float32), np.zeros((1, 1, 4), np.uint8)
    label = select("pixel", *alike, thresholds=(0.9,), portions=(0.0,), shares=(0.25, 0.75))
    assert (label == 0).all()


def test_a_portion_of_each_class_is_kept_below_the_threshold():
    assert gated((0.995,), (2 / 3, 0.5)) == [[0, 0, 255], [1, 255, 255]]
    assert gated((0.995,), (2 / 3, 0.0)) == [[0, 0, 255], [255, 255, 255]]


def test_tiles_known_as_a_whole():
    confidence = np.full((3, 1, 2), 0.6, np.float32)
    confidence[0, 0, 0] = NAN
    prediction = np.array([[[1, 1]], [[0, 1]], [[1, 1]]], np.uint8)
    known = np.array([0, 1, 255], np.uint8)
    first = select("image-level", confidence, prediction, of_tile=known)
    assert first.tolist() == [[[255, 0]], [[1, 1]], [[255, 255]]]
    later = select("image-level", confidence, prediction, of_tile=known, first=False)
    assert later.tolist() == [[[255, 0]], [[0, 1]], [[255, 255]]]
    with pytest.raises(ConfigError, match="the tiles have no label as a whole"):
        select("image-level", confidence, prediction, of_tile=None)


def test_the_gate_without_labels_leaves_them_to_consistency():
    assert (select("none") == 255).all()
    assert [name for name in GATES.names if GATES.load(name).by_consistency] == ["none"]


def test_unknown_gates_are_refused():
    with pytest.raises(ConfigError, match="gate 'all': unknown; choose one of image-level, none"):
        GATES.load("all")


def test_every_gate_can_be_chosen():
    assert [RelabelSettings(gate=name).gate for name in GATES.names] == list(GATES.names)


def test_tile_gate_keeps_whole_tiles_only():
    confidence = np.full((3, 4, 5), 0.99, dtype=np.float32)
    confidence[1, 0, :2] = 0.5  # 18 of 20 pixels are sure: not more than 90 %
    confidence[2, 0, 0] = 0.5
    confidence[2, 3] = NAN  # 14 of 15
    label = select("paul-ganju", confidence, np.ones((3, 4, 5), np.uint8))
    assert (label[0] == 1).all()
    assert (label[1] == 255).all()
    assert (label[2, :3] == 1).all()
    assert (label[2, 3] == 255).all()


def test_numbers_per_class():
    assert expand_to_classes((0.9,), 3, "thresholds") == (0.9, 0.9, 0.9)
    assert expand_to_classes((0.9, 0.8), 2, "thresholds") == (0.9, 0.8)
    with pytest.raises(ConfigError, match="portions: 3 values for 2 classes"):
        expand_to_classes((1, 1, 1), 2, "portions")
