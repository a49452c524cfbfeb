"""Speckle filters on linear power.

Source: Lee (1980), Digital image enhancement and noise filtering by use of local statistics, IEEE
PAMI 2(2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Power = NDArray[np.float32]


def boxcar(power: Power, window: int, looks: float) -> Power:
    """Return the mean of the valid pixels in a window; NaN stays NaN."""
    mean, _ = _moments(power, window)
    return np.where(np.isnan(power), np.nan, mean).astype(np.float32)


def lee(power: Power, window: int, looks: float) -> Power:
    """Return Lee's minimum mean square error estimate.

    Parameters
    ----------
    power
        (y, x) float32, linear power, NaN = no data.
    window
        Side of the window, px.
    looks
        Equivalent number of looks.

    Returns
    -------
    ndarray
        (y, x) float32; NaN where `power` is.
    """
    mean, variance = _moments(power, window)
    noise = mean**2 / looks
    signal = np.maximum((variance - noise) / (1 + 1 / looks), 0.0)
    gain = signal / np.maximum(signal + noise, np.finfo(np.float64).tiny)
    return (mean + gain * (power - mean)).astype(np.float32)


def _moments(power: Power, window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    valid = np.isfinite(power)
    filled = np.where(valid, power, 0).astype(np.float64)
    share = uniform_filter(valid.astype(np.float64), window)
    share = np.maximum(share, 0.5 / window**2)
    mean = uniform_filter(filled, window) / share
    square = uniform_filter(filled**2, window) / share
    return mean, np.maximum(square - mean**2, 0.0)


FILTERS: dict[str, Callable[[Power, int, float], Power]] = {"boxcar": boxcar, "lee": lee}
"""Filters by name; each takes power, window (px) and the equivalent number of looks."""
