"""The satellite's path between its state vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from floodloom.errors import InputError

_REACH_S = 40.0
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
    """Fit the path over an image to its state vectors.

    Parameters
    ----------
    time
        (state,) float64, s.
    position, velocity
        (state, 3) float64, m and m/s, Earth-fixed.
    start, stop
        First and last time of the image, s; the path holds for a few seconds beyond.

    Returns
    -------
    Orbit
        Polynomials of degree 7, least squares of the positions and velocities within 40 s of the
        image.

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
    near = (time > start - _REACH_S) & (time < stop + _REACH_S)
    middle = (time[near][0] + time[near][-1]) / 2
    half = (time[near][-1] - time[near][0]) / 2
    scaled = (time[near] - middle) / half
    powers = np.vander(scaled, _DEGREE + 1, increasing=True)
    slopes = np.zeros_like(powers)
    slopes[:, 1:] = powers[:, :-1] * np.arange(1, _DEGREE + 1)
    known = np.concatenate([position[near], velocity[near] * half])
    coefficients, *_ = np.linalg.lstsq(np.concatenate([powers, slopes]), known, rcond=None)
    return Orbit(np.ascontiguousarray(coefficients.T), float(middle), float(half))
