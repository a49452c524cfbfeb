"""Forests: the trees are scikit-learn's, and textons are comparisons of pixels alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from floodloom.classical.baselines.texton_forest import TextonArguments, grow
from floodloom.classical.forests import Forest
from floodloom.classical.simulated_training import Seen, draw_pixels, training_chips
from floodloom.classical.textons import PixelTests

SIDE = 48


@pytest.mark.parametrize("kind", [ExtraTreesClassifier, RandomForestClassifier])
def test_trees_are_followed_as_scikit_learn_does(kind) -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(800, 5)).astype(np.float32)
    water = features[:, 0] + features[:, 1] ** 2 > 0.5
    forest = kind(12, max_depth=7, min_samples_leaf=3, random_state=0).fit(features, water)
    other = draw.normal(size=(500, 5)).astype(np.float32)
    expected = forest.predict_proba(other)[:, 1]
    np.testing.assert_allclose(Forest.of(forest).follow(other), expected, atol=1e-6)


def picture(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Levels (band, y, x) of a half of water, and where it is."""
    draw = np.random.default_rng(seed)
    water = np.broadcast_to(np.arange(SIDE) < SIDE // 2, (SIDE, SIDE))
    levels = np.where(water, -20, -9) + draw.normal(0, 2, (2, SIDE, SIDE))
    return levels.astype(np.float32), water


def grown() -> tuple[PixelTests, Forest]:
    levels, water = picture()
    chip = (levels, water, np.ones_like(water))
    return grow([chip], TextonArguments(trees=5, depth=5, tests=40, patch=9, pixels=1000))


def test_the_tests_are_those_of_the_paper_by_hand() -> None:
    levels = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, np.nan]]], np.float32)
    places = np.array([[[0, -1, 0], [0, 0, 1]]] * 4 + [[[0, 1, 1], [0, 0, 9]]])
    tests = PixelTests(np.array([0, 1, 2, 3, 2]), places)
    found = tests.values(levels, np.array([1]), np.array([1]))
    np.testing.assert_array_equal(found, [[2, 8, -4, 4, 0]])  # gaps and beyond: as the middle


def test_forests_of_textons_look_at_single_pixels_and_pairs_alone() -> None:
    """What no test of the trees' nodes names can be anything."""
    levels, _ = picture(1)
    tests, forest = grown()
    used = np.unique(forest.feature[forest.feature >= 0])
    places = tests.places[used].reshape(-1, 3)
    before = tests.follow(levels, forest)
    row = col = SIDE // 2
    named = np.zeros(levels.shape, bool)
    named[places[:, 0], row + places[:, 1], col + places[:, 2]] = True
    assert named.sum() < 2 * len(used) + 1
    changed = np.where(named, levels, np.random.default_rng(2).normal(0, 50, levels.shape))
    assert tests.follow(changed.astype(np.float32), forest)[row, col] == before[row, col]
    assert (tests.follow(changed.astype(np.float32), forest) != before).any()


def test_differences_alone_do_not_change_with_an_offset() -> None:
    tests, _ = grown()
    one_band = tests.places.copy()
    one_band[:, 1, 0] = one_band[:, 0, 0]
    rows, cols = np.mgrid[:SIDE, :SIDE].reshape(2, -1)
    levels = np.round(picture()[0] * 64) / 64
    for kind, changes in ((0, True), (1, True), (2, False), (3, False)):
        only = PixelTests(np.full(len(tests.kind), kind), one_band)
        before = only.values(levels, rows, cols)
        after = only.values(levels + np.float32(4), rows, cols)
        assert (after != before).any() == changes


def test_a_forest_follows_a_block_as_it_follows_its_pixels() -> None:
    levels, water = picture(3)
    levels[:, 5, 5:9] = np.nan
    tests, forest = grown()
    rows, cols = np.nonzero(np.isfinite(levels[0]))
    found = tests.follow(levels, forest)
    expected = forest.follow(tests.values(levels, rows, cols))
    np.testing.assert_array_equal(found[rows, cols], expected)
    assert (found[5, 5:9] == 0).all()
    assert ((found >= 0.5) == water).mean() > 0.9


def test_training_chips_are_simulated_and_seen_as_the_scene() -> None:
    seen = Seen(("vv", "vh"), has_power=True, is_filtered=False)
    chips, again = (list(training_chips(seen, 2, 0)) for _ in range(2))
    other = next(training_chips(seen, 1, 1))
    for (levels, water, known), same in zip(chips, again, strict=True):
        np.testing.assert_array_equal(levels, same[0])
        assert levels.shape == (2, 128, 128)
        assert water.shape == known.shape == (128, 128)
        assert np.isfinite(levels[:, known]).all()
    assert not np.array_equal(other[0], chips[0][0])
    display = next(training_chips(Seen(("vv",), has_power=False, is_filtered=True), 1, 0))[0]
    assert np.nanmean(display) == pytest.approx(0, abs=1e-4)
    assert np.nanstd(display) == pytest.approx(1, abs=1e-4)
    assert display.shape == (1, 128, 128)


def test_drawn_pixels_are_known_and_differ() -> None:
    known = picture()[1]
    rows, cols = draw_pixels(known, 100, np.random.default_rng(0))
    assert known[rows, cols].all()
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == 100
