"""Growing regions: seeds, what is connected to them, and their criterion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from floodloom.classical.baselines.region_growing import distance, fit_water
from floodloom.classical.scene import BackscatterScene
from tests.classical.conftest import band, disc, iou, mapped, power

LAKE = disc(120, 130, 55, 256)


@pytest.mark.parametrize(("seed", "tolerance"), [(0.5, 2.0), (0.0, 1.0), (1.0, 4.0)])
def test_regions_hold_all_seeds_and_what_is_connected_and_like_water(seed, tolerance) -> None:
    one = BackscatterScene({"vv": band(power(LAKE)), "vh": band(power(LAKE, 1, wet=-26.0))})
    water = {name: fit_water(one.count(name, False)) for name in one.bands}
    apart = distance(one.read(0, 256)[0], water)
    percent = mapped("region-growing", one, seed=seed, tolerance=tolerance).percent
    region = percent >= 50
    step = tolerance / 100  # seeds are told in whole percent
    assert region[apart <= seed - step].all()
    assert (apart[region] <= tolerance).all()
    patches, number = label(region, np.ones((3, 3)))
    assert number
    for patch in range(1, number + 1):
        assert apart[patches == patch].min() <= seed + step
    around = label(apart <= tolerance, np.ones((3, 3)))[0]
    grown = np.unique(around[apart <= seed - step])
    assert region[np.isin(around, grown)].all()


def test_the_distance_of_dark_water_is_nothing() -> None:
    levels = {"vv": np.array([-30, -20, -17, np.nan], np.float32)}
    np.testing.assert_allclose(distance(levels, {"vv": (-20.0, 1.5)}), [0, 0, 2, np.nan])


def test_like_pixels_far_from_seeds_are_left_out() -> None:
    values = power(LAKE)
    one = BackscatterScene({"vv": band(values)})
    mean, spread = fit_water(one.count("vv", False))
    values[230:236, 20:26] = 10 ** ((mean + 1.5 * spread) / 10)
    found = mapped("region-growing", BackscatterScene({"vv": band(values)}), tolerance=2.0)
    assert (found.percent[231:235, 21:25] == 49).all()
    assert iou(found.percent, LAKE) > 0.85
