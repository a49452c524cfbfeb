"""Clusters whose means are known, and their names."""

from __future__ import annotations

import numpy as np
import pytest

from floodloom.classical.baselines.gaussian_mixture import fit_mixture
from floodloom.classical.baselines.k_means import fit_k_means
from floodloom.classical.clusters import ClusterArguments, water_clusters
from floodloom.classical.features import intensity_and_texture, sample
from floodloom.classical.scene import BackscatterScene
from tests.classical.conftest import band, disc, mapped, power

CENTRES = np.array([[-4.0, 0.0], [0.0, 4.0], [4.0, 0.0]])


@pytest.mark.parametrize("fit", [fit_k_means, fit_mixture])
def test_known_clusters_are_recovered(fit) -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 6000)
    pixels = (CENTRES[truth] + draw.normal(0, 0.8, (6000, 2))).astype(np.float32)
    means, share = fit(pixels, ClusterArguments(clusters=3))
    order = np.argsort(means[:, 0])
    np.testing.assert_allclose(means[order], CENTRES, atol=0.08)
    found = share(pixels)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found[:, order].argmax(axis=1) == truth).mean() > 0.99


def test_a_mixture_states_the_posterior_and_k_means_the_nearest() -> None:
    draw = np.random.default_rng(1)
    pixels = np.concatenate([draw.normal(-1, 1, 20_000), draw.normal(1, 1, 20_000)])
    features = np.array([[-1.0], [0.3]], np.float32)
    column = pixels[:, np.newaxis].astype(np.float32)
    for fit, expected in (
        (fit_mixture, 1 / (1 + np.exp(2 * features[:, 0]))),
        (fit_k_means, [1, 0]),
    ):
        means, share = fit(column, ClusterArguments(clusters=2))
        np.testing.assert_allclose(share(features)[:, means[:, 0].argmin()], expected, atol=0.05)


def test_clusters_are_named_by_their_backscatter() -> None:
    means = np.array([[-20.0, -27.0], [-9.0, -15.0], [-14.5, -23.0], [-16.0, -20.0]])
    limits = np.array([-15.0, -22.0])
    np.testing.assert_array_equal(water_clusters(means, limits), [True, False, True, False])
    nothing = np.array([np.inf, np.inf])
    np.testing.assert_array_equal(water_clusters(means, nothing), [True, False, False, False])


def test_features_are_levels_means_and_deviations() -> None:
    draw = np.random.default_rng(0)
    levels = draw.normal(-12, 3, (2, 30, 31)).astype(np.float32)
    levels[:, 4:6, 7] = np.nan
    found = intensity_and_texture(levels, (3, 5))
    assert found.shape == (10, 30, 31)
    np.testing.assert_array_equal(
        np.isnan(found), np.broadcast_to(np.isnan(levels[0]), found.shape)
    )
    around = levels[1, 3:8, 4:9]  # 5 px around row 5, column 6, with two gaps
    np.testing.assert_allclose(found[8, 5, 6], np.nanmean(around), rtol=1e-5)
    np.testing.assert_allclose(found[9, 5, 6], np.log(np.nanstd(around)), rtol=1e-4)


def test_the_sample_is_a_lattice_of_the_whole_scene() -> None:
    values = power(disc(60, 60, 20, 130))
    one = BackscatterScene({"vv": band(values)}, is_filtered=True)
    found = sample(one, (3,), 500)
    whole = intensity_and_texture(np.stack(list(one.read(0, 130)[0].values())), (3,))
    stride = int(np.ceil(np.sqrt(130 * 130 / 500)))
    expected = whole[:, ::stride, ::stride].reshape(len(whole), -1).T
    assert len(found) <= 500
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["k-means", "gaussian-mixture"])
def test_bright_clusters_are_never_water(name: str) -> None:
    """Two kinds of land, far apart, and no water."""
    field = disc(60, 60, 40, 128)
    one = BackscatterScene({"vv": band(power(field, wet=-11.0, dry=-4.0))})
    assert (mapped(name, one).percent == 0).all()


def test_texture_tells_what_intensity_does_not() -> None:
    """A lake as dark in the mean as land that is rough: levels alone mix them up."""
    draw = np.random.default_rng(0)
    lake = disc(64, 64, 45, 128)
    values = -19 + np.where(lake, 0.3, 4.0) * draw.normal(size=lake.shape)
    one = BackscatterScene({"vv": band((10 ** (values / 10)).astype(np.float32))}, is_filtered=True)
    _, share = fit_mixture(_standard(one, 7), ClusterArguments(clusters=2))
    alone = _standard(one, 0)
    _, by_level = fit_mixture(alone, ClusterArguments(clusters=2))
    assert _agreement(share(_standard(one, 7)), lake) > 0.9
    assert _agreement(share(_standard(one, 7)), lake) > _agreement(by_level(alone), lake) + 0.05


def _standard(one: BackscatterScene, window: int) -> np.ndarray:
    drawn = sample(one, (window,) if window else (), 10**6)
    return (drawn - drawn.mean(axis=0)) / drawn.std(axis=0)


def _agreement(share: np.ndarray, truth: np.ndarray) -> float:
    same = float((share.argmax(axis=1) == truth.ravel()).mean())
    return max(same, 1 - same)
