"""Product layers and their classes."""

from __future__ import annotations

from enum import IntEnum

from floodloom.arrays import NODATA
from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster

PRODUCT = "FLOODLOOM_PRODUCT"
"""Tag of floodloom's own rasters."""

PROBABILITY, FLOOD_MAP, TRUTH = "water_probability", "flood_map", "truth"
"""Its value in some of them."""


CLASS_COLUMN = "class"
"""Column of a map's polygons that holds its value."""


class FloodClass(IntEnum):
    """Values of a flood map."""

    DRY = 0
    PERMANENT = 1
    FLOOD = 2
    EXCLUDED = 3
    NODATA = NODATA


def require_product(raster: ForeignRaster, kinds: tuple[str, ...], wanted: str) -> str | None:
    """Check that a raster isn't another of floodloom's products than is wanted.

    Parameters
    ----------
    raster
        Of floodloom's or of others.
    kinds
        Products that will do.
    wanted
        What should be given, for the message.

    Returns
    -------
    str or None
        The product; None if the raster has no such tag.

    Raises
    ------
    InputError
        If it is another one, whose numbers mean something else.
    """
    product = raster.tags.get(PRODUCT)
    if product is not None and product not in kinds:
        raise InputError(f"{raster.path}: is a {product[:40]!r}; give {wanted}")
    return product
