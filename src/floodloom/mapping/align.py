"""Bringing a raster onto the grid of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox, geobox_union_conservative
from rasterio.enums import Resampling
from rasterio.warp import reproject

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.grid import geobox_of

Value = TypeVar("Value", bound=np.generic)

_TOLERANCE_PX = 1e-3
_NODATA = 255


def onto_grid(
    values: NDArray[Value],
    source: GeoBox,
    target: GeoBox,
    nodata: float,
    name: str,
    *,
    resampling: Resampling = Resampling.nearest,
) -> NDArray[Value]:
    """Return a raster on another grid.

    Parameters
    ----------
    values
        (y, x), any dtype.
    source, target
        Grid of the raster, and the one it is wanted on.
    nodata
        What stands for no data, also outside the raster.
    name
        Name of the raster, for messages.
    resampling
        How values are found between pixels.

    Returns
    -------
    ndarray
        (y, x), dtype of `values`: shifted by whole pixels where the grids allow it, else resampled,
        which the log says.

    Raises
    ------
    InputError
        If one has a CRS and the other hasn't, or neither has and the sizes differ.
    """
    if source == target:
        return values
    if source.crs is None or target.crs is None:
        if source.crs is None and target.crs is None and values.shape == tuple(target.shape.yx):
            return values
        raise InputError(f"{name}: has no CRS in common with the scene; give rasters on one grid")
    result = np.full(tuple(target.shape.yx), nodata, dtype=values.dtype)
    shift = _whole_shift(source, target)
    if shift is None:
        get_logger(__name__).warning("%s: on another grid; reprojected, %s", name, resampling.name)
        reproject(
            values,
            result,
            src_transform=source.affine,
            src_crs=source.crs.to_wkt(),
            dst_transform=target.affine,
            dst_crs=target.crs.to_wkt(),
            src_nodata=nodata,
            dst_nodata=nodata,
            resampling=resampling,
        )
        return result
    row, col = shift
    top, left = max(row, 0), max(col, 0)
    bottom = min(row + values.shape[0], result.shape[0])
    right = min(col + values.shape[1], result.shape[1])
    if bottom > top and right > left:
        result[top:bottom, left:right] = values[top - row : bottom - row, left - col : right - col]
    return result


def mosaicked(
    percents: Sequence[NDArray[np.uint8]], grids: Sequence[GeoBox], names: Sequence[str]
) -> tuple[NDArray[np.uint8], GeoBox]:
    """Put probabilities of one date together, before any threshold.

    Parameters
    ----------
    percents
        (y, x) uint8 percent each, 255 = no data.
    grids, names
        Their grids, of one CRS and resolution, and names for messages.

    Returns
    -------
    percent, grid
        (y, x) uint8 on the smallest grid that holds all: the mean where several have data.
    """
    if len(percents) == 1:
        return percents[0], grids[0]
    grid = geobox_union_conservative(list(grids))
    total = np.zeros(tuple(grid.shape.yx), dtype=np.uint16)
    count = np.zeros(total.shape, dtype=np.uint8)
    for percent, source, name in zip(percents, grids, names, strict=True):
        placed = onto_grid(percent, source, grid, _NODATA, name)
        known = placed != _NODATA
        total[known] += placed[known]
        count += known
    mean = np.rint(total / np.maximum(count, 1))
    return np.where(count > 0, mean, _NODATA).astype(np.uint8), grid


def before_on_grid(
    before: xr.Dataset, scene: xr.Dataset, *, name: str, mixed_orbits: bool = False
) -> xr.Dataset:
    """Return a scene before the flood on the grid of the scene after it.

    Parameters
    ----------
    before, scene
        Scene stores before and after the flood.
    name
        Name of the scene before, for messages.
    mixed_orbits
        Accept scenes of the other orbit direction.

    Returns
    -------
    xr.Dataset
        `before`, where the grids are the same; else reprojected, backscatter bilinearly, which the
        log says.

    Raises
    ------
    InputError
        If one was taken ascending and the other descending, or the grids can't be related.
    """
    require_orbits(before.attrs, scene.attrs, name=name, mixed_orbits=mixed_orbits)
    source, target = geobox_of(before), geobox_of(scene)
    if source == target:
        return before
    if source.crs is None or target.crs is None:
        raise InputError(f"{name}: has no CRS in common with the scene; give scenes on one grid")
    get_logger(__name__).warning("%s: on another grid; reprojected bilinearly", name)
    bands = before[[str(n) for n, v in before.data_vars.items() if v.dtype.kind == "f"]]
    moved: xr.Dataset = bands.odc.reproject(target, resampling="bilinear", dst_nodata=np.nan)
    renamed = {d: n for d, n in zip(moved.odc.spatial_dims, ("y", "x"), strict=True) if d != n}
    return moved.rename(renamed).assign_attrs(before.attrs)


def require_orbits(
    before: Mapping[str, object],
    scene: Mapping[str, object],
    *,
    name: str,
    mixed_orbits: bool = False,
) -> None:
    """Check that two scenes look at the ground from the same side.

    Parameters
    ----------
    before, scene
        Attributes of the scenes: `orbit_direction`, `relative_orbit`; what isn't there isn't
        checked.
    name
        Name of the scene before, for messages.
    mixed_orbits
        Accept the other orbit direction.

    Raises
    ------
    InputError
        If one was taken ascending and the other descending. Another orbit of the same direction
        is said in the log.
    """
    directions = [str(a.get("orbit_direction", "")).lower() for a in (before, scene)]
    if all(directions) and directions[0] != directions[1]:
        message = f"{name}: taken {directions[0]}, but the scene after the flood {directions[1]}"
        if not mixed_orbits:
            raise InputError(
                f"{message}; slopes and shadows differ, so give a scene of the same direction or "
                "set mixed_orbits"
            )
        get_logger(__name__).warning("%s; slopes and shadows differ", message)
    orbits = [str(a.get("relative_orbit", "")) for a in (before, scene)]
    if all(orbits) and orbits[0] != orbits[1]:
        get_logger(__name__).warning("%s: relative orbit %s, but %s after the flood", name, *orbits)


def _whole_shift(source: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Row and column of the target at which the source begins, if both share their pixels."""
    if source.crs != target.crs or source.resolution != target.resolution:
        return None
    col, row = ~target.affine @ (source.affine.c, source.affine.f)
    if max(abs(col - round(col)), abs(row - round(row))) > _TOLERANCE_PX:
        return None
    return round(row), round(col)
