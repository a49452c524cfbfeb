"""The file of a probability of water."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odc.geo.geobox import GeoBox

from floodloom.arrays import NODATA
from floodloom.raster.cog import CogProfile
from floodloom.raster.styles import Ramp

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
