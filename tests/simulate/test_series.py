"""Several dates before a flood, simulated."""

import numpy as np

from floodloom.simulate.series import SEASONAL, make_series

SIZE = 96


def test_a_longer_series_begins_with_a_shorter_one() -> None:
    one, three = (make_series(1, SIZE, dates) for dates in (1, 3))
    np.testing.assert_array_equal(one.before[0], three.before[0])
    np.testing.assert_array_equal(one.after, three.after)
    np.testing.assert_array_equal(one.label, three.label)


def test_only_seasonal_water_comes_and_goes() -> None:
    found = [make_series(seed, SIZE, 4) for seed in range(4)]
    for series in found:
        assert series.before.shape == (4, 2, SIZE, SIZE)
        assert np.isfinite(series.before).all()
        assert (series.before >= 0).all()
        assert series.water[:, series.label == 1].all()
        assert not series.water[:, np.isin(series.label, (0, 2))].any()
    shares = np.concatenate([s.water.mean(axis=0)[s.label == SEASONAL] for s in found])
    assert set(np.unique(shares)) >= {0.25, 0.5, 0.75}
    assert 0.2 < shares.mean() < 0.8
