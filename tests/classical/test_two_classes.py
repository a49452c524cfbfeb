"""Thresholds, odds and tests of bimodality, on histograms whose distributions are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from floodloom.classical.histograms import Bins, Scale
from floodloom.classical.two_classes import (
    LogOdds,
    TwoClasses,
    are_bimodal,
    classes_of,
    fit_two_classes,
    minimum_error_classes,
    otsu_classes,
)

BINS = Bins(-40.0, 0.25, 200)
SCALE = Scale(BINS, -15.0)
PIXELS = 1_000_000


def expected(*parts: tuple[float, float, float]) -> np.ndarray:
    """The histogram (bin,) of Gaussians of a share, a mean and a deviation, without chance."""
    edges = BINS.low + BINS.step * np.arange(BINS.number + 1)
    whole = sum(share * np.diff(norm.cdf(edges, mean, spread)) for share, mean, spread in parts)
    return np.rint(PIXELS * whole).astype(np.uint32)


def fitted(counts: np.ndarray) -> TwoClasses:
    return classes_of(fit_two_classes(counts[np.newaxis], BINS)[0])


def bimodal(counts: np.ndarray, scale: Scale = SCALE) -> bool:
    fits = fit_two_classes(counts[np.newaxis], BINS)
    return bool(are_bimodal(fits, np.array([counts.sum()]), scale)[0])


def bayes(dark: tuple[float, float, float], bright: tuple[float, float, float]) -> float:
    """Level between the means at which both classes are equally likely."""

    def difference(level: float) -> float:
        logs = [np.log(p) + norm.logpdf(level, m, s) for p, m, s in (dark, bright)]
        return logs[0] - logs[1]

    return float(brentq(difference, dark[1], bright[1]))


PAIRS = [
    ((0.3, -20.0, 1.0), (0.7, -9.0, 1.5)),
    ((0.5, -19.0, 1.5), (0.5, -12.0, 1.5)),
    ((0.15, -18.0, 1.0), (0.85, -11.0, 2.0)),
]


@pytest.mark.parametrize(("dark", "bright"), PAIRS)
def test_two_gaussians_are_found_again(dark, bright) -> None:
    found = fitted(expected(dark, bright))
    assert found.share == pytest.approx(dark[0], abs=0.01)
    assert found.means == pytest.approx((dark[1], bright[1]), abs=0.05)
    assert found.deviations == pytest.approx((dark[2], bright[2]), abs=0.05)
    distance = np.sqrt(2) * (bright[1] - dark[1]) / np.hypot(dark[2], bright[2])
    assert found.ashman_d == pytest.approx(distance, rel=0.03)
    assert found.crossing == pytest.approx(bayes(dark, bright), abs=0.1)


@pytest.mark.parametrize(("dark", "bright"), PAIRS)
def test_the_minimum_error_threshold_is_that_of_bayes(dark, bright) -> None:
    threshold, _ = minimum_error_classes(expected(dark, bright), BINS, (dark[1], bright[1]))
    assert threshold == pytest.approx(bayes(dark, bright), abs=0.5)


def test_outliers_don_t_draw_the_minimum_error_threshold() -> None:
    dark, bright = (0.3, -20.0, 1.0), (0.69, -9.0, 1.5)
    counts = expected(dark, bright, (0.01, 5.0, 0.3))
    threshold, _ = minimum_error_classes(counts, BINS, fitted(counts).means)
    assert threshold == pytest.approx(bayes(dark, bright), abs=1.0)


def test_the_threshold_of_otsu_is_the_middle_of_equal_classes() -> None:
    threshold, classes = otsu_classes(expected((0.5, -20, 1.2), (0.5, -10, 1.2)), BINS)
    assert threshold == pytest.approx(-15.0, abs=BINS.step / 2)
    assert classes.means == pytest.approx((-20, -10), abs=0.05)
    assert classes.deviations == pytest.approx((1.2, 1.2), abs=0.05)


def test_the_threshold_of_otsu_lies_in_the_land_where_water_is_rare() -> None:
    threshold, _ = otsu_classes(expected((0.005, -20, 1), (0.995, -10, 2)), BINS)
    assert threshold > -13


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        (PAIRS[0], True),
        ([(1.0, -10.0, 2.0)], False),  # land alone
        ([(1.0, -20.0, 2.0)], False),  # water alone
        ([(0.5, -17.0, 2.0), (0.5, -14.5, 2.0)], False),  # not apart
        ([(0.04, -20.0, 1.0), (0.96, -9.0, 1.5)], False),  # too little water
        ([(0.4, -13.0, 0.8), (0.6, -7.0, 0.8)], False),  # too bright for water
        ([(0.3, -24.0, 0.5), (0.4, -16.0, 0.5), (0.3, -6.0, 0.5)], False),  # three classes
    ],
)
def test_two_classes_are_told_from_one_and_from_three(parts, verdict: bool) -> None:
    assert bimodal(expected(*parts)) is verdict


def test_few_pixels_and_constant_ones_are_not_bimodal() -> None:
    assert not bimodal(expected(*PAIRS[0]) // 2000)
    constant = np.zeros(BINS.number, np.uint32)
    constant[80] = PIXELS
    assert not bimodal(constant)
    assert not bimodal(np.zeros(BINS.number, np.uint32))


def test_speckle_alone_is_never_bimodal() -> None:
    draw = np.random.default_rng(0)
    edges = BINS.low + BINS.step * np.arange(BINS.number + 1)
    counts = [
        np.histogram(10 * np.log10(draw.gamma(22, 0.01 / 22, 4096)), edges)[0] for _ in range(300)
    ]
    fits = fit_two_classes(np.array(counts, np.uint32), BINS)
    assert not are_bimodal(fits, np.full(300, 4096), SCALE).any()


def test_odds_are_those_of_the_classes_and_never_rise_with_the_level() -> None:
    classes = TwoClasses(0.3, (-20.0, -9.0), (0.6, 2.5))
    odds = LogOdds.of(classes, BINS, classes.crossing)
    levels = np.linspace(-60, 20, 1601).astype(np.float32)
    found = odds.at(levels)
    assert (np.diff(found) <= 0).all()  # although the wider class is likelier far below the water
    near = np.abs(classes.log_odds(levels.astype(float))) < 4
    near &= (levels > -20) & (levels < -9)
    np.testing.assert_allclose(found[near], classes.log_odds(levels[near].astype(float)), atol=0.05)
    assert odds.at(np.array([classes.crossing], np.float32))[0] == pytest.approx(0, abs=1e-3)
    assert np.isnan(odds.at(np.array([np.nan], np.float32)))[0]
