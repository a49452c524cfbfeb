"""The rasters of a flood map, with the colours and names of their values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.mapping.exclusion import REASON_NAMES, Reason
from floodloom.raster.areas import pixel_areas
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import geobox_of
from floodloom.raster.opener import open_raster
from floodloom.raster.product import FloodClass
from floodloom.raster.windows import require_pixels

COLOURS = {
    FloodClass.DRY.value: (238, 238, 238, 255),
    FloodClass.PERMANENT.value: (31, 78, 121, 255),
    FloodClass.FLOOD.value: (230, 85, 13, 255),
    FloodClass.EXCLUDED.value: (120, 120, 120, 255),
}
"""Colours of the classes, RGBA, distinguishable under colour blindness. Dry ground is opaque, since
it would look like ground that nobody saw."""

CLASS_TEXTS = {
    FloodClass.DRY.value: "no water",
    FloodClass.PERMANENT.value: "permanent water",
    FloodClass.FLOOD.value: "flood",
    FloodClass.EXCLUDED.value: "excluded: not observable by radar",
    FloodClass.NODATA.value: "no data",
}
"""What the classes mean."""

_LARGEST = 255  # value of a byte

REASON_TEXTS = {
    Reason.NONE.value: "not excluded",
    **REASON_NAMES,
    FloodClass.NODATA.value: CLASS_TEXTS[FloodClass.NODATA.value],
}
"""What the values of a flood map's second band mean."""


def write_flood_map(
    classes: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    path: str | Path,
    *,
    geobox: GeoBox,
    tags: Mapping[str, str],
) -> Path:
    """Write a flood map: classes in band 1, reasons of exclusion in band 2, 255 = no data in both.

    Names of the values and a style lie beside it, see `floodloom.raster.product`.
    """
    nodata = FloodClass.NODATA.value
    return write_cog(
        np.stack([classes, np.where(classes == nodata, nodata, reasons)]),
        path,
        geobox=geobox,
        nodata=nodata,
        descriptions=("flood class", "reason of exclusion"),
        colormap=COLOURS,
        meanings=(CLASS_TEXTS, REASON_TEXTS),
        tags={**tags, "FLOODLOOM_PRODUCT": "flood_map"},
    )


def read_map(path: str | Path) -> tuple[GeoBox, NDArray[np.uint8], dict[str, str]]:
    """Read a flood map.

    Returns
    -------
    grid
        Its grid.
    bands
        (2, y, x) uint8: classes, and reasons of exclusion.
    tags
        Of the file.

    Raises
    ------
    InputError
        If it can't be read or isn't a flood map of floodloom's.
    """
    with open_raster(path, "flood map") as raster:
        if raster.count != 2 or set(raster.dtypes) != {"uint8"}:
            raise InputError(f"{path}: no flood map of floodloom's; give one that `delineate` made")
        require_pixels(raster.height, raster.width, str(path))
        bands: NDArray[np.uint8] = raster.read()
        tags = dict(raster.tags())
    return geobox_of(path), bands, tags


def write_likelihood(
    likelihood: NDArray[np.uint8], path: str | Path, *, geobox: GeoBox, tags: Mapping[str, str]
) -> Path:
    """Write the likelihood of flood, (y, x) uint8 percent, 255 = no data."""
    return write_cog(
        likelihood,
        path,
        geobox=geobox,
        nodata=FloodClass.NODATA.value,
        descriptions=("likelihood of flood, percent",),
        tags={**tags, "FLOODLOOM_PRODUCT": "flood_likelihood"},
    )


def write_depth(
    depth: NDArray[np.float32], path: str | Path, *, geobox: GeoBox, tags: Mapping[str, str]
) -> Path:
    """Write the depth of the flood, (y, x) float32, m, NaN = no flood or unknown."""
    return write_cog(
        depth,
        path,
        geobox=geobox,
        nodata=np.nan,
        descriptions=("flood depth, m",),
        tags={**tags, "FLOODLOOM_PRODUCT": "flood_depth"},
    )


def class_areas(classes: NDArray[np.uint8], geobox: GeoBox) -> dict[str, float]:
    """Return the area of each class, ha; pixels / 10 000 without a CRS."""
    return _areas(classes, {level.name.lower(): level.value for level in FloodClass}, geobox)


def excluded_areas(reasons: NDArray[np.uint8], geobox: GeoBox) -> dict[str, float]:
    """Return the area that each reason excludes, ha, by its text; pixels / 10 000
    without a CRS. Reasons that exclude nothing aren't listed.
    """
    areas = _areas(reasons, {text: value for value, text in REASON_NAMES.items()}, geobox)
    return {text: area for text, area in areas.items() if area > 0}


def _areas(
    values: NDArray[np.uint8], meanings: Mapping[str, int], geobox: GeoBox
) -> dict[str, float]:
    hectares = pixel_areas(geobox).by_value(values, _LARGEST) / 10_000
    return {name: round(float(hectares[value]), 4) for name, value in meanings.items()}
