from typing import get_args

import dask.array as da
import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.sentinel1.settings import GeocodeSettings
from floodloom.sentinel1.speckle import FILTERS, filter_blocks, halo
from floodloom.sentinel1.speckle_sigma import bright_level, sigma_range

LOOKS = 4.4
IMAGE_FILTERS = [name for name in FILTERS if name != "multitemporal"]


def speckle(looks: float, shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(seed).gamma(looks, 1 / looks, shape)
    return drawn.astype(np.float32)


def scene(*dates: int) -> np.ndarray:
    """Speckled fields, a bright target and holes at an edge, in a corner and inside."""
    y, x = np.mgrid[:230, :260]
    field = np.where((x + 2 * y) % 120 < 60, 0.02, 0.3) * (1 + (y > 90))
    power = field * speckle(LOOKS, (*dates, 230, 260))
    power[..., 40:43, 50:53] = 30.0
    power[..., 97:103, 60:140] = np.nan
    power[..., :5, :7] = np.nan
    power[..., 130, 130] = np.nan
    return power.astype(np.float32)


def windows(power: np.ndarray, radius: int):
    """Give each pixel's place and its window, cut off at the image's edges."""
    for row, col in np.ndindex(power.shape):
        rows = slice(max(row - radius, 0), row + radius + 1)
        cols = slice(max(col - radius, 0), col + radius + 1)
        yield (row, col), power[rows, cols].astype(np.float64)


def looks_of(power: np.ndarray) -> float:
    return float(power.mean(dtype=np.float64) ** 2 / power.var(dtype=np.float64))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("value", [0.0, 0.1, 7.3])
def test_constant_image_is_unchanged_and_holes_stay(name: str, value: float) -> None:
    power = np.full((2, 40, 50), value, np.float32)
    power[:, 10:12, 20:30] = np.nan
    power[0, :, :9] = np.nan
    image = power if name == "multitemporal" else power[0]
    np.testing.assert_array_equal(FILTERS[name](image, 7, LOOKS), image)


@pytest.mark.parametrize("name", FILTERS)
def test_holes_are_kept_and_do_not_leak(name: str) -> None:
    power = scene(3) if name == "multitemporal" else scene()
    filtered = FILTERS[name](power, 5, LOOKS)
    assert filtered.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(filtered), np.isnan(power))
    assert np.nanmin(filtered) > 0


@pytest.mark.parametrize(
    ("name", "looks", "window", "bias", "least"),
    [
        ("boxcar", 1.0, 5, 0.005, 24.0),
        ("boxcar", LOOKS, 7, 0.005, 205.0),
        ("lee", 1.0, 5, 0.01, 15.0),
        ("lee", LOOKS, 7, 0.01, 100.0),
        ("lee_sigma", 1.0, 7, 0.02, 15.0),
        ("lee_sigma", LOOKS, 7, 0.01, 60.0),
        ("refined_lee", 1.0, 7, 0.01, 20.0),
        ("refined_lee", LOOKS, 7, 0.01, 75.0),
        ("gamma_map", 1.0, 7, 0.045, 20.0),  # a mode lies below the mean
        ("gamma_map", LOOKS, 7, 0.015, 100.0),
    ],
)
def test_even_ground_keeps_its_mean_and_gains_looks(
    name: str, looks: float, window: int, bias: float, least: float
) -> None:
    power = speckle(looks, (900, 900))
    filtered = FILTERS[name](power, window, looks)[8:-8, 8:-8]
    mean = filtered.mean(dtype=np.float64) / power.mean(dtype=np.float64)
    assert mean == pytest.approx(1.0, abs=bias)
    assert looks_of(filtered) > least
    if name == "boxcar":
        assert looks_of(filtered) == pytest.approx(window**2 * looks, rel=0.03)


def test_dates_lend_each_other_looks_and_keep_their_means() -> None:
    levels = np.array([0.02, 0.1, 0.05, 0.4, 0.2]).reshape(-1, 1, 1)
    stack = (levels * speckle(LOOKS, (5, 500, 500))).astype(np.float32)
    filtered = FILTERS["multitemporal"](stack, 9, LOOKS)[:, 8:-8, 8:-8]
    means = filtered.mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(means, stack.mean(axis=(1, 2), dtype=np.float64), rtol=0.01)
    for date in filtered:
        assert 4.2 * LOOKS < looks_of(date) < 5.1 * LOOKS


