"""Decibel of linear power."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def power_to_decibel(power: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return 10 log10 of linear power.

    Parameters
    ----------
    power
        Any shape and width, above 0; NaN stays NaN.
    out
        Array to write into, `power` itself as well.

    Returns
    -------
    ndarray
        Decibel, of the width of `power`.
    """
    decibel: NDArray[Any] = np.log10(power, out=out)
    decibel *= 10
    return decibel


def decibel_to_power(decibel: float | NDArray[Any]) -> NDArray[Any]:
    """Return the linear power of decibel of any shape and width; NaN stays NaN."""
    return np.asarray(10 ** (decibel / 10))
