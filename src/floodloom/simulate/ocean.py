"""Backscatter of open water from wind and incidence."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Doubles

_C = (
    -0.6878, -0.7957, 0.3380, -0.1728, 0.0, 0.0040, 0.1103, 0.0159, 6.7329, 2.7713, -2.2885,
    0.4971, -0.7250, 0.0450, 0.0066, 0.3222, 0.0120, 22.7, 2.0813, 3.0, 8.3659, -3.3428, 1.3236,
    6.2437, 2.3893, 0.3249, 4.1590, 1.6930,
)  # fmt: skip


def water_vv(wind: Doubles, direction: float, incidence_deg: Doubles | float) -> Doubles:
    """Return the VV backscatter of open water by CMOD5.N.

    Source: Hersbach, CMOD5.N: A C-band geophysical model function for equivalent neutral wind,
    ECMWF Technical Memorandum 554 (2008).

    Parameters
    ----------
    wind
        Speed at 10 m height, m/s, above 0.
    direction
        Angle between wind and radar, degrees: 0 blows towards it.
    incidence_deg
        Degrees, 17-66.

    Returns
    -------
    ndarray
        sigma0, linear.
    """
    c = (0.0, *_C)
    v = np.maximum(np.asarray(wind, dtype=np.float64), 0.2)
    x = (np.asarray(incidence_deg, dtype=np.float64) - 40) / 25
    a0 = c[1] + c[2] * x + c[3] * x**2 + c[4] * x**3
    a1 = c[5] + c[6] * x
    a2 = c[7] + c[8] * x
    gamma = c[9] + c[10] * x + c[11] * x**2
    s0 = c[12] + c[13] * x
    s = a2 * v
    a3 = 1 / (1 + np.exp(-np.maximum(s, s0)))
    a3 = np.where(s < s0, a3 * (s / s0) ** (s0 * (1 - a3)), a3)
    b0 = a3**gamma * 10 ** (a0 + a1 * v)

    b1 = c[15] * v * (0.5 + x - np.tanh(4 * (x + c[16] + c[17] * v)))
    b1 = (c[14] * (1 + x) - b1) / (np.exp(0.34 * (v - c[18])) + 1)
    v0 = c[21] + c[22] * x + c[23] * x**2
    d1 = c[24] + c[25] * x + c[26] * x**2
    d2 = c[27] + c[28] * x
    y0, n = c[19], c[20]
    a, b = y0 - (y0 - 1) / n, 1 / (n * (y0 - 1) ** (n - 1))
    v2 = v / v0 + 1
    v2 = np.where(v2 < y0, a + b * (v2 - 1) ** n, v2)
    b2 = (-d1 + d2 * v2) * np.exp(-v2)
    angle = np.radians(direction)
    return np.asarray(b0 * (1 + b1 * np.cos(angle) + b2 * np.cos(2 * angle)) ** 1.6)


def water_vh(wind: Doubles) -> Doubles:
    """Return the VH backscatter of open water, sigma0, linear, from wind in m/s.

    It doesn't depend on incidence nor direction. Source: Vachon and Wolfe, C-band
    cross-polarization wind speed retrieval, IEEE Geoscience and Remote Sensing Letters 8 (2011)
    456-459, doi 10.1109/LGRS.2010.2085417.
    """
    return np.asarray(10 ** ((0.592 * np.asarray(wind) - 35.6) / 10))
