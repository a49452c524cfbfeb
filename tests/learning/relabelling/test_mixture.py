"""Mixtures of Gaussians, against samples of known ones and against SciPy's densities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from floodloom.learning.relabelling.mixture import Mixture, log_ratio

SHARES = (0.7, 0.3)
MEANS = ((0.0, 1.0), (2.0, -1.0))
SPREAD = ((0.3, 0.1), (0.1, 0.2))


@pytest.fixture(scope="module")
def sample():
    draw = np.random.default_rng(0)
    parts = [
        draw.multivariate_normal(mean, SPREAD, int(4000 * share)).T
        for mean, share in zip(MEANS, SHARES, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def test_a_mixture_is_found_again(sample):
    found = Mixture.divide(sample, 2).fit(sample, 30)
    order = np.argsort(-found.shares)
    assert_allclose(found.shares[order], SHARES, atol=0.02)
    assert_allclose(found.means[order], MEANS, atol=0.06)
    ridge = 0.02 * np.eye(2)
    assert_allclose(found.covariances, [np.array(SPREAD) + ridge] * 2, atol=0.04)


def test_its_likelihood_rises_with_every_step(sample):
    found = Mixture.divide(sample, 3)
    densities = [found.log_density(sample.astype(np.float32)).mean()]
    for _ in range(6):
        found = found.fit(sample, 1)
        densities.append(found.log_density(sample.astype(np.float32)).mean())
    assert densities[-1] > densities[0] + 0.01
    assert (np.diff(densities) > -1e-3).all()  # the ridge costs a little


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5])
def test_densities_are_those_of_scipy(features):
    draw = np.random.default_rng(features)
    sample = draw.normal(size=(features, features)) @ draw.gamma(2, 1, (features, 4000))
    found = Mixture.divide(sample, 3).fit(sample, 5)
    points = sample[:, ::50]
    parts = [
        np.log(share) + multivariate_normal(mean, covariance).logpdf(points.T)
        for share, mean, covariance in zip(
            found.shares, found.means, found.covariances, strict=True
        )
    ]
    constant = len(points) / 2 * np.log(2 * np.pi)  # of every density alike
    expected = logsumexp(parts, axis=0) + constant
    assert_allclose(found.log_density(points.astype(np.float32)), expected, atol=1e-4)


def test_one_component_is_mean_and_covariance(sample):
    found = Mixture.divide(sample, 1).fit(sample, 5)
    assert_allclose(found.means[0], sample.mean(axis=1))
    assert_allclose(found.covariances[0], np.cov(sample, bias=True) + 0.02 * np.eye(2))


def test_pixels_that_are_all_alike_give_a_density():
    same = np.zeros((2, 40))
    found = Mixture.divide(same, 3).fit(same, 5)
    density = found.log_density(np.array([[0, 1], [0, 1]], np.float32))
    assert np.isfinite(density).all()
    assert density[0] > density[1] + 10


def test_a_ratio_is_the_difference_of_the_densities_up_to_its_limit(sample):
    features = np.concatenate([sample, sample + 3], axis=1).astype(np.float32)[:, :1300]
    one, other = (Mixture.divide(part, 2).fit(part, 3) for part in (sample, sample + 2))
    difference = one.log_density(features) - other.log_density(features)
    assert np.abs(difference).max() > 4 > np.abs(difference).min()
    assert_allclose(log_ratio(one, other, features, 4.0), np.clip(difference, -4, 4), atol=1e-6)