def test_boxcar_is_the_mean_of_the_valid_pixels() -> None:
    power = scene()[80:120, 40:90]
    filtered = FILTERS["boxcar"](power, 5, LOOKS)
    for place, window in windows(power, 2):
        if not np.isnan(power[place]):
            assert filtered[place] == pytest.approx(np.nanmean(window), rel=1e-6)


def test_lee_is_the_equation() -> None:
    power = scene()[80:120, 40:100]
    filtered = FILTERS["lee"](power, 5, LOOKS)
    for place, window in windows(power, 2):
        if not np.isnan(power[place]):
            mean, variance = np.nanmean(window), np.nanvar(window)
            q = max((variance + mean**2) / (1 + 1 / LOOKS) - mean**2, 0)
            k = q / (mean**2 / LOOKS + q)
            assert filtered[place] == pytest.approx(mean + k * (power[place] - mean), rel=1e-5)


def test_gamma_map_solves_the_equation() -> None:
    power = scene()[80:140, 40:100]
    filtered = FILTERS["gamma_map"](power, 5, LOOKS).astype(np.float64)
    cases = {"mean": 0, "root": 0, "pixel": 0}
    for place, window in windows(power, 2):
        if np.isnan(power[place]):
            continue
        z, mean = float(power[place]), np.nanmean(window)
        variation, cu = np.nanstd(window) / mean, 1 / np.sqrt(LOOKS)
        if variation <= cu:
            cases["mean"] += 1
            assert filtered[place] == pytest.approx(mean, rel=1e-6)
        elif variation >= np.sqrt(2) * cu:
            cases["pixel"] += 1
            assert filtered[place] == z
        else:
            cases["root"] += 1
            alpha = (1 + cu**2) / (variation**2 - cu**2)
            x = filtered[place]
            terms = np.array([alpha * x**2, (LOOKS + 1 - alpha) * mean * x, -LOOKS * z * mean])
            assert terms.sum() == pytest.approx(0, abs=1e-5 * np.abs(terms).max())
    assert min(cases.values()) > 100


def test_multitemporal_is_the_equation() -> None:
    stack = speckle(LOOKS, (3, 3, 3)) * np.array([1, 4, 0.5], np.float32).reshape(3, 1, 1)
    stack[1, 0, 0] = np.nan
    filtered = FILTERS["multitemporal"](stack, 3, LOOKS)
    means = [np.nanmean(date, dtype=np.float64) for date in stack]
    ratio = np.mean([stack[i, 1, 1] / means[i] for i in range(3)])
    np.testing.assert_allclose(filtered[:, 1, 1], np.multiply(means, ratio), rtol=1e-6)
    corner = [np.nanmean(date[:2, :2], dtype=np.float64) for date in stack]
    lent = np.mean([stack[i, 0, 0] / corner[i] for i in (0, 2)])
    np.testing.assert_allclose(filtered[[0, 2], 0, 0], [corner[0] * lent, corner[2] * lent], 1e-6)
    assert np.isnan(filtered[1, 0, 0])


@pytest.mark.parametrize("slope", [(1, 0), (0, 1), (1, 1), (1, -1)])
def test_refined_lee_keeps_an_edge_sharper_than_boxcar(slope: tuple[int, int]) -> None:
    y, x = np.mgrid[:200, :200] - 100
    distance = slope[0] * x + slope[1] * y
    truth = np.where(distance >= 0, 0.3, 0.02)
    power = (truth * speckle(LOOKS, truth.shape)).astype(np.float32)
    near = (np.abs(distance + 0.5) <= 3) & (np.abs(x) < 90) & (np.abs(y) < 90)

    def error(name: str) -> float:
        difference = FILTERS[name](power, 7, LOOKS)[near] - truth[near]
        return float(np.sqrt(np.mean(difference**2)))

    assert error("refined_lee") < 0.5 * error("boxcar")


