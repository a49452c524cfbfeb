"""Polygons cut from the final raster."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize, shapes
from scipy.ndimage import mean as label_mean
from shapely.geometry import shape

from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.mapping.areas import pixel_areas
from floodloom.raster.product import FloodClass

CLASS_NAMES = {
    FloodClass.PERMANENT.value: "permanent water",
    FloodClass.FLOOD.value: "flood",
    FloodClass.EXCLUDED.value: "excluded",
}
"""Classes that become polygons."""

_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}
_REFUSALS = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError)
_COLUMNS = ("class", "name", "area_ha", "likelihood")


def flood_polygons(
    classes: NDArray[np.uint8],
    likelihood: NDArray[np.uint8],
    geobox: GeoBox,
    facts: Mapping[str, str],
) -> gpd.GeoDataFrame:
    """Return the patches of a flood map as polygons.

    Parameters
    ----------
    classes
        (y, x) uint8, see `FloodClass`.
    likelihood
        (y, x) uint8 percent of water, 255 = no data.
    geobox
        Grid; without a CRS, polygons are in pixels and areas in pixels / 10 000.
    facts
        Further columns, the same for every polygon (event, date, scene).

    Returns
    -------
    GeoDataFrame
        One row per patch of permanent water, flood or excluded pixels: class, name, area_ha,
        likelihood (mean percent), facts. Rasterised, they are the map to the pixel.
    """
    wanted = np.isin(classes, list(CLASS_NAMES))
    found = shapes(classes, mask=wanted, connectivity=4, transform=geobox.affine)
    pairs = [(shape(geometry), int(value)) for geometry, value in found]
    frame = gpd.GeoDataFrame(
        {
            "class": np.array([value for _, value in pairs], dtype=np.int32),
            "name": [CLASS_NAMES[value] for _, value in pairs],
        },
        geometry=[polygon for polygon, _ in pairs],
        crs=None if geobox.crs is None else geobox.crs.to_wkt(),
    )
    frame["area_ha"], frame["likelihood"] = _measures(frame, likelihood, geobox)
    for name, value in facts.items():
        frame[name] = value
    columns = [*_COLUMNS, *facts, "geometry"]
    return frame[columns].sort_values("area_ha", ascending=False, ignore_index=True)


def _measures(
    frame: gpd.GeoDataFrame, likelihood: NDArray[np.uint8], geobox: GeoBox
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area (ha) and mean likelihood (percent) of each patch, from its pixels."""
    if frame.empty:
        return np.zeros(0), np.zeros(0)
    numbers = np.arange(1, len(frame) + 1)
    numbered = zip(frame.geometry, numbers, strict=True)
    patch = rasterize(numbered, likelihood.shape, transform=geobox.affine, dtype="int32")
    hectares = pixel_areas(geobox).by_value(patch, len(frame))[1:] / 10_000
    means = np.asarray(label_mean(likelihood.astype(np.float64), patch, numbers))
    return hectares, np.round(means, 1)


def require_polygon_file(path: str | Path) -> str:
    """Return the driver for a file of polygons.

    Raises
    ------
    InputError
        If its name ends neither with .gpkg nor with .fgb.
    """
    driver = _DRIVERS.get(Path(path).suffix)
    if driver is None:
        raise InputError(f"{path}: polygons are .gpkg or .fgb; choose one of these endings")
    return driver


def write_polygons(frame: gpd.GeoDataFrame, path: str | Path) -> Path:
    """Write polygons as the layer `flood` of a GeoPackage or as FlatGeobuf, whole or not at all.

    Raises
    ------
    InputError
        See `require_polygon_file`.
    """
    driver = require_polygon_file(path)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        try:
            pyogrio.write_dataframe(
                frame, temporary, layer="flood", driver=driver, geometry_type="Polygon"
            )
            back = pyogrio.read_dataframe(temporary, columns=[])
        except _REFUSALS as error:
            reason = str(error).replace(str(temporary), Path(path).name)
            raise _unwritten(path, reason) from error
        # A disk that is full as a file is closed may go unreported.
        if not np.array_equal(np.sort(back.area), np.sort(frame.area)):
            raise _unwritten(path, "polygons are missing")
    return Path(path)


def _unwritten(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path}: can't be written ({reason}); is the disk full, or the quota?")
