"""Where rasters of others lie: the grid, control points and vertical reference of a file."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import ProjError
from rasterio.errors import CRSError as RasterioCRSError

from floodloom.errors import InputError, library_text
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.points import ControlPoints, control_points
from floodloom.raster.vertical import Vertical, split


def grid_of(raster: rasterio.DatasetReader, name: str, *, points: bool) -> GeoBox:
    """Return the grid of a file, or refuse one that can't be trusted."""
    shape, transform = (raster.height, raster.width), raster.transform
    if raster.crs is None and raster.gcps[0]:
        if points:
            return pixel_geobox(*shape)
        raise InputError(
            f"{name}: has ground control points only; put it on a grid, for example with "
            "`gdalwarp -r near`"
        )
    if raster.crs is None and _axes_are_degrees(raster):
        return placed_grid(shape, transform, CRS.from_epsg(4326).to_wkt(), name)
    if raster.crs is not None and transform.is_identity and raster.driver == "netCDF":
        raise InputError(
            f"{name}: has a CRS but no place in it; state what its axes are (standard_name), as "
            "rioxarray's write_coordinate_system does"
        )
    wkt = None if raster.crs is None else _wkt(raster, name)
    return placed_grid(shape, transform, wkt, name)


def placed_grid(shape: tuple[int, int], transform: Affine, crs: str | None, name: str) -> GeoBox:
    """Return the grid that a file states, or refuse one that can't be trusted.

    Parameters
    ----------
    shape
        Height and width, px.
    transform
        From pixels to the map; without a CRS the identity is that of pixels.
    crs
        Reference system, WKT, of which heights are dropped.
    name
        Of the file, for messages.

    Raises
    ------
    InputError
        If the corners aren't numbers, there is a CRS without a place in it, or it is no map's.
    """
    if not np.isfinite(transform).all():
        raise InputError(f"{name}: has corners that aren't numbers; set them with `gdal_edit`")
    if crs is None:
        return pixel_geobox(*shape) if transform.is_identity else GeoBox(shape, transform, None)
    if transform.is_identity or transform.is_degenerate:
        raise InputError(
            f"{name}: has a CRS but no place in it; set its corners, for example with "
            "`gdal_edit -a_ullr`"
        )
    horizontal = _halves(crs, name)[0]
    kind = CRS.from_wkt(horizontal)
    if not (kind.is_projected or kind.is_geographic) or kind.is_geocentric:
        raise InputError(
            f"{name}: its CRS ({kind.name[:80]}) isn't a map's; set the right one with "
            "`gdal_edit -a_srs`"
        )
    return GeoBox(shape, transform, horizontal)


def _axes_are_degrees(raster: rasterio.DatasetReader) -> bool:
    """Whether the axes of a variable of NetCDF are longitude and latitude.

    Source: NetCDF Climate and Forecast Metadata Conventions 1.11, sections 4.1 and 4.2.
    """
    units = {value for key, value in raster.tags().items() if key.endswith("#units")}
    return {"degrees_north", "degrees_east"} <= units and not raster.transform.is_identity


def control_points_of(raster: rasterio.DatasetReader, name: str) -> ControlPoints:
    """Return the ground control points of a file, or refuse those without a CRS."""
    points, crs = raster.gcps
    if crs is None:
        raise InputError(f"{name}: its ground control points have no CRS; put it on a grid")
    return control_points(points, _halves(crs.to_wkt(version="WKT2_2019"), name)[0], name)


def vertical_of(raster: rasterio.DatasetReader, name: str) -> Vertical | None:
    """Return what the heights of a file are measured from; None where its CRS states nothing."""
    return _halves(_wkt(raster, name), name)[1]


def _wkt(raster: rasterio.DatasetReader, name: str) -> str:
    try:
        return str(raster.crs.to_wkt(version="WKT2_2019"))
    except RasterioCRSError as error:
        raise _strange(name, error) from error


def _halves(crs: str, name: str) -> tuple[str, Vertical | None]:
    try:
        return split(crs)
    except (ProjError, ValueError) as error:
        raise _strange(name, error) from error


def _strange(name: str, error: Exception) -> InputError:
    reason = library_text(error, 120)
    return InputError(
        f"{name}: its CRS can't be understood ({reason}); set it with `gdal_edit -a_srs`"
    )
