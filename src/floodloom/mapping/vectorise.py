"""Polygons cut from the final raster."""

from __future__ import annotations

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

from floodloom.files import atomic_path
from floodloom.mapping.delineate import FloodClass

CLASS_NAMES = {
    FloodClass.PERMANENT.value: "permanent water",
    FloodClass.FLOOD.value: "flood",
    FloodClass.EXCLUDED.value: "excluded",
}
"""Classes that become polygons."""

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
    frame["area_ha"] = frame.area / 10_000
    frame["likelihood"] = _mean_likelihood(frame, classes, likelihood, geobox)
    for name, value in facts.items():
        frame[name] = value
    columns = [*_COLUMNS, *facts, "geometry"]
    return frame[columns].sort_values("area_ha", ascending=False, ignore_index=True)


def _mean_likelihood(
    frame: gpd.GeoDataFrame,
    classes: NDArray[np.uint8],
    likelihood: NDArray[np.uint8],
    geobox: GeoBox,
) -> NDArray[np.float64]:
    if frame.empty:
        return np.zeros(0)
    numbered = zip(frame.geometry, range(1, len(frame) + 1), strict=True)
    patch = rasterize(numbered, classes.shape, transform=geobox.affine, dtype="int32")
    means = label_mean(likelihood.astype(np.float64), patch, np.arange(1, len(frame) + 1))
    return np.round(np.asarray(means), 1)


def write_polygons(frame: gpd.GeoDataFrame, path: str | Path) -> Path:
    """Write polygons as the layer `flood` of a GeoPackage, whole or not at all."""
    with atomic_path(path) as temporary:
        pyogrio.write_dataframe(
            frame, temporary, layer="flood", driver="GPKG", geometry_type="Polygon"
        )
    return Path(path)
