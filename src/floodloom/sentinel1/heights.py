"""Vertical datums of elevations: heights above a geoid become heights above the ellipsoid.

The geoid's undulation comes from PROJ's own grid, which must lie on this machine: PROJ's fallback
without it, a "ballpark" transformation that leaves heights as they are, would be tens of metres
wrong.

Source: EPSG Dataset, operations from EGM96 height (EPSG:5773) and EGM2008 height (EPSG:3855) to
WGS 84 (EPSG:4979).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer, datadir, network
from pyproj.transformer import TransformerGroup

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.vertical import ELLIPSOID, Vertical

_GEOIDS = {
    "egm96": ("EPSG:4326+5773", "us_nga_egm96_15.tif"),
    "egm2008": ("EPSG:4326+3855", "us_nga_egm08_25.tif"),
}

DATUMS = ("ellipsoid", *_GEOIDS)
"""What elevations may be measured from."""

_CODES = {5773: "egm96", 3855: "egm2008"}


def datum_of(vertical: Vertical | None, asked: str | None, source: str) -> str:
    """Return what the heights of an elevation raster are measured from.

    Parameters
    ----------
    vertical
        What its CRS states; None if nothing.
    asked
        ellipsoid, egm96 or egm2008, or None to go by the CRS; where that states nothing, heights
        are taken as above the ellipsoid, which the log reports.
    source
        Name of the raster, for messages.

    Raises
    ------
    InputError
        If the two contradict one another, or the CRS names heights that can't be converted.
    """
    if vertical is None:
        if asked is None:
            get_logger(__name__).warning(
                "%s: its CRS doesn't state what heights are measured from; taken as the ellipsoid "
                "(dem_heights)",
                source,
            )
        return asked or ELLIPSOID
    known = _CODES.get(vertical.epsg or 0, ELLIPSOID if vertical.name == ELLIPSOID else None)
    if known is None and asked is None:
        raise InputError(
            f"{source}: its heights are {vertical.name}; convert them, or set dem_heights to what "
            f"of {', '.join(DATUMS)} they are close enough to"
        )
    if known is not None and asked is not None and known != asked:
        raise InputError(
            f"{source}: its CRS states {vertical.name} heights, but dem_heights is {asked}; "
            "leave dem_heights out, or correct the CRS"
        )
    return known or asked or ELLIPSOID


def ellipsoidal_heights(
    elevation: NDArray[np.floating], longitude: Doubles, latitude: Doubles, datum: str
) -> NDArray[np.floating]:
    """Return elevations as heights above the WGS 84 ellipsoid.

    Parameters
    ----------
    elevation
        Any shape, floating, m above `datum`; NaN where unknown.
    longitude, latitude
        Of the shape of `elevation`, degrees, WGS 84.
    datum
        ellipsoid, egm96 or egm2008.

    Returns
    -------
    ndarray
        m, of the shape and dtype of `elevation`; NaN where that is.

    Raises
    ------
    InputError
        If the datum is unknown, or its grid isn't on this machine or doesn't cover the places.
    """
    if datum == "ellipsoid":
        return elevation
    undulation = geoid_undulation(longitude, latitude, datum)
    return (elevation + undulation).astype(elevation.dtype)


def geoid_undulation(longitude: Doubles, latitude: Doubles, datum: str) -> Doubles:
    """Return the height of a datum above the WGS 84 ellipsoid.

    It is smooth over kilometres and costs about 1 µs a place: whole rasters interpolate it from a
    lattice.

    Parameters
    ----------
    longitude, latitude
        Any shape, degrees, WGS 84.
    datum
        ellipsoid, egm96 or egm2008.

    Returns
    -------
    ndarray
        float64, m; NaN where longitude or latitude is.

    Raises
    ------
    InputError
        If the datum is unknown, or its grid isn't on this machine or doesn't cover the places.
    """
    places = np.broadcast_arrays(longitude, latitude)
    if datum == "ellipsoid":
        return np.zeros(places[0].shape)
    with _without_network():
        transformer = _transformer(datum)
        *_, above = transformer.transform(*places, np.zeros(places[0].shape))
    height = np.asarray(above)
    known = np.isfinite(places[0]) & np.isfinite(places[1])
    if np.isinf(height[known]).any():
        grid = _GEOIDS[datum][1]
        raise InputError(
            f"dem_heights {datum}: {grid} doesn't cover the scene; replace it by PROJ's own, "
            f"{_remedy(grid)}"
        )
    return np.where(known, height, np.nan)


def require_datum(datum: str) -> None:
    """Check that heights above a datum can be converted on this machine.

    Raises
    ------
    InputError
        If the datum is unknown or its grid isn't on this machine.
    """
    if datum != "ellipsoid":
        with _without_network():
            _transformer(datum)


def _transformer(datum: str) -> Transformer:
    if datum not in _GEOIDS:
        raise InputError(f"dem_heights {datum!r} must be one of {', '.join(DATUMS)}")
    system, grid = _GEOIDS[datum]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Best transformation is not available")
        group = TransformerGroup(system, "EPSG:4979", always_xy=True, allow_ballpark=False)
    for transformer in group.transformers:
        if "vgridshift" in transformer.definition:
            return transformer
    raise InputError(
        f"dem_heights {datum}: PROJ's grid {grid} is neither in {datadir.get_data_dir()} nor in "
        f"{datadir.get_user_data_dir()}; fetch it with {_remedy(grid)}, or give ellipsoidal heights"
    )


def _remedy(grid: str) -> str:
    return f"`projsync --file {grid}` or `pyproj sync --file {grid}`"


@contextmanager
def _without_network() -> Iterator[None]:
    """Keep PROJ from fetching grids: a result must not depend on a download."""
    before = network.is_network_enabled()
    network.set_network_enabled(False)
    try:
        yield
    finally:
        network.set_network_enabled(before)
