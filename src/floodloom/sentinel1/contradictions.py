"""Backscatter of others whose numbers or place contradict what is stated of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.foreign import Kind
from floodloom.raster.grid import COARSEST_M, metres_per_pixel
from floodloom.raster.layers import Layer
from floodloom.raster.windows import Window
from floodloom.sentinel1.bands import CO_POLARISED, CROSS_POLARISED
from floodloom.sentinel1.decibel import decibel_to_power
from floodloom.sentinel1.settings import BackscatterScale

_LEAST, _MOST = -80.0, 45.0  # dB; noise floors lie near -30, corner reflectors below 40

BACKSCATTER: dict[BackscatterScale, Kind] = {
    "power": Kind("backscatter (linear power)", low=-1.0, high=float(decibel_to_power(_MOST))),
    "amplitude": Kind("backscatter (amplitude)", low=-1.0, high=10 ** (_MOST / 20)),
    "db": Kind("backscatter (decibel)", low=_LEAST, high=_MOST),
    "dn": Kind("backscatter (digital numbers)", low=0.0, high=65535.0),
}
"""What numbers backscatter can be. Removing the noise leaves power a little below 0."""

_USUAL: dict[BackscatterScale, tuple[float, float]] = {
    "power": (0.0, 3.0),
    "amplitude": (0.0, 1.7),
    "db": (-45.0, 5.0),
    "dn": (1.0, 20_000.0),
}
_CLIPPED_SHARE, _CLIPPED_PX = 0.001, 50
_FILLS = (-9999.0, -32768.0)
_FLOOR_DB = -45.0  # below it a least value is that of a processor, not of a display
_BRIGHTER_DB = 1.0
_FINEST_M = 0.1
_POLE = 90.5  # a grid's edge may lie half a pixel beyond


def usable(values: Floats) -> Floats:
    """Return the numbers that aren't 0, nor fill values that nobody declared; any shape to (n,)."""
    known: Floats = values[np.isfinite(values) & (values != 0)]
    usual: Floats = known[(known > -9000) & (known < 60_000)]
    return usual


def require_scale(
    values: Floats, scale: BackscatterScale, name: str, known: str = "its name states"
) -> None:
    """Check that numbers are what a scale gives.

    Parameters
    ----------
    values
        Any shape, some of the raster's numbers; NaN = no data.
    scale
        What they should be.
    name
        Of the raster, for messages.
    known
        How a message begins that contradicts the scale.

    Raises
    ------
    InputError
        If they are mostly outside of what land and water give, or of the other scale.
    """
    numbers = usable(values)
    if numbers.size == 0:
        return
    middle, least = float(np.median(numbers)), float(numbers.min())
    low, high = _USUAL[scale]
    if scale == "db" and least >= 0:
        raise InputError(
            f"{name}: {known} decibel but no value is negative, the least is {least:.3g}: linear? "
            "Correct `scale`"
        )
    if scale != "db" and middle < 0:
        raise InputError(
            f"{name}: {known} {scale} but most values are negative, such as {middle:.3g}: decibel? "
            "Correct `scale`"
        )
    if not low <= middle <= high:
        raise InputError(
            f"{name}: {middle:.4g} is its median, which {BACKSCATTER[scale].what} can't be; a "
            "scaled integer? State `scale_factor`, or give its band the scale and offset "
            "(gdal_edit -scale -offset)"
        )


def require_calibrated(layer: Layer, factor: float | None) -> None:
    """Refuse bytes that are meant to be looked at.

    Parameters
    ----------
    layer
        A band.
    factor
        What its numbers are multiplied by, if that is stated.

    Raises
    ------
    InputError
        If it has 8 bits and neither a scale of its own nor a factor, or both of these.
    """
    if layer.is_scaled and factor is not None:
        raise InputError(
            f"{layer.file}: its bands have a scale and offset of their own, which are used; take "
            "`scale_factor` out"
        )
    if layer.dtype.itemsize == 1 and not layer.is_scaled and factor is None:
        raise InputError(
            f"{layer.file}: numbers of 8 bits without a scale are stretched for display, and no "
            "backscatter can be had from them; give the data themselves"
        )


def require_unwrapped(values: Floats, layer: Layer, scale: BackscatterScale) -> None:
    """Refuse digital numbers below 0: unsigned ones that were stored as signed.

    Parameters
    ----------
    values
        Some of the band's numbers, NaN = no data.
    layer
        The band.
    scale
        What they are.
    """
    if scale not in ("dn", "amplitude") or layer.dtype.kind != "i":
        return
    negative = values[(values < 0) & ~np.isin(values, _FILLS)]
    if negative.size:
        raise InputError(
            f"{layer.file}: {scale} can't be negative, but numbers are, such as {negative[0]:g}: "
            "unsigned 16 bits stored as signed? Write them as unsigned, or state what is `nodata`"
        )


