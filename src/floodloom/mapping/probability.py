"""The file of a probability of water, whoever predicted it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr
from odc.geo.geobox import GeoBox

from floodloom.arrays import NODATA
from floodloom.raster.cog import CogProfile
from floodloom.raster.styles import Ramp

LAYERS = ("probability of water, percent", "standard deviation of the members, percent")
"""Bands of a probability mosaic; the second is there where more than one member or view is."""

_RAMP = Ramp({0: (247, 251, 255, 255), 50: (107, 174, 214, 255), 100: (8, 48, 107, 255)}, "%")


def probability_profile(
    geobox: GeoBox, layers: Sequence[str], tags: Mapping[str, str]
) -> CogProfile:
    """Describe the file of a probability of water, uint8 percent, 255 = no data.

    Parameters
    ----------
    geobox
        Its grid.
    layers
        What its bands are; the first is the probability.
    tags
        Its metadata.
    """
    return CogProfile(
        geobox=geobox,
        dtype="uint8",
        nodata=NODATA,
        count=len(layers),
        descriptions=layers,
        unit=_RAMP.unit,
        ramp=_RAMP,
        tags=tags,
    )


def acquisition_tags(store: xr.Dataset) -> dict[str, str]:
    """When and from where the scene was taken, as tags."""
    tags = {
        "ACQUISITION_TIME": "acquisition_time",
        "PLATFORM": "platform",
        "INSTRUMENT_MODE": "instrument_mode",
        "PRODUCT_TYPE": "product_type",
        "ORBIT_DIRECTION": "orbit_direction",
        "RELATIVE_ORBIT": "relative_orbit",
    }
    return {tag: str(store.attrs.get(name, "")) for tag, name in tags.items()}
