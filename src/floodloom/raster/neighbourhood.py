"""Sums over the neighbourhood of each pixel, beyond the raster there being nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d


def weighted_sum(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Return the sum around each pixel, weighted by its distance in rows and that in columns.

    Parameters
    ----------
    values
        (y, x), finite.
    weights
        (offset,), of an odd number of rows or columns, the middle one being the pixel's own.

    Returns
    -------
    ndarray
        (y, x), of the type of `values`.
    """
    along = correlate1d(values, weights, axis=0, mode="constant")
    return np.asarray(correlate1d(along, weights, axis=1, mode="constant"))


def box_sum(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Return the sum over a square of `side` px around each pixel, of the type of `values`."""
    return weighted_sum(values, np.ones(side))
