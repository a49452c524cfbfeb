"""The satellite's path between its state vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy.interpolate import KroghInterpolator

from floodloom.errors import InputError

_STATES = 8
_DEGREE = 7
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Orbit:
    """Position of the satellite as polynomials of time over the scene.

    `coefficients` is (axis, power) float64 in the scaled time (t − `middle`) / `half`, t in
    seconds after the first line; positions are in metres in the Earth-fixed frame.
    """

    coefficients: Floats
    middle: float
    half: float

    def position(self, time: Floats) -> Floats:
        """Positions (..., 3), m."""
        return self._evaluate(time, 0)

    def velocity(self, time: Floats) -> Floats:
        """Velocities (..., 3), m/s."""
        return self._evaluate(time, 1)

    def _evaluate(self, time: Floats, derivative: int) -> Floats:
        scaled = (np.asarray(time) - self.middle) / self.half
        axes = [Polynomial(c).deriv(derivative)(scaled) for c in self.coefficients]
        return np.stack(axes, axis=-1) / self.half**derivative


def fit_orbit(time: Floats, position: Floats, velocity: Floats, start: float, stop: float) -> Orbit:
    """Fit the path between two times through the nearest state vectors.

    Parameters
    ----------
    time
        (state,) float64, s.
    position, velocity
        (state, 3) float64, m and m/s, Earth-fixed.
    start, stop
        First and last time that is needed, s.

    Returns
    -------
    Orbit
        Osculating (Hermite) interpolation of positions and velocities, resampled to a polynomial
        of degree 7.

    Raises
    ------
    InputError
        If the state vectors don't cover the times.
    """
    if len(time) < 4 or start < time[0] or stop > time[-1]:
        raise InputError(
            f"orbit: state vectors cover {time[0]:.1f}..{time[-1]:.1f} s of {start:.1f}..{stop:.1f}"
            " s; use a product or orbit file whose state vectors cover the scene"
        )
    middle, half = (start + stop) / 2, max((stop - start) / 2, 1.0)
    nearest = np.sort(np.argsort(np.abs(time - middle), kind="stable")[:_STATES])
    scaled = (time[nearest] - middle) / half
    nodes = np.repeat(scaled, 2)
    values = np.empty((len(nodes), 3))
    values[0::2], values[1::2] = position[nearest], velocity[nearest] * half
    path = KroghInterpolator(nodes, values)
    at = np.cos(np.pi * (np.arange(4 * _DEGREE) + 0.5) / (4 * _DEGREE))
    samples = path(at)
    fitted = [Polynomial.fit(at, samples[:, axis], _DEGREE, domain=[-1, 1]) for axis in range(3)]
    return Orbit(np.array([p.coef for p in fitted]), middle, half)
