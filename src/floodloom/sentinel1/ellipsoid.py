"""Places on the WGS 84 ellipsoid in the Earth-fixed frame."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Doubles

SEMI_MAJOR_M = 6378137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY = _FLATTENING * (2 - _FLATTENING)


def geodetic_to_earth_fixed(longitude: Doubles, latitude: Doubles, height: Doubles) -> Doubles:
    """Convert degrees and metres above WGS 84 to Earth-fixed coordinates (..., 3), m."""
    sine, cosine = np.sin(np.radians(latitude)), np.cos(np.radians(latitude))
    curvature = SEMI_MAJOR_M / np.sqrt(1 - _ECCENTRICITY * sine**2)
    around = np.radians(longitude)
    return np.stack(
        [
            (curvature + height) * cosine * np.cos(around),
            (curvature + height) * cosine * np.sin(around),
            (curvature * (1 - _ECCENTRICITY) + height) * sine,
        ],
        axis=-1,
    )


def ellipsoid_radius(latitude: float) -> float:
    """Return the ellipsoid's distance from the Earth's centre at a geocentric latitude (rad), m."""
    semi_minor = SEMI_MAJOR_M * (1 - _FLATTENING)
    return (
        SEMI_MAJOR_M
        * semi_minor
        / float(np.hypot(semi_minor * np.cos(latitude), SEMI_MAJOR_M * np.sin(latitude)))
    )
