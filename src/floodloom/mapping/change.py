"""Whether backscatter has changed since before the flood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Floats
from floodloom.raster.neighbourhood import box_sum
from floodloom.sentinel1.decibel import power_to_decibel

_FLOOR = 1e-6  # linear power, -60 dB


def backscatter_change(after: Floats, before: Floats, window: int = 7) -> Floats:
    """Return the change of backscatter between means over a window.

    Parameters
    ----------
    after, before
        (y, x) float32 linear power of one polarisation, NaN = no data.
    window
        Side of the window, px; averaging 49 pixels of 4.4 looks leaves speckle of .3 dB.

    Returns
    -------
    ndarray
        (y, x) float32, dB, negative where it has become darker; NaN where either has no data
        within the window or at the pixel itself.
    """
    change = power_to_decibel(_mean(after, window) / _mean(before, window))
    seen = np.isfinite(after) & np.isfinite(before)
    return np.where(seen, change, np.nan).astype(np.float32)


def _mean(power: Floats, window: int) -> NDArray[np.float64]:
    known = np.isfinite(power)
    count = box_sum(known.astype(np.float64), window)
    summed = box_sum(np.where(known, power, 0).astype(np.float64), window)
    return np.asarray(np.maximum(summed / np.maximum(count, 1), _FLOOR))
