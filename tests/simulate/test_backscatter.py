"""Backscatter by class, its dependence on wind and angle, and how the sensor sees it."""

from dataclasses import replace

import numpy as np
import pytest

from floodloom.simulate.backscatter import (
    SURFACES,
    Day,
    Power,
    draw_wind,
    flooded_backscatter,
    land_backscatter,
    water_backscatter,
)
from floodloom.simulate.cover import PARCELS, Land
from floodloom.simulate.ocean import water_vh, water_vv
from floodloom.simulate.place import Cover
from floodloom.simulate.sensor import Sensor, observe, slope_effect, thermal_noise
from floodloom.simulate.speckle import LOOKS, looks_gained, speckle

SIDE = 96
FLAT = np.full((SIDE, SIDE), 38.0, dtype="float32")
DAY = Day(green=0.9, moist=0.0, wind=4.0, toward=90.0, gust=0.1, seed=1)
SENSOR = Sensor(
    incidence_deg=38.0, descending=False, turn_deg=11.0, noise_db=(-24.0, -25.0),
    removed=(0.0, 0.0), quantity="sigma0", flattened=False, filtered=False, order=1, spacing=10.0,
)  # fmt: skip


def decibel(power) -> np.ndarray:
    return 10 * np.log10(power)


def land(cover: Cover) -> Land:
    none = np.zeros((SIDE, SIDE), dtype=bool)
    return Land(
        cover=np.full((SIDE, SIDE), cover, dtype="uint8"),
        parcel=np.random.default_rng(0).integers(0, PARCELS, (SIDE, SIDE)),
        tilled=~none,
        canopy=np.zeros((SIDE, SIDE), dtype="float32"),
        building=none,
        soaked=none,
    )


def seen(cover: Cover, seed: int, day: Day = DAY, angle: float = 38.0) -> Power:
    draw = np.random.default_rng(seed)
    flat = np.zeros((SIDE, SIDE), dtype="float32")
    return land_backscatter(draw, land(cover), flat, day, np.full_like(FLAT, angle))


@pytest.mark.parametrize("cover", Cover)
def test_places_spread_around_the_mean_of_a_cover(cover) -> None:
    surface = SURFACES[cover]
    places = [seen(cover, seed) for seed in range(40)]
    for band, mean in (("vv", surface.vv), ("vh", surface.vh)):
        medians = [np.median(decibel(getattr(place, band))) for place in places]
        assert np.mean(medians) == pytest.approx(mean, abs=1.0)
        assert 0.4 < np.std(medians) < 1.5 + surface.between


def test_water_is_darker_than_land_and_bare_soil_and_sand_are_between() -> None:
    calm = water_backscatter(np.ones((SIDE, SIDE), bool), DAY, FLAT, 10.0)
    means = {cover: SURFACES[cover].vv for cover in Cover}
    assert np.median(decibel(calm.vv)) < means[Cover.SAND] < means[Cover.SOIL] < means[Cover.CROP]
    assert means[Cover.CROP] < means[Cover.FOREST]


def test_far_ranges_are_darker_and_forest_least() -> None:
    loss = {
        cover: np.median(decibel(seen(cover, 0).vv) - decibel(seen(cover, 0, angle=44.0).vv))
        for cover in (Cover.FOREST, Cover.GRASS, Cover.SAND)
    }
    for cover, decibels in loss.items():
        assert decibels == pytest.approx(6 * SURFACES[cover].slope, abs=0.01)
    assert loss[Cover.FOREST] < loss[Cover.GRASS] < loss[Cover.SAND]


