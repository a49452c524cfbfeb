"""Labels on the grid of a scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import read_raster
from floodloom.tiles.store import IGNORE


def labels_on_grid(path: str | Path, geobox: GeoBox) -> NDArray[np.uint8]:
    """Read a label raster onto a grid by nearest neighbour.

    Parameters
    ----------
    path
        Raster of 0 dry, 1 permanent water, 2 flood, 255 unknown.
    geobox
        Grid of the scene. Without a CRS, the raster must have the same size.

    Returns
    -------
    ndarray
        (y, x) uint8, 255 outside the raster.

    Raises
    ------
    InputError
        If the raster can't be opened or can't be placed.
    """
    shape = tuple(geobox.shape.yx)
    if geobox.crs is None or geobox_of(path).crs is None:
        values, _ = read_raster(path, "label raster")
        if values.shape != shape:
            raise InputError(
                f"{path}: {values.shape} px without a CRS, but the scene is {shape}; "
                "give labels of the scene's size or with a CRS"
            )
        return values.astype(np.uint8)
    with (
        rasterio.open(path) as raster,
        WarpedVRT(
            raster,
            crs=geobox.crs.to_wkt(),
            transform=geobox.affine,
            height=shape[0],
            width=shape[1],
            resampling=Resampling.nearest,
            nodata=IGNORE,
            src_nodata=IGNORE,
        ) as warped,
    ):
        label: NDArray[np.uint8] = warped.read(1).astype(np.uint8)
    return label


def water_labels(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Merge permanent water and flood into water: 0 dry, 1 water, 255 unknown."""
    return np.where(label == IGNORE, IGNORE, label > 0).astype(np.uint8)
