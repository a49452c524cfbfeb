"""The satellite's path between its state vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import Polynomial

from floodloom.arrays import Doubles
from floodloom.errors import InputError

_REACH_S = 40.0
_DEGREE = 5
_RADIUS_M = (6.9e6, 7.3e6)


@dataclass(frozen=True)
class Orbit:
    """Position of the satellite as polynomials of time over the scene.

    `coefficients` is (axis, power) float64 in the scaled time (t − `middle`) / `half`, t in
    seconds after the first line; positions are in metres in the Earth-fixed frame.
    """

    coefficients: Doubles
    middle: float
    half: float

    def position(self, time: Doubles) -> Doubles:
        """Positions (..., 3), m."""
        return self._evaluate(time, 0)

    def velocity(self, time: Doubles) -> Doubles:
        """Velocities (..., 3), m/s."""
        return self._evaluate(time, 1)

    def delay(self, seconds: float) -> Orbit:
        """Return the same path, flown `seconds` later."""
        return replace(self, middle=self.middle + seconds)

    def _evaluate(self, time: Doubles, derivative: int) -> Doubles:
        scaled = (np.asarray(time) - self.middle) / self.half
        axes = [Polynomial(c).deriv(derivative)(scaled) for c in self.coefficients]
        return np.stack(axes, axis=-1) / self.half**derivative


def fit_orbit(time: Doubles, position: Doubles, start: float, stop: float) -> Orbit:
    """Fit the path over an image to its state vectors.

    Only the positions are fitted: the velocities that products before IPF 2.9 annotate differ from
    the slope of their own positions by up to 5 cm/s, which is a tenth of a line at zero Doppler.

    Parameters
    ----------
    time
        (state,) float64, s.
    position
        (state, 3) float64, m, Earth-fixed.
    start, stop
        First and last time of the image, s; the path holds for a few seconds beyond.

    Returns
    -------
    Orbit
        Polynomials of degree 5, least squares of the positions within 40 s of the image.

    Raises
    ------
    InputError
        If the state vectors don't cover the times.
    """
    if len(time) <= _DEGREE or start < time[0] or stop > time[-1]:
        covered = f"{time[0]:.1f}..{time[-1]:.1f} s" if len(time) else "nothing"
        raise InputError(
            f"orbit: {len(time)} state vectors cover {covered} of {start:.1f}..{stop:.1f} s after "
            "the first line; use a product or orbit file whose state vectors cover the scene"
        )

    near = (time > start - _REACH_S) & (time < stop + _REACH_S)
    if near.sum() <= _DEGREE:
        raise InputError(
            f"orbit: {near.sum()} state vectors within {_REACH_S:.0f} s of the image, too few for "
            "its path; use another orbit file, or fetch the product again"
        )

    radius = np.linalg.norm(position[near], axis=-1)
    low, high = _RADIUS_M
    if not ((radius > low) & (radius < high)).all():
        raise InputError(
            f"orbit: a state vector {radius.min() / 1e3:,.0f} to {radius.max() / 1e3:,.0f} km from "
            "the Earth's centre; Sentinel-1 flies at 7,070: fetch the orbit or the product again"
        )

    # Times in -1..1 keep the powers of one size.
    middle = (time[near][0] + time[near][-1]) / 2
    half = (time[near][-1] - time[near][0]) / 2
    powers = np.vander((time[near] - middle) / half, _DEGREE + 1, increasing=True)
    coefficients, *_ = np.linalg.lstsq(powers, position[near], rcond=None)
    return Orbit(np.ascontiguousarray(coefficients.T), float(middle), float(half))