def require_some(
    values: Floats, layer: Layer, nodata: Sequence[float], parts: Iterable[Window]
) -> None:
    """Refuse a statement of what is no data that leaves none.

    Parameters
    ----------
    values
        The band's numbers in some parts, NaN = no data.
    layer
        The band.
    nodata
        What is stated to be no data.
    parts
        The parts.

    Raises
    ------
    InputError
        If there are numbers but for this statement.
    """
    if not nodata or np.isfinite(values).any():
        return
    raster = layer.raster.of_kind(Kind(layer.raster.kind.what))
    if any(np.isfinite(raster.numbers(part, layer.band)).any() for part in parts):
        listed = ", ".join(f"{value:g}" for value in nodata)
        raise InputError(
            f"{layer.file}: nothing is left of what was looked at, as {listed} is stated to be no "
            "data; correct `nodata`"
        )


def require_unclipped(values: Floats, name: str) -> None:
    """Refuse decibels that were clipped for display.

    Parameters
    ----------
    values
        Some of the raster's numbers in decibel, NaN = no data.
    name
        Of the raster, for messages.

    Raises
    ------
    InputError
        If more of them are exactly the least, or the greatest, than lie within 1 dB of it.
    """
    numbers = usable(values)
    if numbers.size == 0 or np.ptp(numbers) <= 1:
        return
    for end, near in (
        (float(numbers.min()), numbers <= numbers.min() + 1),
        (float(numbers.max()), numbers >= numbers.max() - 1),
    ):
        count = int((numbers == end).sum())
        enough = max(_CLIPPED_SHARE * numbers.size, _CLIPPED_PX)
        if end > _FLOOR_DB and count >= enough and 2 * count > int(near.sum()):
            raise InputError(
                f"{name}: {count / numbers.size:.1%} of its numbers are exactly {end:g} dB and "
                f"none lie beyond: clipped for display, or no data? Give numbers that aren't "
                f"clipped, or state `nodata` {end:g}"
            )


def warn_of_order(samples: Mapping[str, Floats], scale: BackscatterScale, name: str) -> None:
    """Warn where the cross-polarised band is the brighter one, which land and water don't show."""
    for co, cross in zip(CO_POLARISED, CROSS_POLARISED, strict=True):
        pair = [usable(samples[band]) for band in (co, cross) if band in samples]
        if len(pair) < 2 or not all(numbers.size for numbers in pair):
            continue
        middles = [float(np.median(numbers)) for numbers in pair]
        if scale != "db":
            middles = [10 * np.log10(middle) for middle in middles if middle > 0]
        if len(middles) == 2 and middles[1] > middles[0] + _BRIGHTER_DB:
            get_logger(__name__).warning(
                "%s: %s is %.1f dB brighter than %s; are the bands the other way round?",
                name, cross, middles[1] - middles[0], co,
            )  # fmt: skip


def require_place(layer: Layer) -> None:
    """Check that a band lies on the Earth, by a CRS that fits its corners.

    Raises
    ------
    InputError
        If it has no CRS, metres under one in degrees, or degrees under one in metres.
    """
    grid, name = layer.raster.geobox, layer.file
    if layer.raster.points is not None:
        return
    height, width = grid.shape.yx
    corners = [grid.affine @ (col, row) for col in (0, width) for row in (0, height)]
    x, y = (np.abs(values) for values in np.transpose(corners))
    in_degrees = bool(x.max() <= 360 and y.max() <= _POLE)
    if grid.crs is None:
        code = "EPSG:4326" if in_degrees and not grid.affine.is_identity else "the code of its map"
        raise InputError(
            f"{name}: has no CRS; assign one, for example with gdal_edit -a_srs {code}"
        )
    if grid.crs.geographic and not in_degrees:
        raise InputError(
            f"{name}: its CRS is in degrees, but its corners lie at {corners[0][0]:g} "
            f"{corners[0][1]:g}: metres? Set the right one with gdal_edit -a_srs"
        )
    metres = metres_per_pixel(grid)
    if not _FINEST_M <= metres <= COARSEST_M:
        raise InputError(
            f"{name}: its pixels are {metres:.3g} m by its CRS, which no Sentinel-1 image has: "
            "degrees taken for metres? Set the right one with gdal_edit -a_srs"
        )
