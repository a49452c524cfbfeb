"""Map grids: what pixel lies where."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from odc.geo.xr import ODCExtension  # noqa: F401  registers the `.odc` accessor
from rasterio.errors import NotGeoreferencedWarning

from floodloom.errors import InputError
from floodloom.raster.budget import SETTING, most_planned
from floodloom.raster.places import transformer

METRES_PER_DEGREE = 111_320.0
"""Length of a degree of latitude, about."""

COARSEST_M = 5_000.0
"""Widest pixel: a scene of 250 km in 50 of them. More is metres taken for degrees."""

_NORTHERNMOST, _SOUTHERNMOST = 84.0, -80.0


def utm_epsg(longitude: float, latitude: float) -> int:
    """Return the EPSG code of the UTM zone of a place given in degrees, or of UPS near the poles.

    Beyond 84 degrees north and 80 south, where UTM ends, its sister system UPS (polar
    stereographic) begins.

    Source: NGA.SIG.0012, The Universal Grids and the Transverse Mercator and Polar Stereographic
    Map Projections, sections 3 and 10.
    """
    if latitude > _NORTHERNMOST:
        return 32661
    if latitude < _SOUTHERNMOST:
        return 32761
    zone = min(int((longitude + 180.0) // 6.0) + 1, 60)
    return (32600 if latitude >= 0 else 32700) + zone


def metres_per_unit(crs: CRS) -> float:
    """Return the length of a unit of a reference system, m; a degree is one of latitude."""
    return (
        METRES_PER_DEGREE if crs.geographic else float(crs.proj.axis_info[0].unit_conversion_factor)
    )


def metres_per_pixel(grid: GeoBox) -> float:
    """Return the spacing of a grid from north to south, m."""
    return float(abs(grid.resolution.y)) * metres_per_unit(grid.crs)


def spacing_m(resolution: float, crs: CRS) -> float:
    """Return what a recipe calls the spacing of a grid, m.

    Parameters
    ----------
    resolution
        Pixel spacing in the units of the CRS.
    crs
        Of the grid.

    Returns
    -------
    float
        `resolution` itself where the CRS counts in metres. Else to 0.1 m, of degrees that from
        north to south: scenes of one resolution are of one recipe, whatever their latitude.
    """
    unit = metres_per_unit(crs)
    return resolution if unit == 1.0 else round(resolution * unit, 1)


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
        If the bounds are empty, the resolution isn't positive, or there would be more pixels than
        `floodloom.raster.budget.most_planned`.
    """
    left, bottom, right, top = bounds
    if not (right > left and top > bottom and resolution > 0):
        raise InputError(f"grid: bounds {bounds} at resolution {resolution} hold no pixel")
    width, height = (right - left) / resolution, (top - bottom) / resolution
    if not width * height <= most_planned():
        raise InputError(
            f"resolution {resolution:g}: {width:,.0f} x {height:,.0f} px are more than "
            f"{most_planned():,}; the unit of EPSG:{epsg} is the {unit_of(CRS(epsg))}: give a "
            f"greater resolution or smaller bounds, or set {SETTING} to a greater number"
        )
    snapped = BoundingBox(
        math.floor(left / resolution) * resolution,
        math.floor(bottom / resolution) * resolution,
        math.ceil(right / resolution) * resolution,
        math.ceil(top / resolution) * resolution,
        crs=f"EPSG:{epsg}",
    )
    return GeoBox.from_bbox(snapped, resolution=resolution, tight=True)


def unit_of(crs: CRS) -> str:
    """Return the name of the unit of a reference system, such as degree or metre."""
    return str(crs.proj.axis_info[0].unit_name)


def centre_longitude(geobox: GeoBox) -> float:
    """Return the longitude of the middle of a grid, degrees."""
    height, width = geobox.shape.yx
    middle = geobox.affine @ (width / 2, height / 2)
    longitude, _ = transformer(geobox.crs.to_wkt(), "EPSG:4326").transform(*middle)
    return float(longitude)


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
    from floodloom.raster.opener import open_raster  # which needs this module

    with open_raster(path, "raster") as raster:
        if raster.crs is None:
            return pixel_geobox(raster.height, raster.width)
        return GeoBox((raster.height, raster.width), raster.transform, raster.crs)


@contextmanager
def quiet_about_georeference() -> Iterator[None]:
    """Silence rasterio's warning about files without georeference, where none is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
