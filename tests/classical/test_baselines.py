"""Baselines on simulated scenes whose water is known."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from floodloom.classical.choices import BASELINES
from floodloom.classical.scene import BackscatterScene
from tests.classical.conftest import LOOKS, SIDE, band, disc, iou, mapped, power

ALL = ["change", "hsba", "kittler-illingworth", "otsu"]
ONE_DATE = ALL[1:]
HALF = np.broadcast_to(np.mgrid[:SIDE, :SIDE][1] < SIDE // 2, (SIDE, SIDE))
NONE = np.zeros((SIDE, SIDE), bool)


def scene(water: np.ndarray, before: np.ndarray | None = NONE, **changes) -> BackscatterScene:
    """A scene of both polarisations, and the one before."""

    def bands(wet: np.ndarray, seed: int):
        vv, vh = power(wet, seed), power(wet, seed + 1, wet=-27.0, dry=-15.0)
        return {"vv": band(vv), "vh": band(vh)}

    earlier = None if before is None else bands(before, 2)
    return BackscatterScene(bands(water, 0), before=earlier, **changes)


def test_every_baseline_has_its_source_and_frozen_arguments() -> None:
    assert set(ALL) <= set(BASELINES.names)
    for name in BASELINES.own_names:
        baseline = BASELINES.load(name)
        assert baseline.source
        assert baseline.arguments.model_config["frozen"]


@pytest.mark.parametrize("name", ONE_DATE)
def test_a_half_of_water_is_found(name: str) -> None:
    found = mapped(name, scene(HALF))
    assert iou(found.percent, HALF) > 0.97
    assert set(found.thresholds) == {"vv", "vh"}


@pytest.mark.parametrize("name", ONE_DATE)
def test_thresholds_are_near_that_of_the_least_error(name: str) -> None:
    """Of a water class of -20 dB and even land of -9, both filtered to some 25 looks."""
    vv = power(HALF, dry=-9.0)
    even = np.where(HALF, vv, 10**-0.9 * np.random.default_rng(5).gamma(LOOKS, 1 / LOOKS, vv.shape))
    one = BackscatterScene({"vv": band(even.astype(np.float32))})
    levels = next(iter(one.strips(False)))[1]["vv"]
    inner = {"wet": levels[:, : SIDE // 2 - 2], "dry": levels[:, SIDE // 2 + 2 :]}
    steps = np.arange(-19, -10, 0.05)
    errors = [(inner["wet"] >= s).mean() + (inner["dry"] < s).mean() for s in steps]
    best = steps[np.flatnonzero(np.isclose(errors, np.min(errors)))]
    threshold = mapped(name, one).thresholds["vv"]
    assert best.min() - 1 < threshold < best.max() + 1


@pytest.mark.parametrize("name", ALL)
def test_a_dry_scene_has_no_water(name: str, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="floodloom"):
        found = mapped(name, scene(NONE))
    assert (found.percent == 0).all()
    assert not found.thresholds
    assert [r for r in caplog.messages if "no water found" in r]


def test_small_lakes_are_found_where_one_threshold_for_all_fails() -> None:
    lakes = disc(120, 150, 22) | disc(500, 600, 16)
    small = scene(lakes)
    assert lakes.mean() < 0.005
    assert iou(mapped("hsba", small).percent, lakes) > 0.8
    assert iou(mapped("otsu", small).percent, lakes) < 0.1


def test_regions_grow_from_sure_water_alone() -> None:
    lake = disc(300, 300, 60)
    values = power(lake)
    threshold = mapped("hsba", BackscatterScene({"vv": band(values)})).thresholds["vv"]
    values[600:608, 600:608] = 10 ** ((threshold - 0.1) / 10)  # dark, but not sure
    found = mapped("hsba", BackscatterScene({"vv": band(values)})).percent
    assert iou(found[:, :500], lake[:, :500]) > 0.9
    assert (found[602:606, 602:606] == 49).all()
    assert (found[590:620, 590:620] < 50).all()


def test_new_water_is_found_and_permanent_water_is_not() -> None:
    lake, flood = disc(200, 200, 80), disc(520, 520, 90)
    found = mapped("change", scene(lake | flood, before=lake))
    assert iou(found.percent, flood) > 0.93
    assert (found.percent[lake] >= 50).mean() < 0.01


def test_water_that_has_gone_is_no_new_water() -> None:
    found = mapped("change", scene(NONE, before=disc(400, 400, 150)))
    assert (found.percent == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_no_data_stay_no_data(name: str) -> None:
    one = scene(disc(300, 300, 120))
    one.bands["vv"][100:140, 200:300] = np.nan
    one.bands["vh"][10:20] = np.nan
    if name == "change":
        one.before["vv"][700:710, 5:50] = np.nan
    unknown = np.isnan(one.bands["vv"].values) | np.isnan(one.bands["vh"].values)
    if name == "change":
        unknown |= np.isnan(one.before["vv"].values)
    found = mapped(name, one).percent
    np.testing.assert_array_equal(found == 255, unknown)
    assert found[~unknown].max() <= 100


@pytest.mark.parametrize("name", ALL)
def test_a_scene_without_data_is_no_data(name: str) -> None:
    empty = band(np.full((100, 90), np.nan, np.float32))
    found = mapped(name, BackscatterScene({"vv": empty}, before={"vv": empty}))
    assert (found.percent == 255).all()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("chunks", [(100, 61), (768, 768), (7, 768)])
def test_no_result_depends_on_chunks(name: str, chunks: tuple[int, int]) -> None:
    one = scene(disc(300, 300, 120))
    lazily = BackscatterScene(
        {name: band(values.values, chunks) for name, values in one.bands.items()},
        before={name: band(values.values, chunks) for name, values in one.before.items()},
    )
    np.testing.assert_array_equal(mapped(name, lazily).percent, mapped(name, one).percent)


@pytest.mark.parametrize("name", ALL)
def test_high_ground_is_dry(name: str) -> None:
    """Shadow on a slope is as dark as the lake."""
    lake, shadow = disc(250, 250, 110), disc(560, 560, 110)
    low = ~disc(560, 560, 140)
    found = mapped(name, scene(lake | shadow, low=low)).percent
    assert iou(found, lake) > 0.95
    assert (found[~low] == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_display_values_are_mapped_by_their_deviations(name: str) -> None:
    """Standardised 8 bits: two classes 2.5 deviations apart, without any limit in decibel."""
    draw = np.random.default_rng(0)
    lake = disc(300, 300, 200)
    values = [np.where(wet, -1.5, 1.0) + draw.normal(0, 0.5, NONE.shape) for wet in (lake, NONE)]
    after, before = (np.round(one * 50) / 50 for one in values)
    bands = [{"vv": band(one.astype(np.float32))} for one in (after, before)]
    found = mapped(name, BackscatterScene(bands[0], before=bands[1], has_power=False))
    assert iou(found.percent, lake) > 0.97


def test_probabilities_are_those_of_the_classes() -> None:
    """Where the classes overlap, as many of the pixels of a percentage are water as it states."""
    draw = np.random.default_rng(3)
    levels = np.where(HALF, -19.0, -14.0) + draw.normal(0, 1.6, HALF.shape)
    values = (10 ** (levels / 10)).astype(np.float32)
    found = mapped("kittler-illingworth", BackscatterScene({"vv": band(values)}, is_filtered=True))
    for low, high in ((15, 35), (40, 60), (65, 85)):
        inside = (found.percent >= low) & (found.percent < high)
        assert HALF[inside].mean() == pytest.approx(found.percent[inside].mean() / 100, abs=0.08)
