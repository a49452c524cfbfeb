"""Multitemporal speckle filter: dates lend each other looks, and each keeps its own radiometry.

Source: Quegan and Yu (2001), Filtering of multichannel SAR images, IEEE TGRS 39(11), equation 17
with the weights of uncorrelated images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floodloom.kernels import jit
from floodloom.sentinel1.speckle_moments import Power, as_power, require_window, row_moments


def multitemporal(stack: NDArray[np.float32], window: int, looks: float) -> Power:
    """Return the dates of a stack, each filtered with the help of the others.

    Parameters
    ----------
    stack
        (time, y, x) float32, linear power of one polarisation, quantity and pass, co-registered;
        NaN = no data.
    window
        Side of the window of the local means, px; odd.
    looks
        Equivalent number of looks; has no effect here.

    Returns
    -------
    ndarray
        (time, y, x) float32; NaN where `stack` is. J_k = σ_k / N · Σ_i I_i / σ_i over the N dates
        that are valid at the pixel, σ the local mean. Dates without a positive local mean lend
        nothing. Means are kept to within 1/(looks · window²), by which I/σ differs from 1.

    Raises
    ------
    InputError
        If the window is even or below 3, or the number of looks isn't positive.
    """
    require_window(window, looks)
    filtered: Power = _multitemporal(as_power(stack), window // 2)
    return filtered


@jit()
def _multitemporal(stack, radius):  # type: ignore[no-untyped-def]
    dates, height, width = stack.shape
    filtered = np.empty_like(stack)
    columns = np.empty((3, width + 2 * radius))
    count = np.empty(width)
    variance = np.empty(width)
    mean = np.empty((dates, width))
    for row in range(height):
        for date in range(dates):
            row_moments(stack[date], row, radius, columns, count, mean[date], variance)
        for col in range(width):
            ratios = 0.0
            lenders = 0
            for date in range(dates):
                value = np.float64(stack[date, row, col])
                if value == value and mean[date, col] > 0.0:
                    ratios += value / mean[date, col]
                    lenders += 1
            common = ratios / lenders if lenders else 0.0
            for date in range(dates):
                known = not np.isnan(stack[date, row, col])
                filtered[date, row, col] = common * mean[date, col] if known else np.nan
    return filtered
