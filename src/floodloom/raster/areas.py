"""How large a pixel is on the ground.

A pixel's corners are put on the ellipsoid and from there on an equal-area plane around the middle
of the grid (Lambert azimuthal; Snyder 1987, USGS Professional Paper 1395, section 24), so that its
area is that on the ground in any CRS, unit and orientation. That is done on a lattice; areas are
interpolated between its nodes, which is off by some 1e-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Proj

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.raster.grid import transformer

_NODES_APART = 20_000.0  # m: a projection's scale bends by some 1e-6 in between
_SENTINEL1_PIXEL = 100.0  # m²
_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])  # col, row
_WHOLE_BITS = 62

Wholes = NDArray[np.int64]


@dataclass(frozen=True)
class PixelAreas:
    """Areas of the pixels of a grid, m²; all 1, px², without a CRS.

    Sums are those of whole numbers of a small unit, so that they are the same in whatever order,
    and by whatever parts, pixels are added.

    Attributes
    ----------
    rows, columns
        (node,), and (node, x): the areas at these rows; between them they are interpolated.
    height
        Of the grid, px.
    hectare
        That in the unit of the areas.
    """

    rows: Doubles
    columns: Doubles
    height: int
    hectare: float = 10_000.0

    @property
    def scale(self) -> float:
        """Units of a sum that an area of 1 has: a power of two, by which the whole grid fits."""
        if len(self.rows) == 1 and (self.columns == 1).all():
            return 1.0
        most = float(self.columns.max()) * self.columns.shape[1] * self.height
        return 2.0 ** (_WHOLE_BITS - math.ceil(math.log2(most)))

    def nodes(self, start: int, stop: int) -> tuple[Wholes, Doubles]:
        """Return of some rows the node above each, and how far each lies from it to the next."""
        place = np.interp(np.arange(start, stop), self.rows, np.arange(len(self.rows)))
        above = np.minimum(place.astype(np.int64), max(len(self.rows) - 2, 0))
        return above, place - above

    def strip(self, start: int, stop: int) -> Doubles:
        """Return the areas of the pixels of some rows, (row, x) float64."""
        above, place = self.nodes(start, stop)
        share = place[:, np.newaxis]
        below = np.minimum(above + 1, len(self.rows) - 1)
        return np.asarray(self.columns[above] * (1 - share) + self.columns[below] * share)

    def whole_sums(self, values: NDArray[Any], largest: int, start: int = 0) -> Wholes:
        """Return the area of each value of some rows in units of sums.

        Parameters
        ----------
        values
            (row, x), whole numbers from 0 on, or bool.
        largest
            Largest value that may occur.
        start
            The first of the rows.

        Returns
        -------
        ndarray
            (largest + 1,) int64.
        """
        above, share = self.nodes(start, start + len(values))
        sums = np.zeros(largest + 1, dtype=np.int64)
        numbers = values.view(np.uint8) if values.dtype == bool else values
        _add_areas(numbers, self.columns, above, share, self.scale, sums)
        return sums

    def by_value(self, values: NDArray[Any], largest: int) -> Doubles:
        """Return the area of each value of a raster, (largest + 1,) float64; see `whole_sums`."""
        return self.whole_sums(values, largest) / self.scale


@jit()
def _add_areas(values, columns, above, share, scale, sums):  # type: ignore[no-untyped-def]
    for row in range(values.shape[0]):
        upper, part = columns[above[row]], share[row]
        lower = columns[min(above[row] + 1, columns.shape[0] - 1)]
        for col in range(values.shape[1]):
            area = upper[col] * (1 - part) + lower[col] * part
            sums[values[row, col]] += np.int64(np.rint(area * scale))


def pixel_areas(geobox: GeoBox) -> PixelAreas:
    """Return the areas of the pixels of a grid.

    Parameters
    ----------
    geobox
        Grid in any CRS and orientation; without a CRS every pixel is 1.

    Raises
    ------
    InputError
        If a part of the grid has no place on the ground.
    """
    height, width = geobox.shape.yx
    if geobox.crs is None:
        return PixelAreas(np.zeros(1), np.ones((1, width)), height, 10_000 / _SENTINEL1_PIXEL)
    apart = max(int(_NODES_APART / max(pixel_size(geobox) or (1.0,))), 1)
    rows, cols = (np.linspace(0, n - 1, math.ceil((n - 1) / apart) + 1) for n in (height, width))
    nodes = _shoelace(_corners(geobox, rows, cols))
    across = np.arange(width)
    return PixelAreas(rows, np.stack([np.interp(across, cols, row) for row in nodes]), height)


def pixel_size(geobox: GeoBox) -> tuple[float, float] | None:
    """Return width and height of the pixel in the middle, m on the ground; None without a CRS."""
    if geobox.crs is None:
        return None
    height, width = geobox.shape.yx
    corners = _corners(geobox, np.array([height // 2]), np.array([width // 2]))[..., 0, 0]
    sides = np.hypot(*(np.roll(corners, -1, axis=1) - corners))
    return float(sides[0] + sides[2]) / 2, float(sides[1] + sides[3]) / 2


def crs_name(geobox: GeoBox) -> str | None:
    """Return `EPSG:<code>`, the CRS as WKT where it has no code, or None without one."""
    if geobox.crs is None:
        return None
    code = geobox.crs.to_epsg()
    return f"EPSG:{code}" if code else str(geobox.crs.to_wkt())


def _corners(geobox: GeoBox, rows: Doubles, cols: Doubles) -> Doubles:
    """Corners of pixels on the equal-area plane, (2, corner, row, col) float64, m."""
    across = cols[np.newaxis, np.newaxis, :] + _CORNERS[:, 0, np.newaxis, np.newaxis]
    down = rows[np.newaxis, :, np.newaxis] + _CORNERS[:, 1, np.newaxis, np.newaxis]
    across, down = np.broadcast_arrays(across, down)
    height, width = geobox.shape.yx
    longitude, latitude = _degrees(geobox, across, down)
    middle = _degrees(geobox, np.array([width / 2]), np.array([height / 2]))
    ellipsoid = CRS.from_wkt(geobox.crs.to_wkt()).ellipsoid
    plane = Proj(
        proj="laea", lon_0=float(middle[0][0]), lat_0=float(middle[1][0]),
        a=ellipsoid.semi_major_metre, b=ellipsoid.semi_minor_metre,
    )  # fmt: skip
    return np.stack(plane(longitude, np.clip(latitude, -90, 90)))


def _degrees(geobox: GeoBox, cols: Doubles, rows: Doubles) -> tuple[Doubles, Doubles]:
    """Longitude and latitude, degrees, on the CRS's own ellipsoid; (0, 0) is the grid's corner."""
    crs = _horizontal(CRS.from_wkt(geobox.crs.to_wkt()))
    geographic = crs.geodetic_crs
    x, y = geobox.affine @ (cols, rows)
    places = transformer(crs.to_wkt(), geographic.to_wkt()).transform(x, y)
    if not np.isfinite(places).all():
        raise InputError(
            f"grid in {crs_name(geobox)}: a part lies where this CRS has no ground; crop the raster"
        )
    unit = math.degrees(geographic.axis_info[0].unit_conversion_factor)
    return np.asarray(places[0]) * unit, np.asarray(places[1]) * unit


def _horizontal(crs: CRS) -> CRS:
    """The CRS without a datum transformation or a vertical part that it carries along."""
    if crs.is_bound:
        return _horizontal(crs.source_crs)
    return _horizontal(crs.sub_crs_list[0]) if crs.is_compound else crs


def _shoelace(corners: Doubles) -> Doubles:
    """Areas of polygons with corners (2, corner, …)."""
    x, y = corners
    return np.asarray(np.abs((x * np.roll(y, -1, 0) - y * np.roll(x, -1, 0)).sum(axis=0)) / 2)