def test_rain_brightens_bare_soil_and_not_forest() -> None:
    wet = replace(DAY, moist=3.0)
    gain = {
        cover: np.median(decibel(seen(cover, 0, wet).vv) - decibel(seen(cover, 0).vv))
        for cover in (Cover.SOIL, Cover.FOREST)
    }
    assert gain[Cover.SOIL] > 1.5
    assert gain[Cover.FOREST] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("wind", "direction", "angle", "expected"),
    [
        (5.0, 0.0, 30.0, -13.02),
        (5.0, 90.0, 38.0, -20.56),
        (10.0, 0.0, 40.0, -12.95),
        (12.0, 180.0, 45.0, -13.59),
        (2.0, 45.0, 33.0, -21.30),
    ],
)
def test_water_follows_the_published_model(wind, direction, angle, expected) -> None:
    assert decibel(water_vv(np.array(wind), direction, angle)) == pytest.approx(expected, abs=5e-3)


def test_wind_roughens_water_in_both_polarisations() -> None:
    wind = np.linspace(1, 14, 14)
    assert (np.diff(water_vv(wind, 0.0, 38.0)) > 0).all()
    assert decibel(water_vh(np.array([5.0, 15.0]))) == pytest.approx([-32.64, -26.72])


@pytest.mark.parametrize(("speed", "beyond"), [(6.0, 0.4218), (12.0, 0.0710)])
def test_a_storm_is_drawn_as_often_as_the_mixture_of_weibull_laws_says(speed, beyond) -> None:
    """The mean of exp(-(speed / scale)²) over scales from 3.5 to 10 m/s, integrated numerically."""
    scale = np.linspace(3.5, 10, 10_001)
    assert np.exp(-((speed / scale) ** 2)).mean() == pytest.approx(beyond, abs=5e-4)
    draw = np.random.default_rng(0)
    drawn = np.array([draw_wind(draw) for _ in range(20_000)])
    assert (drawn > speed).mean() == pytest.approx(beyond, abs=0.01)


def test_sheltered_water_is_smoother_than_the_open_lake() -> None:
    """On average over gusts: wind needs room."""
    water = np.zeros((SIDE, SIDE), bool)
    water[:, 40:] = True
    rough = [
        water_backscatter(water, replace(DAY, seed=seed), FLAT, 10.0).vv for seed in range(0, 40, 2)
    ]
    shore, middle = (np.mean([np.median(vv[:, cols]) for vv in rough]) for cols in (41, 85))
    assert shore < 0.8 * middle


def test_flooded_forest_is_brighter_in_vv_and_open_flood_dark() -> None:
    dry = seen(Cover.FOREST, 3)
    water = water_backscatter(np.ones((SIDE, SIDE), bool), DAY, FLAT, 10.0)
    hidden = np.ones((SIDE, SIDE), dtype="float32")
    draw = np.random.default_rng
    forest = flooded_backscatter(draw(0), dry, water, land(Cover.FOREST), hidden)
    assert (forest.vv > dry.vv).all()
    assert np.median(decibel(forest.vv) - decibel(dry.vv)) > 0.5
    assert np.abs(decibel(forest.vh) - decibel(dry.vh)).max() < 1.0
    open_water = flooded_backscatter(draw(0), dry, water, land(Cover.CROP), 0 * hidden)
    np.testing.assert_allclose(open_water.vv, water.vv, rtol=1e-5)


@pytest.mark.parametrize(("order", "looks"), [(0, LOOKS), (1, 5.7)])
def test_speckle_has_the_looks_and_the_correlation_of_the_sensor(order, looks) -> None:
    """Interpolation averages: the looks rise, and neighbours are as alike as in real images."""
    drawn = speckle(np.random.default_rng(0), 512, 10.0, 11.0, order)
    assert drawn.min() >= 0
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    assert drawn.mean() ** 2 / drawn.var() == pytest.approx(looks, rel=0.07)
    log = np.log(np.maximum(drawn, 1e-6))
    log -= log.mean()
    lags = [(log[:, lag:] * log[:, :-lag]).mean() / log.var() for lag in (1, 2, 3, 4)]
    expected = (0.70, 0.25, 0.04, 0.0) if order else (0.60, 0.15, 0.02, 0.0)
    np.testing.assert_allclose(lags, expected, atol=0.04)


