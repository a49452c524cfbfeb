"""How water runs over a surface."""

import numpy as np
import pytest

from floodloom.raster.drainage import OUTLET, accumulate, fill_depressions, steepest_receivers


def rough(shape=(40, 60), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 100, shape).astype("float32")


def test_filled_surface_drains_everywhere_and_is_nowhere_lower() -> None:
    elevation = rough().astype(float)
    elevation[10:14, 20:25] = np.nan
    filled, order = fill_depressions(elevation)
    known = np.isfinite(elevation)
    assert (filled[known] >= elevation[known]).all()
    assert sorted(order.tolist()) == np.flatnonzero(known).tolist()
    levels = filled.ravel()[order]
    assert (np.diff(levels) >= 0).all()
    padded = np.pad(np.where(known, filled, -np.inf), 1, constant_values=-np.inf)
    lowest = np.min(
        [np.roll(padded, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x], axis=0
    )
    assert (lowest[1:-1, 1:-1][known] < filled[known]).all()


def test_pit_is_filled_to_its_rim() -> None:
    elevation = np.full((9, 9), 10.0)
    elevation[4, 4] = 2.0
    elevation[3, 4] = 3.0
    filled, _ = fill_depressions(elevation)
    np.testing.assert_allclose(filled, 10.0)
    sloping = np.add.outer(np.arange(9.0), np.zeros(9))
    np.testing.assert_array_equal(fill_depressions(sloping)[0], sloping)


def flow(elevation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    filled, order = fill_depressions(elevation.astype(float))
    receiver = steepest_receivers(filled, order, 10.0, 10.0)
    return receiver.reshape(elevation.shape), accumulate(receiver, order).reshape(elevation.shape)


def test_on_a_plane_every_pixel_collects_those_above_it() -> None:
    rows, _ = np.mgrid[:9, :5]
    receiver, upstream = flow(10.0 - rows)
    np.testing.assert_array_equal(upstream, rows + 1)
    assert (receiver[-1] == OUTLET).all()
    np.testing.assert_array_equal(receiver[:-1].ravel(), np.arange(5, 45))


def test_a_valley_collects_its_slopes() -> None:
    """A V-shaped valley drains into its stream, which leaves at the bottom."""
    rows, cols = np.mgrid[:21, :11]
    _, upstream = flow(5.0 * np.abs(cols - 5) + 0.1 * (21 - rows))
    stream = upstream[:, 5]
    assert (np.diff(stream) > 0).all()
    assert stream[-1] > 0.8 * upstream.size


@pytest.mark.parametrize("seed", [0, 1])
def test_no_water_is_lost(seed) -> None:
    receiver, upstream = flow(rough(seed=seed))
    assert upstream[receiver == OUTLET].sum() == upstream.size
