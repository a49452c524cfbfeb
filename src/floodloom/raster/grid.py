"""Map grids: what pixel lies where."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from odc.geo.xr import ODCExtension  # noqa: F401  registers the `.odc` accessor
from rasterio.errors import NotGeoreferencedWarning

from floodloom.errors import InputError


def utm_epsg(longitude: float, latitude: float) -> int:
    """Return the EPSG code of the UTM zone of a place given in degrees."""
    zone = min(int((longitude + 180.0) // 6.0) + 1, 60)
    return (32600 if latitude >= 0 else 32700) + zone


def grid_from_bounds(
    bounds: tuple[float, float, float, float], epsg: int, resolution: float
) -> GeoBox:
    """Return the north-up grid over `bounds` whose edges are multiples of the resolution.

    Parameters
    ----------
    bounds
        Left, bottom, right, top in the units of the CRS.
    epsg
        EPSG code of the CRS.
    resolution
        Pixel spacing in the units of the CRS.

    Returns
    -------
    GeoBox
        Two grids of one CRS and resolution overlay to the pixel, wherever their bounds lie.

    Raises
    ------
    InputError
        If the bounds are empty or the resolution isn't positive.
    """
    left, bottom, right, top = bounds
    if not (right > left and top > bottom and resolution > 0):
        raise InputError(f"grid: bounds {bounds} at resolution {resolution} hold no pixel")
    snapped = BoundingBox(
        math.floor(left / resolution) * resolution,
        math.floor(bottom / resolution) * resolution,
        math.ceil(right / resolution) * resolution,
        math.ceil(top / resolution) * resolution,
        crs=f"EPSG:{epsg}",
    )
    return GeoBox.from_bbox(snapped, resolution=resolution, tight=True)


def pixel_geobox(height: int, width: int) -> GeoBox:
    """Return the grid of a raster without georeference: x to the right, y down, in pixels."""
    return GeoBox((height, width), Affine.identity(), None)


def geobox_of(source: xr.Dataset | xr.DataArray | str | Path) -> GeoBox:
    """Return the grid of a dataset with `y` and `x`, or of a raster file.

    Raises
    ------
    InputError
        If the file can't be opened.
    """
    if isinstance(source, (str, Path)):
        return _geobox_of_file(Path(source))
    geobox = source.odc.geobox
    if geobox is not None and geobox.crs is not None:
        return geobox
    return pixel_geobox(source.sizes["y"], source.sizes["x"])


def _geobox_of_file(path: Path) -> GeoBox:
    try:
        with quiet_about_georeference(), rasterio.open(path) as raster:
            if raster.crs is None:
                return pixel_geobox(raster.height, raster.width)
            return GeoBox((raster.height, raster.width), raster.transform, raster.crs)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable raster ({error})") from error


@contextmanager
def quiet_about_georeference() -> Iterator[None]:
    """Silence rasterio's warning about files without georeference, where none is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
