"""What a mosaic of probabilities states of itself, whoever predicted it."""

from __future__ import annotations

import xarray as xr

LAYERS = ("probability of water, percent", "standard deviation of the members, percent")
"""Bands of a probability mosaic; the second is there where more than one member or view is."""


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