@pytest.mark.parametrize("spacing", [20.0, 30.0])
def test_coarser_pixels_average_the_looks_of_the_sensor(spacing) -> None:
    block = round(spacing / 10)
    fine = speckle(np.random.default_rng(1), 240 * block, 10.0, 0.0, 0)
    mean = fine.reshape(240, block, 240, block).mean(axis=(1, 3))
    gained = (mean.mean() ** 2 / mean.var()) / LOOKS
    assert looks_gained(block) == pytest.approx(gained, rel=0.06)
    coarse = speckle(np.random.default_rng(2), 240, spacing, 0.0, 0)
    assert coarse.mean() ** 2 / coarse.var() == pytest.approx(LOOKS * gained, rel=0.1)


def test_noise_is_the_floor_unless_it_is_removed() -> None:
    nothing = np.zeros((256, 256), dtype="float32")
    noise = thermal_noise(np.random.default_rng(0), SENSOR, 256)
    assert abs(np.median(decibel(noise[0])) + 24) < 2
    np.testing.assert_allclose(decibel(noise[0]) - decibel(noise[1]), 1.0, atol=1e-4)
    left = observe(np.random.default_rng(1), nothing, noise[0], 0.0, SENSOR)
    removed = observe(np.random.default_rng(1), nothing, noise[0], 1.0, SENSOR)
    assert left.mean() == pytest.approx(noise[0].mean(), rel=0.02)
    assert (removed >= 0).all()
    assert (removed == 0).mean() > 0.4
    assert removed.mean() < 0.3 * left.mean()


def test_gamma0_is_sigma0_over_the_cosine() -> None:
    surface, noise = np.full((64, 64), 0.1, "float32"), np.zeros((64, 64), "float32")
    pair = [
        observe(np.random.default_rng(0), surface, noise, 0.0, replace(SENSOR, quantity=quantity))
        for quantity in ("sigma0", "gamma0")
    ]
    np.testing.assert_allclose(pair[1] / pair[0], 1 / np.cos(np.radians(38)), rtol=2e-3)


def test_a_filter_smooths_what_it_leaves_as_bright() -> None:
    surface, noise = np.full((128, 128), 0.1, "float32"), np.zeros((128, 128), "float32")
    plain, smooth = (
        observe(np.random.default_rng(0), surface, noise, 0.0, replace(SENSOR, filtered=filtered))
        for filtered in (False, True)
    )
    assert smooth.std() < 0.6 * plain.std()
    assert smooth.mean() == pytest.approx(plain.mean(), rel=0.03)


@pytest.mark.parametrize("descending", [False, True])
def test_slopes_towards_the_radar_are_bright_and_flattening_evens_them(descending) -> None:
    """An ascending pass looks to the east: slopes that rise to the east face it."""
    _, cols = np.mgrid[:64, :64]
    ridge = (60 - 2.0 * np.abs(cols - 32)).astype("float32")
    woods = np.zeros((64, 64), bool)
    sensor = replace(SENSOR, descending=descending)
    effect = slope_effect(ridge, woods, sensor)
    west, east = effect[:, 10:25].mean(), effect[:, 40:55].mean()
    towards, away = (east, west) if descending else (west, east)
    assert towards > 1.3
    assert away < 0.9
    even = slope_effect(ridge, woods, replace(sensor, flattened=True))
    assert np.ptp(even) < 0.35 * np.ptp(effect)


def test_steep_slopes_that_face_away_lie_in_shadow_and_woods_throw_one() -> None:
    _, cols = np.mgrid[:64, :64]
    cliff = np.clip(400 - 20.0 * (cols - 30), 0, 400).astype("float32")
    none = np.zeros((64, 64), bool)
    assert (slope_effect(cliff, none, SENSOR)[:, 33:48] < 0.05).all()
    woods = (cols >= 20) & (cols < 40)
    effect = slope_effect(np.zeros((64, 64), "float32"), woods, SENSOR)
    assert (effect[:, 20] > 1.3).all()
    assert (effect[:, 40] < 0.7).all()
    assert (effect[:, 45:] == effect[0, 45]).all()
