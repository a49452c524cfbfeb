"""Labels from outlines: polygons of a flood within the area that was looked at."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.raster.features import read_features
from floodloom.raster.polygons import has_place, is_areal, on_map


def burn_labels(
    flood: Path, area: Path, geobox: GeoBox, permanent: Path | None = None
) -> NDArray[np.uint8]:
    """Return labels on a grid from outlines in any reference system.

    A pixel has the class of the polygon that its centre lies in.

    Parameters
    ----------
    flood
        Polygons of flooded ground, see `floodloom.raster.features.read_features`; there may be none
        in it.
    area
        Polygons of the ground that was looked at (Copernicus EMS: area of interest). What no
        outline covers is dry within them, and unknown beyond.
    geobox
        Grid of the scene, with a CRS.
    permanent
        Polygons of permanent water (Copernicus EMS: hydrography), which is no flood.

    Returns
    -------
    ndarray
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.

    Raises
    ------
    InputError
        If a file can't be read, holds no polygons or has no reference system, or the grid has none.
    """
    known = _covered(area, geobox)
    label = np.where(known, 0, IGNORE).astype(np.uint8)
    label[known & _covered(flood, geobox)] = 2
    if permanent is not None:
        label[known & _covered(permanent, geobox)] = 1
    return label


def _covered(path: Path, geobox: GeoBox) -> NDArray[np.bool_]:
    outlines = read_features(path, "file of outlines")
    _require_placed(outlines, geobox, path)
    shapes = [shape for shape in on_map(outlines, geobox) if not shape.is_empty]
    shape: tuple[int, int] = geobox.shape.yx
    if not shapes:
        return np.zeros(shape, dtype=np.bool_)
    burnt: NDArray[np.uint8] = rasterize(shapes, shape, transform=geobox.affine, dtype="uint8")
    return burnt.astype(np.bool_)


def _require_placed(outlines: gpd.GeoDataFrame, geobox: GeoBox, path: Path) -> None:
    if geobox.crs is None or outlines.crs is None:
        raise InputError(
            f"{path}: outlines and scene both need a CRS; georeference them (the .prj of a "
            "shapefile), or give a label raster of the scene's size"
        )
    for geometry in outlines.geometry:
        if not is_areal(geometry):
            raise InputError(f"{path}: holds a {geometry.geom_type}; give polygons alone")
        if not has_place(geometry):
            raise InputError(f"{path}: an outline has a corner that isn't a number; draw it anew")
