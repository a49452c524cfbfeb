"""The area of each class, on the whole map and per polygon of a zones file."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataSourceError

from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.mapping.areas import row_areas
from floodloom.mapping.delineate import FloodClass
from floodloom.mapping.products import class_areas

WHOLE = "whole map"
"""Name of the map among the zones."""

_COLUMNS = ["zone", *(level.name.lower() for level in FloodClass)]


def area_table(
    classes: NDArray[np.uint8], geobox: GeoBox, zones: gpd.GeoDataFrame | None = None
) -> pd.DataFrame:
    """Return the area of each class.

    Parameters
    ----------
    classes
        (y, x) uint8, see `FloodClass`.
    geobox
        Grid.
    zones
        Polygons of zones in any CRS, with a column `zone`; pixels on their borders count by the
        share that is covered.

    Returns
    -------
    DataFrame
        `zone`, and one column per class, ha (pixels / 10 000 without a CRS). The first row is the
        whole map.

    Raises
    ------
    InputError
        If there are zones but the map has no CRS, or the zones have none.
    """
    whole = pd.DataFrame([{"zone": WHOLE, **class_areas(classes, geobox)}])
    if zones is None:
        return whole[_COLUMNS]
    if geobox.crs is None or zones.crs is None:
        raise InputError("zones: map and zones both need a CRS; georeference them or leave it out")
    placed = zones.to_crs(geobox.crs.to_wkt())
    hectares = row_areas(geobox)[:, np.newaxis] / 10_000
    rows = placed[["zone"]].copy()
    for level in FloodClass:
        areas = np.where(classes == level.value, hectares, 0.0)
        source = NumPyRasterSource(areas, *geobox.extent.boundingbox.bbox)
        found = exact_extract(source, placed, "sum", output="pandas")
        rows[level.name.lower()] = found["sum"].to_numpy().round(4)
    table: pd.DataFrame = pd.concat([whole, rows], ignore_index=True)
    return table[_COLUMNS]


def read_zones(path: str | Path) -> gpd.GeoDataFrame:
    """Read a file of polygons; `zone` is their column `name`, else their number from 1.

    Raises
    ------
    InputError
        If the file can't be read.
    """
    try:
        zones = gpd.read_file(path)
    except (DataSourceError, OSError) as error:
        raise InputError(f"{path}: not a readable file of zones ({error})") from error
    numbers = [str(number) for number in range(1, len(zones) + 1)]
    return zones.assign(zone=zones["name"].astype(str) if "name" in zones else numbers)


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as CSV, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return Path(path)
