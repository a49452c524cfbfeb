"""Optical images on the grid of a radar scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from floodloom.errors import InputError

CLOUD = "cloud"
"""Description of the band that is 1 under cloud or cloud shadow."""


def optical_on_grid(path: str | Path, geobox: GeoBox) -> xr.DataArray:
    """Read an optical image onto a grid and blank its clouds.

    Parameters
    ----------
    path
        Raster whose bands are described: reflectances 0-1 and, optionally, `cloud` (1 = cloud or
        shadow).
    geobox
        Grid of the radar scene, with a CRS.

    Returns
    -------
    xr.DataArray
        (channel, y, x) float32 reflectance by bilinear interpolation; NaN where cloudy or missing.

    Raises
    ------
    InputError
        If the raster can't be opened, has no CRS, or its bands aren't described.
    """
    try:
        raster = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable optical image ({error})") from error
    with raster:
        names = [str(name) for name in raster.descriptions]
        if raster.crs is None or None in raster.descriptions:
            raise InputError(f"{path}: needs a CRS and a description of every band")
        clear = _warped(raster, geobox, Resampling.nearest)
        smooth = _warped(raster, geobox, Resampling.bilinear)
    channels = [name for name in names if name != CLOUD]
    image = np.stack([smooth[names.index(name)] for name in channels])
    if CLOUD in names:
        cloud = clear[names.index(CLOUD)]
        image[:, ~(cloud < 0.5)] = np.nan
    return xr.DataArray(image, dims=("channel", "y", "x"), coords={"channel": channels})


def _warped(
    raster: rasterio.DatasetReader, geobox: GeoBox, resampling: Resampling
) -> NDArray[np.float32]:
    height, width = geobox.shape.yx
    with WarpedVRT(
        raster,
        crs=geobox.crs.to_wkt(),
        transform=geobox.affine,
        height=height,
        width=width,
        resampling=resampling,
        nodata=np.nan,
        dtype="float32",
    ) as warped:
        values: NDArray[np.float32] = warped.read()
    return values