def test_lee_sigma_keeps_point_targets() -> None:
    power = speckle(LOOKS, (120, 120))
    for place in ((30, 40), (80, 90), (0, 117)):
        power[place[0] : place[0] + 3, place[1] : place[1] + 3] = 60.0
    targets = power == 60.0
    np.testing.assert_array_equal(FILTERS["lee_sigma"](power, 7, LOOKS)[targets], 60.0)
    around = FILTERS["lee_sigma"](power, 7, LOOKS)[28:35, 38:45]
    assert around[power[28:35, 38:45] < 60].max() < 3
    assert FILTERS["boxcar"](power, 7, LOOKS)[31, 41] < 20


@pytest.mark.parametrize("looks", [1.0, 2.7, LOOKS, 20.0])
def test_sigma_range_holds_its_share_and_keeps_the_mean(looks: float) -> None:
    low, high, deviation = sigma_range(looks)
    drawn = np.random.default_rng(3).gamma(looks, 1 / looks, 2_000_000)
    inside = drawn[(drawn >= low) & (drawn <= high)]
    assert inside.size / drawn.size == pytest.approx(0.9, abs=0.001)
    assert inside.mean() == pytest.approx(1.0, abs=0.002)
    assert inside.std() == pytest.approx(deviation, rel=0.003)


def test_bright_level_is_the_98th_percentile() -> None:
    power = scene()
    expected = np.nanquantile(power, 0.98)
    assert expected * 0.999 <= bright_level(power) <= expected * 1.01
    assert bright_level(np.full((3, 3), np.nan, np.float32)) == np.inf


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("window", [5, 9])
@pytest.mark.parametrize("side", [64, 100, 1000])
def test_blocks_give_what_the_whole_gives_to_the_last_bit(
    name: str, window: int, side: int
) -> None:
    power = scene(3) if name == "multitemporal" else scene()
    chunks = (1, side, side)[-power.ndim :]
    blocks = filter_blocks(da.from_array(power, chunks=chunks), name, window, LOOKS)
    assert blocks.dtype == np.float32
    np.testing.assert_array_equal(
        blocks.compute(scheduler="synchronous"), FILTERS[name](power, window, LOOKS)
    )


def test_point_targets_are_seen_across_blocks() -> None:
    power = speckle(LOOKS, (40, 40))
    target = ([9, 10, 11, 11, 11], [20, 21, 20, 21, 22])  # a tip that only its base makes a target
    power[target] = [60, 90, 30, 45, 70]
    whole = FILTERS["lee_sigma"](power, 3, LOOKS)
    np.testing.assert_array_equal(whole[target], power[target])
    for side in (10, 21):
        blocks = filter_blocks(da.from_array(power, chunks=side), "lee_sigma", 3, LOOKS)
        np.testing.assert_array_equal(blocks.compute(scheduler="synchronous"), whole)


@pytest.mark.parametrize("name", IMAGE_FILTERS)
def test_nothing_beyond_the_halo_matters(name: str) -> None:
    power = scene()[150:190, 100:140]
    changed = power.copy()
    changed[20, 20] *= 1.5
    options = {"bright": 5.0} if name == "lee_sigma" else {}
    before = FILTERS[name](power, 7, LOOKS, **options)
    rows, cols = np.nonzero(before != FILTERS[name](changed, 7, LOOKS, **options))
    assert max(np.abs(rows - 20).max(), np.abs(cols - 20).max()) <= halo(name, 7)


def test_wrong_arguments_are_refused() -> None:
    image = da.ones((20, 20), dtype=np.float32)
    for arguments, complaint in [
        (("frost", 5, LOOKS), "'frost' must be one of boxcar, lee"),
        (("lee", 4, LOOKS), "window 4 px must be odd"),
        (("refined_lee", 3, LOOKS), "window 3 px must be odd and at least 5"),
        (("lee", 5, 0.0), "looks 0.0 must be positive"),
        (("multitemporal", 5, LOOKS), "2 dimensions given, not 3"),
    ]:
        with pytest.raises(InputError, match=complaint):
            filter_blocks(image, *arguments)
    with pytest.raises(InputError, match="window 6 px must be odd"):
        FILTERS["gamma_map"](np.ones((9, 9), np.float32), 6, LOOKS)


def test_every_filter_can_be_chosen() -> None:
    choices = get_args(GeocodeSettings.model_fields["speckle_filter"].annotation)
    assert set(choices) == {"none", *FILTERS}
