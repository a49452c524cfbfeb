import numpy as np
import pytest

from floodloom.mapping.depth import flood_depth
from floodloom.sentinel1.relief import height_above_drainage, slope_degrees


def valley(height=61, width=41) -> np.ndarray:
    """A V-shaped valley along x = 20 that falls slowly with y."""
    rows, cols = np.mgrid[:height, :width]
    return (2.0 * np.abs(cols - 20) + 0.01 * (height - rows)).astype("float32")


def test_height_in_a_valley_is_the_height_over_its_stream() -> None:
    elevation = valley()
    height = height_above_drainage(elevation, (10.0, 10.0), channel_area=8000.0)
    cols = np.arange(41)
    inside = height[20:-2]
    np.testing.assert_allclose(inside[:, 20], 0, atol=1e-6)
    np.testing.assert_allclose(
        inside[:, 5:36], np.broadcast_to(2.0 * np.abs(cols[5:36] - 20), (39, 31)), atol=0.21
    )
    assert (height >= 0).all()


def test_known_water_is_a_channel_and_missing_ground_is_missing() -> None:
    elevation = valley()
    elevation[30, 10] = np.nan
    water = np.zeros(elevation.shape, bool)
    water[:, 26] = True
    height = height_above_drainage(elevation, (10.0, 10.0), channel_area=1e9, water=water)
    assert np.isnan(height[30, 10])
    assert np.isfinite(height).sum() == height.size - 1
    expected = np.broadcast_to(2.0 * (np.arange(27, 36) - 26), (50, 9))
    np.testing.assert_allclose(height[5:55, 27:36], expected, atol=0.2)


def test_slope_of_a_plane() -> None:
    rows, cols = np.mgrid[:10, :12]
    plane = (3.0 * cols + 4.0 * rows).astype("float32")
    expected = np.degrees(np.arctan(np.hypot(3 / 10, 4 / 20)))
    np.testing.assert_allclose(slope_degrees(plane, (10.0, 20.0)), expected, rtol=1e-5)


def test_depth_in_a_basin_is_the_water_over_its_ground() -> None:
    rows, cols = np.mgrid[:61, :61]
    elevation = (0.1 * np.hypot(rows - 30, cols - 30)).astype("float32")
    water = elevation <= 2.0
    depth = flood_depth(water, water, ~water, elevation)
    assert np.isnan(depth[~water]).all()
    np.testing.assert_allclose(depth[water], (2.0 - elevation)[water], atol=0.11)
    assert depth[30, 30] == pytest.approx(2.0, abs=0.11)


def test_patch_without_a_shore_has_no_depth() -> None:
    water = np.ones((10, 10), bool)
    assert np.isnan(flood_depth(water, water, ~water, np.zeros((10, 10), "float32"))).all()
    two = np.zeros((10, 30), bool)
    two[2:8, 2:8] = two[2:8, 20:28] = True
    dry = ~two
    dry[:, 15:] = False
    depth = flood_depth(two, two, dry, np.zeros((10, 30), "float32"))
    assert (depth[2:8, 2:8] == 0).all()
    assert np.isnan(depth[:, 15:]).all()
