from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import shift as moved

from floodloom.sentinel2.pair import estimate_shift


@pytest.mark.parametrize("off", [(0, 0), (3, -2), (-1.5, 2.5), (0, 50)])
def test_a_shift_is_found_to_a_third_of_a_pixel(make_place, off):
    place = make_place(side=256)
    optical = np.stack([moved(band, off, order=1, mode="wrap") for band in place.reflectance])
    found = estimate_shift(place.radar, optical)
    assert found.sure
    assert found.down == pytest.approx(-off[0], abs=0.34)
    assert found.right == pytest.approx(-off[1], abs=0.34)


def test_clouds_hardly_matter(make_place):
    place = make_place(side=256)
    optical = np.roll(place.reflectance, (2, 1), axis=(1, 2))
    optical[:, 60:140, 90:200] = np.nan
    found = estimate_shift(place.radar, optical)
    assert found.sure
    assert (found.down, found.right) == pytest.approx((-2, -1), abs=0.34)


def test_images_of_different_places_are_not_believed(make_place):
    for seed in range(1, 6):
        found = estimate_shift(make_place().radar, make_place(seed).reflectance)
        assert not found.sure


def test_nothing_can_be_told_under_clouds_or_on_a_stamp(make_place):
    place = make_place()
    hidden = np.where(np.arange(200) < 30, place.reflectance, np.nan).astype(np.float32)
    assert estimate_shift(place.radar, hidden) is None
    assert estimate_shift(place.radar[:40, :40], place.reflectance[:, :40, :40]) is None


def test_of_a_large_scene_the_clearest_part_is_looked_at(make_place):
    place = make_place(side=256)
    radar = np.full((1500, 1300), np.nan, np.float32)
    optical = np.full((2, 1500, 1300), np.nan, np.float32)
    tiled = np.tile(place.radar, (4, 4))
    radar[400:1424, 200:1224] = tiled
    optical[:, 400:1424, 200:1224] = np.roll(np.tile(place.reflectance, (1, 4, 4)), 2, axis=2)
    found = estimate_shift(radar, optical)
    assert (found.right + 128) % 256 - 128 == pytest.approx(-2, abs=0.34)
