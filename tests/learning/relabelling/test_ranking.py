"""The order of confidences is found exactly, however they come."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.learning.relabelling.ranking import Ranking


def confidences() -> list[np.ndarray]:
    """Of two classes; many are 1, and many more differ in their last bits alone."""
    draw = np.random.default_rng(0)
    sure = 1 - draw.integers(0, 200, 5000).astype(np.float32) * np.float32(2**-24)
    return [draw.permutation(np.r_[sure, draw.uniform(0.5, 1, 3000).astype(np.float32)]), sure]


@pytest.mark.parametrize("parts", [1, 7])
def test_a_cutoff_is_the_confidence_at_its_place(parts: int) -> None:
    whole = confidences()
    some = list(zip(*(np.array_split(one, parts) for one in whole), strict=True))
    ranking = Ranking(lambda: some, 2)
    assert ranking.counts.tolist() == [8000, 5000]
    for value, confidence in enumerate(whole):
        ordered = np.sort(confidence)[::-1]
        for place in (1, 2, 1000, 4444, len(ordered) - 1):
            share = (place + 0.5) / len(ordered)
            assert ranking.cutoff(value, share) == ordered[place - 1]


def test_nothing_and_all_have_no_last_pixel() -> None:
    ranking = Ranking(lambda: [[np.float32([0.7, 0.9]), np.float32([])]], 2)
    assert ranking.cutoff(0, 0.4) == np.inf
    assert ranking.cutoff(0, 1.0) == ranking.cutoff(1, 0.5) == -np.inf
