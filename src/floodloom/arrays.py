"""Types of arrays, and the value that is no data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

NODATA = 255
"""No data in rasters of bytes: classes, flood maps and percent."""

IGNORE = NODATA
"""Label of a pixel that is not known and doesn't count."""
