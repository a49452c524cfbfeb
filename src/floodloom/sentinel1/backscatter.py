"""What backscatter of others looks like: its scales, what it can't be, and its empty margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.raster.foreign import Kind
from floodloom.sentinel1.decibel import decibel_to_power

Scale = Literal["power", "amplitude", "decibel"]

_LEAST, _MOST = -80.0, 45.0  # dB; noise floors lie near -30, corner reflectors below 40
_USUAL = {"power": (0.0, 3.0), "amplitude": (0.0, 1.7), "decibel": (-45.0, 5.0)}
MARGIN = 7
"""Side of a square that can't be zeros by chance, px."""

BACKSCATTER: dict[Scale, Kind] = {
    "power": Kind("backscatter (linear power)", low=-1.0, high=float(decibel_to_power(_MOST))),
    "amplitude": Kind("backscatter (amplitude)", low=-1.0, high=10 ** (_MOST / 20)),
    "decibel": Kind("backscatter (decibel)", low=_LEAST, high=_MOST),
}
"""What numbers backscatter can be. Removing the noise leaves power a little below 0."""


def linear_power(values: Floats, scale: Scale) -> Floats:
    """Return linear power from power, amplitude or decibel; NaN stays NaN."""
    if scale == "decibel":
        return decibel_to_power(values)
    return values * values if scale == "amplitude" else values


def require_scale(values: Floats, scale: Scale, name: str) -> None:
    """Check that numbers are what a scale gives.

    Parameters
    ----------
    values
        Any shape, some of the raster's numbers; NaN = no data.
    scale
        What they should be.
    name
        Of the raster, for messages.

    Raises
    ------
    InputError
        If they are mostly outside of what land and water give, or of the other scale.
    """
    kind = BACKSCATTER[scale]
    known = values[np.isfinite(values) & (values != 0)]
    known = known[(known > -9000) & (known < 60_000)]  # undeclared fill values
    if known.size == 0:
        return
    middle, least = float(np.median(known)), float(known.min())
    low, high = _USUAL[scale]
    if scale == "decibel" and least >= 0:
        raise InputError(
            f"{name}: its name states decibel but no value is negative, the least is "
            f"{least:.3g}: linear? Name it after its scale"
        )
    if scale != "decibel" and middle < 0:
        raise InputError(
            f"{name}: its name states {scale} but most values are negative, such as "
            f"{middle:.3g}: decibel? Convert it to linear power"
        )
    if not low <= middle <= high:
        raise InputError(
            f"{name}: {middle:.4g} is its median, which {kind.what} can't be; a scaled integer? "
            "Give its band the scale and offset (gdal_edit -scale -offset), or convert it"
        )


def empty_margins(bands: Sequence[Floats]) -> NDArray[np.bool_]:
    """Return where a scene is empty: squares of exact zeros in every band.

    A single pixel may be 0 where noise was removed, and 0 dB is a number like others; a whole
    neighbourhood that is 0 in all bands holds no data, whether the file declares it or not.

    Parameters
    ----------
    bands
        (y, x) float32 each, NaN = no data; what lies around them counts as empty.

    Returns
    -------
    ndarray
        (y, x) bool. A pixel's value depends on those less than `MARGIN` px away.
    """
    zero = np.zeros(bands[0].shape, dtype=bool)
    empty = np.ones(bands[0].shape, dtype=bool)
    for band in bands:
        zero |= band == 0
        empty &= (band == 0) | np.isnan(band)
    if zero.any():
        cores = minimum_filter(empty, MARGIN, mode="constant", cval=1)
        empty &= maximum_filter(cores, MARGIN, mode="constant", cval=0)
        return empty
    return zero
