"""Which part of a raster another grid looks at, and the grid of rasters that lie side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.raster.places import transformer
from floodloom.raster.windows import Window

Places = NDArray[np.float64]

_STEPS = 16  # places looked at along a side of a grid
_SAME_PX = 1e-3


def join_grids(grids: Sequence[GeoBox], name: str) -> GeoBox:
    """Return the pixels of the first grid over all of them.

    Parameters
    ----------
    grids
        Grids, each with a CRS. Longitudes may go round.
    name
        What they are, for messages.

    Raises
    ------
    InputError
        If one has no CRS, or lies where the first's has no place for it.
    """
    first = grids[0]
    if len(grids) == 1:
        return first
    if any(grid.crs is None for grid in grids):
        raise InputError(f"{name}: several rasters, but not all have a CRS; give each one")
    found = [_seen_from(first, grid) for grid in grids]
    if any(places.size == 0 for places in found):
        raise InputError(f"{name}: lie too far from one another for one grid; give them apart")
    places = np.concatenate(found, axis=1)
    left, top = np.floor(places.min(axis=1) + _SAME_PX).astype(int)
    right, bottom = np.ceil(places.max(axis=1) - _SAME_PX).astype(int)
    shift = Affine.translation(int(left), int(top))
    return GeoBox((int(bottom - top), int(right - left)), first.affine @ shift, first.crs)


def part_of(source: GeoBox, target: GeoBox, *, margin: int = 0) -> Window | None:
    """Return the part of a raster that another grid looks at.

    Parameters
    ----------
    source, target
        Grids of the raster and of what looks at it, both with a CRS. Longitudes may go round.
    margin
        Further pixels of the raster around that part.

    Returns
    -------
    Window or None
        With some pixels around for interpolation; None where the grid lies elsewhere.
    """
    col, row = _seen_from(source, target)
    if col.size == 0:
        return None
    left, right = _reach(col, target.shape.x, source.shape.x, margin)
    top, bottom = _reach(row, target.shape.y, source.shape.y, margin)
    return Window(top, left, bottom - top, right - left) if bottom > top and right > left else None


def _seen_from(source: GeoBox, target: GeoBox) -> Places:
    """Return (2, n): columns and rows of the source at places all over the target."""
    x, y = _lattice(target, _STEPS)
    if source.crs != target.crs:
        x, y = transformer(target.crs.to_wkt(), source.crs.to_wkt()).transform(x, y)
    known = np.isfinite(x) & np.isfinite(y)
    if source.crs.geographic:
        middle, _ = source.affine @ (source.shape.x / 2, source.shape.y / 2)
        x = x + 360.0 * np.round((middle - x) / 360.0)
    return np.stack((~source.affine) @ (x[known], y[known]))


def _reach(positions: Places, pixels: int, size: int, margin: int) -> tuple[int, int]:
    """Return first and last pixel, with room for interpolation and for what bends between nodes."""
    low, high = float(positions.min()), float(positions.max())
    room = 3.0 * max((high - low) / pixels, 1.0) + 0.02 * (high - low) + margin
    return max(math.floor(low - room), 0), min(math.ceil(high + room), size)


def _lattice(grid: GeoBox, steps: int) -> tuple[Places, Places]:
    """Return x and y of (steps + 1)² places all over a grid, its corners among them."""
    rows, cols = (np.linspace(0.0, n, steps + 1) for n in grid.shape.yx)
    col, row = (values.ravel() for values in np.meshgrid(cols, rows))
    x, y = grid.affine @ (col, row)
    return x, y
