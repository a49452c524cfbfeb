"""Elevation under a scene, and where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import (
    Bounds,
    centre_longitude,
    common_bounds,
    metres_per_unit,
    projected_bounds,
    transformer,
    united_bounds,
    wrap_longitude,
)
from floodloom.raster.vertical import ELLIPSOID
from floodloom.raster.windows import Window
from floodloom.sentinel1.heights import datum_of, geoid_undulation, require_datum
from floodloom.sentinel1.locate import between_rows, places_of_nodes

LOWEST, HIGHEST = -500.0, 9000.0
"""What an elevation can be on this planet, m: the shore of the Dead Sea lies at -430."""

_ELEVATION = Kind("elevation raster", low=LOWEST, high=HIGHEST)
_UNITS = {
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), 1.0),
    **dict.fromkeys(("dm", "decimetre", "decimeter"), 0.1),
    **dict.fromkeys(("cm", "centimetre", "centimeter"), 0.01),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
    **dict.fromkeys(("us survey foot", "ussft", "us-ft", "ft us"), 1200 / 3937),
}
"""Lengths of the units that elevations are given in, m."""
_AROUND_DEG = 10.0


def elevation_raster(path: str | Path, *, place_needed: bool = True) -> tuple[ForeignRaster, float]:
    """Open a raster of elevations, or a folder of its tiles.

    Parameters
    ----------
    path
        See above; m, or in its band's unit.
    place_needed
        Refuse one without a CRS.

    Returns
    -------
    raster
        What can't be an elevation on this planet is no data in it.
    metres
        Length of its unit, m, by its band's unit or its CRS.

    Raises
    ------
    InputError
        If it can't be opened, has no CRS, or its unit isn't known.
    """
    raster = open_foreign(path, _ELEVATION)
    if place_needed and raster.geobox.crs is None:
        raise InputError(f"{path}: has no CRS; assign one, for example with gdal_edit -a_srs")
    metres = 1.0 if raster.vertical is None else raster.vertical.metres
    unit = (raster.units[0] or "").strip().lower()
    if unit and unit not in _UNITS:
        raise InputError(f"{path}: elevations in {unit!r}; give them in {', '.join(_UNITS)}")
    metres = _UNITS.get(unit, metres)
    limits = replace(_ELEVATION, low=_ELEVATION.low / metres, high=_ELEVATION.high / metres)
    return replace(raster, kind=limits), metres


def elevation_bounds(path: str | Path, crs: str, region: Bounds) -> Bounds | None:
    """Return what an elevation raster covers of a region and 10 degrees around it.

    Parameters
    ----------
    path
        The raster.
    crs
        Reference system of the bounds that are wanted.
    region
        West, south, east and north, degrees; east is over 180 across the antimeridian.

    Returns
    -------
    tuple or None
        Left, bottom, right, top; None if it covers nothing. Beyond the region a raster of the
        whole Earth may not even have a place on the map.

    Raises
    ------
    InputError
        If the raster can't be opened or has no CRS.
    """
    west, south, east, north = region
    around = min(_AROUND_DEG, (360.0 - (east - west)) / 2)
    wide = (
        west - around,
        max(south - _AROUND_DEG, -90.0),
        east + around,
        min(north + _AROUND_DEG, 90.0),
    )
    grid = elevation_raster(path)[0].geobox
    own = grid.crs.to_wkt()
    left, bottom, right, top = grid.boundingbox.bbox
    turns = (-360.0, 0.0, 360.0) if grid.crs.geographic else (0.0,)
    asked = projected_bounds(wide, "EPSG:4326", own)
    if asked is None:
        return None
    shared = [common_bounds((left + turn, bottom, right + turn, top), asked) for turn in turns]
    found = [part for part in shared if part is not None]
    return projected_bounds(united_bounds(found), own, crs, 51) if found else None


_STRIP = 2048
_FINEST = float(1 << 20)  # a raster that shares the grid's pixels is taken as it is
Elevations = NDArray[np.float32]


@dataclass(frozen=True)
class ConstantHeight:
    """An ellipsoid at one height, where there is no elevation model."""

    height: float

    def read(self, geobox: GeoBox, window: Window, step: int) -> Elevations:
        """Return the height at every pixel of a window, (y, x) float32, m."""
        return np.full((window.height, window.width), self.height, dtype=np.float32)

    def height_range(self, geobox: GeoBox, step: int) -> tuple[float, float]:
        """Return the height twice."""
        return self.height, self.height


@dataclass(frozen=True)
class ElevationModel:
    """A raster of elevations above a vertical datum.

    `average` raster pixels in a row and in a column are averaged before anything else, where the
    raster is finer than the grid; `to_pixels` gives columns and rows of these averages. `metres` is
    the length of a unit of elevation, `meridian` the longitude of the raster's middle, where it is
    in degrees.
    """

    raster: ForeignRaster
    height: int
    width: int
    to_pixels: tuple[float, float, float, float, float, float]
    crs: str
    datum: str = ELLIPSOID
    average: int = 1
    metres: float = 1.0
    meridian: float | None = None

    def read(self, geobox: GeoBox, window: Window, step: int) -> Elevations:
        """Read elevations at the pixel centres of a window.

        Parameters
        ----------
        geobox
            The whole grid.
        window
            Part of it; may reach beyond its edges.
        step
            Pixels between the nodes at which coordinates are transformed exactly; bilinear between.

        Returns
        -------
        ndarray
            (y, x) float32, m above the ellipsoid, bilinear; NaN where the raster has none.
        """
        rows, cols, places = places_of_nodes(geobox, window, step)
        nodes = self._nodes(geobox, *places)
        values, top, left = self._around(nodes)
        elevation = np.empty((window.height, window.width), dtype=np.float32)
        start = window.row - rows[0], window.col - cols[0]
        columns = (0.0, self.width // self.average - 1.0)
        columns = (-np.inf, np.inf) if self._turn else columns
        place = top, left, self.height // self.average
        _sample(values, place, columns, nodes, start, step, elevation)
        return elevation

    def height_range(self, geobox: GeoBox, step: int) -> tuple[float, float]:
        """Return the least and the greatest elevation on a grid, m above the ellipsoid.

        Raises
        ------
        InputError
            If the raster has no elevation there.
        """
        height, width = geobox.shape.yx
        low, high = np.inf, -np.inf
        for row in range(0, height, _STRIP):
            window = Window(row, 0, min(_STRIP, height - row), width)
            _, _, places = places_of_nodes(geobox, window, step)
            nodes = self._nodes(geobox, *places)
            values, _, _ = self._around(nodes)
            known = values[np.isfinite(values)]
            if known.size:
                low = min(low, float(known.min() + nodes[..., 2].min()))
                high = max(high, float(known.max() + nodes[..., 2].max()))
        if low > high:
            raise InputError(
                f"{self.raster.path}: doesn't cover the scene; give elevations of its place"
            )
        return low, high

    @property
    def _turn(self) -> int | None:
        """Columns around the Earth, if the raster goes all around it."""
        turn = 360.0 * abs(self.to_pixels[0])
        whole = abs(turn - round(turn)) < 1e-3 and self.width // self.average >= round(turn)
        return round(turn) if self.meridian is not None and whole else None

    def _nodes(self, geobox: GeoBox, longitude: Doubles, latitude: Doubles) -> Doubles:
        """Return raster row, raster column and undulation (m) at places, (y, x, 3)."""
        x, y = transformer("EPSG:4326", self.crs).transform(longitude, latitude)
        if self.meridian is not None:
            # Counted as the raster does, on both sides of the grid's middle without a leap.
            x = wrap_longitude(
                x, float(wrap_longitude(np.array(centre_longitude(geobox)), self.meridian))
            )
        a, b, c, d, e, f = self.to_pixels
        col, row = a * x + b * y + c - 0.5, d * x + e * y + f - 0.5
        return np.stack([row, col, geoid_undulation(longitude, latitude, self.datum)], axis=-1)

    def _around(self, nodes: Doubles) -> tuple[Elevations, int, int]:
        """Read the part of the raster that a window needs, and where it begins."""
        k, turn = self.average, self._turn
        top, left = (int(np.floor(nodes[..., i].min())) - 1 for i in (0, 1))
        bottom, right = (int(np.ceil(nodes[..., i].max())) + 2 for i in (0, 1))
        top, bottom = max(top, 0), min(bottom, self.height // k)
        if turn is None:
            left, right = max(left, 0), min(right, self.width // k)
        if bottom <= top or right <= left:
            return np.full((1, 1), np.nan, dtype=np.float32), 0, 0
        parts = [
            self.raster.read(Window(top * k, start * k, (bottom - top) * k, count * k))
            for start, count in _runs(left, right, turn)
        ]
        filled = np.concatenate(parts, axis=1)
        if self.metres != 1.0:
            filled *= np.float32(self.metres)
        if k > 1:
            shape = (bottom - top, k, right - left, k)
            filled = filled.reshape(shape).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
        return filled, top, left


def open_elevation(path: str | Path, datum: str | None, resolution_m: float) -> ElevationModel:
    """Open a raster of elevations.

    Parameters
    ----------
    path
        Raster, or a folder of its tiles.
    datum
        What its heights are measured from: ellipsoid, egm96 or egm2008; None goes by its CRS.
    resolution_m
        Spacing of the grid that it is read onto.

    Returns
    -------
    ElevationModel

    Raises
    ------
    InputError
        If the raster can't be opened or has no CRS, or its heights can't be converted.
    """
    raster, metres = elevation_raster(path)
    known = datum_of(raster.vertical, datum, raster.path)
    require_datum(known)
    grid = raster.geobox
    spacing = _spacing(grid.affine) * metres_per_unit(grid.crs)
    average = max(int(resolution_m // (spacing * 1.5)), 1)
    middle, _ = grid.affine @ (grid.shape.x / 2, grid.shape.y / 2)
    scaled = grid.affine @ Affine.scale(average)
    return ElevationModel(
        raster=raster,
        height=int(grid.shape.y),
        width=int(grid.shape.x),
        to_pixels=tuple(~scaled)[:6],
        crs=grid.crs.to_wkt(),
        datum=known,
        average=average,
        metres=metres,
        meridian=float(middle) if grid.crs.geographic else None,
    )


def _spacing(affine: Affine) -> float:
    """Return the spacing down a column, in the units of the CRS."""
    return math.hypot(affine.b, affine.e)


def _runs(left: int, right: int, turn: int | None) -> list[tuple[int, int]]:
    """Return first column and number of columns of the runs that cover a range, modulo a turn."""
    if turn is None:
        return [(left, right - left)]
    runs = []
    while left < right:
        start = left % turn
        count = min(turn - start, right - left)
        runs.append((start, count))
        left += count
    return runs


@jit(error_model="numpy")
def _sample(values, place, columns, nodes, start, step, elevation):  # type: ignore[no-untyped-def]
    """Go along the rows from node to node, so that the first loop is plain arithmetic."""
    top, left, height = place
    row, col = start
    between = np.empty((nodes.shape[1], 3))
    last_row, last_col = values.shape[0] - 1, values.shape[1] - 1
    width = elevation.shape[1]
    places = np.empty((3, width))
    for y in range(elevation.shape[0]):
        between_rows(nodes, (row + y) / step, between)
        first = 0
        while first < width:
            node = min((col + first) // step, nodes.shape[1] - 2)
            offset = col + first - node * step
            count = max(min(step - offset, width - first), 1)  # the last may lie on a node
            _along(between[node], between[node + 1], offset, step, places[:, first : first + count])
            first += count

        for x in range(width):
            r, c, up = places[0, x], places[1, x], places[2, x]
            if not (-0.5 <= r <= height - 0.5 and columns[0] - 0.5 <= c <= columns[1] + 0.5):
                elevation[y, x] = np.nan
                continue
            r = np.rint(min(max(r, 0.0), height - 1.0) * _FINEST) / _FINEST
            c = np.rint(min(max(c, columns[0]), columns[1]) * _FINEST) / _FINEST
            above, before = np.floor(r), np.floor(c)
            down, right = r - above, c - before
            i, j = int(above) - top, int(before) - left
            i_next = min(i + 1, last_row) if down > 0.0 else i
            j_next = min(j + 1, last_col) if right > 0.0 else j
            upper = values[i, j] * (1 - right) + values[i, j_next] * right
            lower = values[i_next, j] * (1 - right) + values[i_next, j_next] * right
            elevation[y, x] = upper * (1 - down) + lower * down + up


@jit(error_model="numpy")
def _along(node, after, offset, step, places):  # type: ignore[no-untyped-def]
    """Fill in raster row, raster column and undulation from one node towards the next."""
    for i in range(places.shape[1]):
        w = (offset + i) / step
        v = 1 - w
        places[0, i] = node[0] * v + after[0] * w
        places[1, i] = node[1] * v + after[1] * w
        places[2, i] = node[2] * v + after[2] * w
