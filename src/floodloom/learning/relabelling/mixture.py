"""Mixtures of Gaussians, fitted to a sample and evaluated at every pixel of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Floats
from floodloom.kernels import jit

Doubles = NDArray[np.float64]

_LEAST_VARIANCE = 0.02  # in units of the inputs, for pixels that are all alike
_FAINTEST = 1e-9
_BLOCK = 512  # pixels that are evaluated together
_NEGLIGIBLE = np.float32(-20.0)  # log-density below the greatest that adds nothing to it in float32


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians.

    Attributes
    ----------
    shares
        (component,) float64, which sum to 1.
    means
        (component, feature) float64.
    covariances
        (component, feature, feature) float64.
    """

    shares: Doubles
    means: Doubles
    covariances: Doubles

    @classmethod
    def divide(cls, sample: Doubles, components: int) -> Mixture:
        """Return a first guess: equal parts of a sample (feature, pixel) along its main axis."""
        centred = sample - sample.mean(axis=1, keepdims=True)
        axis = np.linalg.eigh(centred @ centred.T)[1][:, -1]
        order = np.argsort(axis @ centred, kind="stable")
        belongs = np.zeros((components, sample.shape[1]))
        for component, part in enumerate(np.array_split(order, components)):
            belongs[component, part] = 1
        return cls.of(sample, belongs)

    @classmethod
    def of(cls, sample: Doubles, belongs: Doubles) -> Mixture:
        """Return the mixture in which pixels belong to components (component, pixel) so far."""
        counts = belongs.sum(axis=1) + _FAINTEST
        means = belongs @ sample.T / counts[:, np.newaxis]
        ridge = _LEAST_VARIANCE * np.eye(len(sample))
        covariances = np.empty((len(means), len(sample), len(sample)))
        for component, (weight, mean) in enumerate(zip(belongs, means, strict=True)):
            apart = sample - mean[:, np.newaxis]
            covariances[component] = (weight * apart) @ apart.T / counts[component] + ridge
        return cls(counts / counts.sum(), means, covariances)

    def fit(self, sample: Doubles, steps: int) -> Mixture:
        """Return the mixture after steps of expectation and maximisation on a sample.

        References
        ----------
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM
        algorithm, JRSS B 39(1), 1-38; a ridge keeps components from collapsing.
        """
        found = self
        for _ in range(steps if len(self.shares) > 1 else 1):
            joint = np.stack(found._joint(sample))
            belongs = np.exp(joint - joint.max(axis=0))
            found = Mixture.of(sample, belongs / belongs.sum(axis=0))
        return found

    def log_density(self, features: Floats) -> Floats:
        """Return the log-density, up to a constant, of (feature, pixel) float32 as (pixel,)."""
        whiten, offsets = self._whitened()
        density = np.empty(features.shape[1], dtype=np.float32)
        _log_density(
            features,
            self.means.astype(np.float32),
            whiten.astype(np.float32),
            offsets.astype(np.float32),
            density,
        )
        return density

    def _joint(self, sample: Doubles) -> list[Doubles]:
        """Log-density of each component at each pixel, with its share."""
        whiten, offsets = self._whitened()
        return [
            offset - np.square(lower @ (sample - mean[:, np.newaxis])).sum(axis=0) / 2
            for mean, lower, offset in zip(self.means, whiten, offsets, strict=True)
        ]

    def _whitened(self) -> tuple[Doubles, Doubles]:
        whiten = np.linalg.inv(np.linalg.cholesky(self.covariances))
        volume = np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(axis=1)
        return whiten, np.log(self.shares) + volume


@jit()
def _log_density(features, means, whiten, offsets, density):  # type: ignore[no-untyped-def]
    components, wide = means.shape
    each = np.empty((components, _BLOCK), dtype=np.float32)
    value = np.empty(_BLOCK, dtype=np.float32)
    for first in range(0, features.shape[1], _BLOCK):
        block = features[:, first : first + _BLOCK]
        size = block.shape[1]
        for k in range(components):
            each[k, :] = offsets[k]
            for row in range(wide):
                value[:] = 0
                for col in range(row + 1):
                    factor, mean = whiten[k, row, col], means[k, col]
                    for pixel in range(size):
                        value[pixel] += factor * (block[col, pixel] - mean)
                for pixel in range(size):
                    each[k, pixel] -= value[pixel] * value[pixel] * np.float32(0.5)
        for pixel in range(size):
            greatest = each[0, pixel]
            for k in range(1, components):
                greatest = max(greatest, each[k, pixel])
            total = np.float32(0)
            for k in range(components):
                apart = each[k, pixel] - greatest
                if apart > _NEGLIGIBLE:
                    total += np.exp(apart)
            density[first + pixel] = greatest + np.log(total)
