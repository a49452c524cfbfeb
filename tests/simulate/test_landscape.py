"""The ground, its water and its flood."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import cKDTree

from floodloom.simulate.cover import make_land
from floodloom.simulate.fields import course, distance_to, fractal_field, ranks
from floodloom.simulate.inundation import ORIGINS, flood_height, inundate, level_of_share
from floodloom.simulate.place import BIOMES, draw_place
from floodloom.simulate.terrain import channel_level, make_ground

SIDE = 96


@pytest.fixture(scope="module", params=["farmland", "coast", "mountains"])
def place_of(request):
    draw = np.random.default_rng(7)
    place = draw_place(draw, request.param)
    ground = make_ground(draw, place, SIDE, 10.0)
    return ground, make_land(draw, place, ground, 10.0)


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_flood_grows_with_its_level_and_spares_permanent_water(place_of, origin) -> None:
    ground, land = place_of
    dry = ~ground.water
    height = flood_height(np.random.default_rng(0), ground, land, 10.0, origin)
    floods = [inundate(height, dry, level) for level in np.quantile(height, (0, 0.2, 0.5, 0.9))]
    for low, high in pairwise(floods):
        assert not (low.covered & ~high.covered).any()
        assert (high.depth >= low.depth).all()
    assert floods[-1].covered.any()
    assert not (floods[-1].covered & ground.water).any()
    assert (floods[-1].depth[~floods[-1].covered] == 0).all()


def test_the_level_of_a_share_floods_that_share(place_of) -> None:
    ground, land = place_of
    dry = ~ground.water
    height = flood_height(np.random.default_rng(0), ground, land, 10.0, "river")
    for share in (0.0, 0.1, 0.6):
        covered = inundate(height, dry, level_of_share(height, dry, share)).covered
        assert covered[dry].mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("biome", BIOMES)
def test_every_biome_makes_a_place(biome) -> None:
    draw = np.random.default_rng(1)
    place = draw_place(draw, biome)
    ground = make_ground(draw, place, 64, 10.0)
    land = make_land(draw, place, ground, 10.0)
    assert np.isfinite(ground.elevation).all()
    assert (ground.hollow >= 0).all()
    assert ground.brook.min() >= 0
    assert ground.brook.max() <= 1
    assert not (ground.sea & ~ground.water).any()
    assert not (land.soaked & ~ground.water).any()
    assert not (land.building & ground.water).any()


def test_channels_are_at_their_own_level() -> None:
    rows, cols = np.mgrid[:SIDE, :SIDE]
    valley = (0.5 * np.abs(cols - 48) + 0.02 * rows).astype("float32")
    level = channel_level(valley, cols == 48, 10.0)
    np.testing.assert_allclose(level[25:-25], 0.02 * rows[25:-25], atol=0.1)


def test_relief_is_rougher_where_the_spectrum_falls_more_slowly() -> None:
    steps = []
    for exponent in (2.0, 3.0, 4.5):
        field = fractal_field(np.random.default_rng(0), 128, exponent, 128)
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, abs=1e-3)
        steps.append(np.abs(np.diff(field)).mean())
    assert steps[0] > 2 * steps[1] > 4 * steps[2]


def test_ranks_are_the_shares_below() -> None:
    ranked = ranks(fractal_field(np.random.default_rng(0), 64, 3, 30))
    assert (ranked < 0.25).mean() == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("swing", [0.0, 0.8, 1.6])
def test_a_river_crosses_the_square_and_is_as_wide_as_asked(swing) -> None:
    line = course(np.random.default_rng(2), 128, 60, swing)
    assert np.hypot(*np.diff(line, axis=0).T) == pytest.approx(0.5, abs=1e-3)
    inside = ((line > 3) & (line < 124)).all(axis=1)
    assert not inside[0]
    assert not inside[-1]
    assert inside.sum() / 2 > 60
    distance, nearest = distance_to(line, 128)
    exact, index = cKDTree(line).query(np.moveaxis(np.mgrid[:128, :128], 0, -1))
    error = np.abs(distance - exact)[inside[index]]
    assert error.max() < 0.75
    assert (error < 0.3).mean() > 0.95
    assert nearest.min() >= 0
    assert nearest.max() < len(line)


def test_a_line_elsewhere_is_nowhere_near() -> None:
    assert distance_to(np.full((5, 2), 500.0, dtype="float32"), 64) is None
