"""Superpixels cover what has data, and each is connected."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.ndimage import label

from floodloom.classical.baselines.compact_watershed import segment_watershed
from floodloom.classical.baselines.felzenszwalb import segment_felzenszwalb
from floodloom.classical.baselines.quickshift import segment_quickshift
from floodloom.classical.baselines.slic import segment_slic
from floodloom.classical.region_classes import region_odds
from floodloom.classical.superpixels import superpixels
from floodloom.classical.thresholds import WaterOdds
from floodloom.classical.two_classes import LogOdds

SEGMENTS = {
    "compact-watershed": partial(segment_watershed, size=8, compactness=1e-3),
    "felzenszwalb": partial(segment_felzenszwalb, scale=50, sigma=0.8, minimum=16),
    "quickshift": partial(segment_quickshift, kernel=2, reach=8, ratio=30),
    "slic": partial(segment_slic, size=8, compactness=0.1),
}


def levels() -> np.ndarray:
    """Decibel (band, y, x) of two halves with speckle and a gap."""
    draw = np.random.default_rng(0)
    found = np.where(np.arange(90) < 40, -20.0, -9.0) + draw.normal(0, 1, (2, 80, 90))
    found[:, 20:35, 50:75] = np.nan
    return found.astype(np.float32)


@pytest.mark.parametrize("name", SEGMENTS)
@pytest.mark.parametrize("bands", [1, 2])
def test_superpixels_cover_the_image_and_are_connected(name: str, bands: int) -> None:
    one = levels()[:bands]
    found = superpixels(one, SEGMENTS[name], has_power=True)
    np.testing.assert_array_equal(found < 0, np.isnan(one[0]))
    names = np.unique(found[found >= 0])
    np.testing.assert_array_equal(names, np.arange(len(names)))
    assert 4 < len(names) < 2500
    for number in names:
        assert label(found == number)[1] == 1


@pytest.mark.parametrize("name", SEGMENTS)
def test_superpixels_follow_the_shore(name: str) -> None:
    """Hardly any pixel lies in a superpixel of which most is on the other side."""
    one = levels()
    found = superpixels(one, SEGMENTS[name], has_power=True)
    water = np.broadcast_to(np.arange(90) < 40, found.shape)
    known = found >= 0
    wet = np.bincount(found[known], water[known]) / np.bincount(found[known])
    assert ((wet[found[known]] >= 0.5) != water[known]).mean() < 0.02


def test_a_block_without_data_has_no_superpixels() -> None:
    empty = np.full((2, 9, 9), np.nan, np.float32)
    assert (superpixels(empty, SEGMENTS["slic"], has_power=True) == -1).all()


def test_a_region_is_what_its_mean_level_says() -> None:
    odds = LogOdds(-15.0, np.array([-20.0, -15.0, -10.0]), np.array([5.0, 0.0, -5.0]))
    labels = np.array([[0, 0, 1, -1]], np.int32)
    values = np.array([[[-22.0, -16.0, -11.0, np.nan]]], np.float32)
    found = region_odds(labels, values, ["vv"], WaterOdds({"vv": odds}, "dB"))
    np.testing.assert_allclose(found, [4.0, -4.0])
