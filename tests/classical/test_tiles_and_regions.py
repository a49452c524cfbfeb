"""Histograms by tiles, their splitting, and growing regions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from floodloom.classical.histograms import TILE, Bins, Scale, TileCounts, count_tiles
from floodloom.classical.regions import keep_grown
from floodloom.classical.tiles import bimodal_tiles, hierarchical_split

SCALE = Scale(Bins(-40.0, 0.25, 200), -15.0)


def counted(levels: np.ndarray) -> TileCounts:
    strips = ((row, levels[row : row + 128]) for row in range(0, len(levels), 128))
    return count_tiles(strips, levels.shape, SCALE)


def test_every_pixel_with_data_is_counted_in_its_tile() -> None:
    draw = np.random.default_rng(0)
    levels = draw.normal(-12, 3, (300, 201)).astype(np.float32)
    levels[draw.random(levels.shape) < 0.1] = np.nan
    levels[5, 5], levels[6, 6] = -1000, 1000
    tiles = counted(levels)
    assert tiles.counts.shape == (5, 4, 200)
    for row in range(5):
        for col in range(4):
            part = levels[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
            edges = -40 + 0.25 * np.arange(201)
            known = np.clip(part[np.isfinite(part)], -40, 9.99)
            np.testing.assert_array_equal(tiles.counts[row, col], np.histogram(known, edges)[0])
    np.testing.assert_array_equal(tiles.merged(2).whole, tiles.whole)
    assert tiles.merged(2).counts.shape == (3, 2, 200)


def test_the_split_stops_where_a_tile_is_bimodal() -> None:
    """A lake in one corner of eight by eight tiles: nothing above its own tile is bimodal."""
    levels = np.random.default_rng(1).normal(-9, 1, (512, 512)).astype(np.float32)
    levels[:40, :40] = np.random.default_rng(2).normal(-20, 1, (40, 40))
    counts, chosen = hierarchical_split(counted(levels))
    assert chosen == 1
    whole = counted(levels)
    assert not bimodal_tiles(whole.merged(8)).any()
    # 40 x 40 px of 128 x 128 are 9.8 percent, of 64 x 64 they are 39
    np.testing.assert_array_equal(counts, whole.counts[0, 0])


def test_a_bimodal_scene_is_not_split() -> None:
    levels = np.random.default_rng(1).normal(-9, 1, (512, 512)).astype(np.float32)
    levels[:, :200] -= 11
    counts, chosen = hierarchical_split(counted(levels))
    assert chosen == 1
    assert counts.sum() == levels.size


@pytest.mark.parametrize("seed", range(5))
def test_growing_keeps_what_touches_a_seed(seed: int) -> None:
    draw = np.random.default_rng(seed)
    percent = draw.choice([0, 30, 55, 80, 96, 255], (90, 70), p=[0.3, 0.2, 0.2, 0.2, 0.01, 0.09])
    percent = percent.astype(np.uint8)
    water = (percent >= 50) & (percent != 255)
    patches, _ = label(water, np.ones((3, 3)))
    seeded = np.unique(patches[(percent >= 95) & (percent != 255)])
    expected = np.where(water & ~np.isin(patches, seeded), 49, percent)
    keep_grown(percent)
    np.testing.assert_array_equal(percent, expected)


def test_a_large_region_is_followed_to_its_end() -> None:
    percent = np.full((600, 600), 60, np.uint8)
    percent[599, 599] = 99
    keep_grown(percent)
    assert (percent >= 60).all()
