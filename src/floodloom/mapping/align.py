"""Bringing mosaics and scenes of several dates onto one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.align import onto_grid
from floodloom.raster.budget import require_pixels
from floodloom.raster.grid import geobox_of
from floodloom.raster.nodata import NODATA
from floodloom.raster.parts import join_grids
from floodloom.raster.reproject import reproject_layer


def mosaic_percent(
    percents: Sequence[NDArray[np.uint8]], grids: Sequence[GeoBox], names: Sequence[str]
) -> tuple[NDArray[np.uint8], GeoBox]:
    """Put probabilities of one date together, before any threshold.

    Parameters
    ----------
    percents
        (y, x) uint8 percent each, 255 = no data.
    grids, names
        Their grids, and names for messages; where pixels differ, those of the first count.

    Returns
    -------
    percent, grid
        (y, x) uint8 on the smallest grid that holds all: the mean where several have data.
    """
    if len(percents) == 1:
        return percents[0], grids[0]
    grid = join_grids(grids, ", ".join(names))
    height, width = grid.shape.yx
    require_pixels(height, width, ", ".join(names))
    total = np.zeros(tuple(grid.shape.yx), dtype=np.uint16)
    count = np.zeros(total.shape, dtype=np.uint8)
    for percent, source, name in zip(percents, grids, names, strict=True):
        placed = onto_grid(percent, source, grid, NODATA, name)
        known = placed != NODATA
        total[known] += placed[known]
        count += known
    mean = np.rint(total / np.maximum(count, 1))
    return np.where(count > 0, mean, NODATA).astype(np.uint8), grid


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
        log reports.

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
    bands = {
        str(name): (("y", "x"), reproject_layer(layer.chunk(), target, "bilinear", np.nan))
        for name, layer in before.data_vars.items()
        if layer.dtype.kind == "f"
    }
    return xr.Dataset(bands, coords=xr_coords(target, always_yx=True), attrs=before.attrs)


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
        is logged.
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
