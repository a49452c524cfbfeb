"""The predicate of split and merge, recomputed from the pixels of its regions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from floodloom.classical.region_sums import RegionSums, neighbours
from floodloom.classical.split_and_merge import RANGE, split, split_and_merge

SLACK = 1e-9


def picture(seed: int) -> np.ndarray:
    """Levels (band, y, x) of smooth patches with noise and gaps, of an odd shape."""
    draw = np.random.default_rng(seed)
    patches = gaussian_filter(draw.normal(size=(70, 83)), 5) > 0
    levels = np.stack([np.where(patches, -18, -9), np.where(patches, -25, -15)])
    levels = levels + draw.normal(0, 1.0, levels.shape)
    levels[:, draw.random(patches.shape) < 0.02] = np.nan
    levels[:, :9, 30:50] = np.nan
    return levels.astype(np.float32)


def holds(pixels: np.ndarray, squares: np.ndarray, levels: np.ndarray, deviation: float) -> bool:
    """Whether pixels (y, x) bool are homogeneous, from their levels and those of their squares."""
    for one in levels.astype(np.float64):
        means = [one[pixels & (squares == square)].mean() for square in np.unique(squares[pixels])]
        if one[pixels].std() > deviation + SLACK or np.ptp(means) > RANGE * deviation + SLACK:
            return False
    return True


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("deviation", "largest"), [(1.5, 16), (2.5, 64), (0.8, 8)])
def test_the_predicate_holds_in_every_region_and_in_no_union_of_neighbours(
    seed: int, deviation: float, largest: int
) -> None:
    levels = picture(seed)
    squares, labels = split(levels, deviation, largest), split_and_merge(levels, deviation, largest)
    np.testing.assert_array_equal(labels < 0, np.isnan(levels[0]))
    regions = np.arange(labels.max() + 1)
    assert set(np.unique(labels[labels >= 0])) == set(regions)
    for region in regions[:: max(len(regions) // 60, 1)]:
        assert holds(labels == region, squares, levels, deviation)
    edges, _ = neighbours(labels)
    assert len(edges)
    for one, other in edges[:: max(len(edges) // 150, 1)]:
        union = (labels == one) | (labels == other)
        assert not holds(union, squares, levels, deviation - 2 * SLACK)


def test_squares_are_the_largest_homogeneous_ones() -> None:
    levels = np.zeros((1, 16, 16), np.float32)
    levels[0, 0, 0] = 10
    found = split(levels, 0.5, 8)
    sizes = sorted(np.bincount(found.ravel()).tolist())
    assert sizes == [1, 1, 1, 1, 4, 4, 4, 16, 16, 16, 64, 64, 64]
    assert split_and_merge(levels, 0.5, 8).max() == 1


def test_regions_are_counted_and_touch_by_hand() -> None:
    labels = np.array([[0, 0, 1], [2, -1, 1]], np.int32)
    edges, lengths = neighbours(labels)
    assert edges.tolist() == [[0, 1], [0, 2]]
    assert lengths.tolist() == [1, 1]
    sums = RegionSums.of(labels, np.array([[[1, 3, 5], [7, np.nan, 9]]], np.float32))
    np.testing.assert_allclose(sums.count, [2, 2, 1])
    np.testing.assert_allclose(sums.means[:, 0], [2, 7, 7])
    np.testing.assert_allclose(sums.deviations[:, 0], [1, 2, 0])
