"""Water indices of optical images.

Source: McFeeters (1996), IJRS 17(7), equation 1 (NDWI); Xu (2006), IJRS 27(14), equation 2 (MNDWI).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Reflectance = NDArray[np.float32]


def ndwi(green: Reflectance, nir: Reflectance) -> Reflectance:
    """Return (green − nir) / (green + nir), -1..1; NaN where either is NaN or both are 0."""
    return _normalised_difference(green, nir)


def mndwi(green: Reflectance, swir: Reflectance) -> Reflectance:
    """Return (green − swir) / (green + swir), -1..1; NaN where either is NaN or both are 0."""
    return _normalised_difference(green, swir)


def _normalised_difference(one: Reflectance, other: Reflectance) -> Reflectance:
    total = one + other
    safe = np.where(total > 0, total, 1)
    return np.where(total > 0, (one - other) / safe, np.nan).astype(np.float32)
