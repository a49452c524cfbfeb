"""How water runs over a surface."""

import numpy as np
import pytest

from floodloom.raster.drainage import (
    NO_WAY,
    OUTLET,
    accumulate,
    end_at_channels,
    fill_depressions,
    flow_directions,
    heights_above_ends,
    steepest_receivers,
)


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


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_directions_in_few_bytes_are_those_of_the_filled_surface(seed) -> None:
    """Also over flats, pits and gaps; and so are channels, and heights above them."""
    elevation = np.round(rough((60, 70), seed) / [1, 20, 50][seed])
    elevation[20:24, 30:33] = np.nan
    filled, order = fill_depressions(elevation.astype(float))
    receiver = steepest_receivers(filled, order, 30.0, 20.0)
    upstream = accumulate(receiver, order)

    directions = flow_directions(elevation, 30.0, 20.0)
    row, col = np.divmod(np.arange(elevation.size), elevation.shape[1])
    way = directions.ravel()
    ways = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    down, across = np.array([*ways, (0, 0)]).T
    known = way <= NO_WAY
    np.testing.assert_array_equal(known, np.isfinite(elevation.ravel()))
    np.testing.assert_array_equal(way[known] == NO_WAY, receiver[known] == OUTLET)
    runs = way < NO_WAY
    below = (row + down[np.minimum(way, NO_WAY)]) * elevation.shape[1]
    below += col + across[np.minimum(way, NO_WAY)]
    np.testing.assert_array_equal(below[runs], receiver[runs])

    end_at_channels(directions, 12, np.zeros((0, 0), bool))
    base = elevation.ravel().copy()
    for place in order:
        if receiver[place] != OUTLET and upstream[place] < 12:
            base[place] = base[receiver[place]]
    expected = np.maximum(elevation - base.reshape(elevation.shape), 0)
    np.testing.assert_array_equal(heights_above_ends(elevation, directions), expected)
