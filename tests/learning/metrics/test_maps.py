"""Scores of maps, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.learning.metrics.pixels import Counts, PairScores, score_map, score_probability


def uint8(*values: int) -> np.ndarray:
    return np.array([values], "uint8")


def test_scores_by_hand() -> None:
    classes = uint8(2, 2, 2, 0, 1, 3, 255, 2, 1, 0)
    truth = uint8(2, 2, 0, 2, 1, 2, 2, 255, 2, 0)
    scores = score_map(classes, truth)
    assert scores.flood == Counts(tp=2, fp=1, fn=3, tn=2)
    assert scores.water == Counts(tp=4, fp=1, fn=2, tn=1)
    assert (scores.known, scores.excluded, scores.nodata) == (9, 1, 1)
    assert scores + PairScores() == scores
    assert (scores + scores).flood == Counts(tp=4, fp=2, fn=6, tn=4)
    assert (scores + scores).as_dict()["undecided"] == scores.as_dict()["undecided"]
    assert Counts(tn=3).scores()["iou"] == 0.0
    assert Counts().scores()["iou"] is None
    assert scores.as_dict()["permanent_water"] == {"pixels": 1, "called_flood": 0.0}
    assert PairScores().as_dict()["permanent_water"] == {"pixels": 0, "called_flood": None}
    lake = score_map(uint8(2, 1, 3, 0, 255, 2), uint8(1, 1, 1, 1, 1, 2))
    assert lake.as_dict()["permanent_water"] == {"pixels": 4, "called_flood": 0.25}
    flood = scores.flood.scores()
    assert flood["iou"] == pytest.approx(2 / 6)
    assert flood["f1"] == pytest.approx(4 / 8)
    assert flood["precision"] == pytest.approx(2 / 3)
    assert flood["recall"] == pytest.approx(2 / 5)


def test_probability_scores_by_hand() -> None:
    percent = uint8(80, 50, 49, 90, 10, 255, 60)
    scores = score_probability(percent, uint8(2, 0, 2, 1, 1, 2, 255), separate=True)
    assert scores.water == Counts(tp=2, fp=1, fn=2, tn=0)
    assert scores.flood == Counts(tp=1, fp=1, fn=1, tn=0)
    assert (scores.known, scores.nodata) == (6, 1)
    binary = score_probability(percent, uint8(1, 0, 1, 1, 0, 1, 255), separate=False)
    assert binary.flood == binary.water == Counts(tp=2, fp=1, fn=1, tn=1)
