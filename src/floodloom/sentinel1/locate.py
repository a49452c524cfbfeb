"""Where ground lies in radar geometry: exactly on a lattice, interpolated between."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.raster.grid import transformer
from floodloom.raster.windows import Window
from floodloom.sentinel1.geometry import ImageGeometry, ground_range_of
from floodloom.sentinel1.orbit import geodetic_to_earth_fixed

STEP_M = 640.0
"""Greatest distance between nodes on the ground."""

_SIDE = 9

_HEIGHTS = np.cos(np.pi * (2 * np.arange(4) + 1) / 8)[::-1]
_TO_POWERS = np.linalg.inv(np.vander(_HEIGHTS, 4, increasing=True))


@dataclass(frozen=True)
class Lattice:
    """Nodes around a window of a grid.

    The node (0, 0) lies on the centre of the pixel (`row`, `col`) of the grid, neighbours are
    `step` pixels apart. Heights enter as (h − `middle`) / `half`. `image` is (node row, node
    column, 8): the coefficients of line and of slant range (m), by rising power of the height.
    `sight` is (node row, node column, 8): at the middle height, and its change with the height, the
    unit vector to the satellite along the grid's columns, rows and up, and the incidence angle
    (degrees). `metres` is (node row, node
    column, 2): ground distance of one column and of one row.
    """

    row: int
    col: int
    step: int
    middle: float
    half: float
    image: Doubles
    sight: Doubles
    metres: Doubles
    geometry: ImageGeometry

    def around(self, window: Window) -> Lattice:
        """Return the nodes that a window of the grid needs, as they are."""
        top, left = (window.row - self.row) // self.step, (window.col - self.col) // self.step
        bottom = -((self.row - window.row - window.height) // self.step) + 1
        right = -((self.col - window.col - window.width) // self.step) + 1
        rows, cols = slice(top, bottom), slice(left, right)
        return replace(
            self,
            row=self.row + top * self.step,
            col=self.col + left * self.step,
            image=self.image[rows, cols],
            sight=self.sight[rows, cols],
            metres=self.metres[rows, cols],
        )


def lattice_step(metres_per_pixel: float) -> int:
    """Return the pixels between nodes: the power of two from 4 to 64 next below `STEP_M`."""
    wanted = STEP_M / metres_per_pixel
    return int(2 ** np.clip(np.floor(np.log2(wanted)), 2, 6))


def least_spacing_m(geobox: GeoBox) -> float:
    """Return the least distance on the ground between neighbouring pixels of a grid, m."""
    rows, cols = (np.linspace(0, length - 1, _SIDE).astype(np.int64) for length in geobox.shape.yx)
    return float(_axes(geobox, rows, cols).metres.min())


def build_lattice(
    geobox: GeoBox,
    window: Window,
    geometry: ImageGeometry,
    heights: tuple[float, float],
    step: int,
) -> Lattice:
    """Solve the range-Doppler equations around a window of a grid.

    Parameters
    ----------
    geobox
        The whole grid, with a CRS.
    window
        Part of it, or an area that reaches beyond its edges.
    geometry
        Of the radar's image.
    heights
        Least and greatest height that may occur in the whole grid, m above the ellipsoid.
    step
        Pixels between nodes.

    Returns
    -------
    Lattice
    """
    low, high = heights
    middle, half = (low + high) / 2, max((high - low) / 2, 1.0)
    rows, cols, (longitude, latitude) = places_of_nodes(geobox, window, step)
    levels = middle + half * _HEIGHTS
    points = geodetic_to_earth_fixed(
        np.repeat(longitude[..., np.newaxis], len(levels), axis=-1),
        np.repeat(latitude[..., np.newaxis], len(levels), axis=-1),
        levels,
    )
    line, _, distance = geometry.locate(points)

    axes = _axes(geobox, rows, cols)
    sight = np.einsum("yxhk,yxak->yxha", geometry.line_of_sight(points, line), axes.directions)
    angle = np.degrees(np.arccos(np.clip(sight[..., 2:], -1.0, 1.0)))
    sight = np.concatenate([sight, angle], axis=-1)

    # The direction of sight hardly changes with height: a line through it is enough.
    rise = (sight[:, :, -1] - sight[:, :, 0]) / (_HEIGHTS[-1] - _HEIGHTS[0])
    return Lattice(
        row=int(rows[0]),
        col=int(cols[0]),
        step=step,
        middle=middle,
        half=half,
        image=np.concatenate([line @ _TO_POWERS.T, distance @ _TO_POWERS.T], axis=-1),
        sight=np.concatenate([sight.mean(axis=2), rise], axis=-1),
        metres=axes.metres,
        geometry=geometry,
    )


def places_of_nodes(
    geobox: GeoBox, window: Window, step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[Doubles, Doubles]]:
    """Return rows and columns of the nodes around a window, and their places.

    Parameters
    ----------
    geobox
        The whole grid, with a CRS.
    window
        Part of it, or an area that reaches beyond its edges.
    step
        Pixels between nodes.

    Returns
    -------
    rows, columns
        (node row,) and (node column,) int64, multiples of `step`.
    places
        Longitude and latitude, each (node row, node column) float64, degrees.
    """
    rows = _nodes(window.row, window.height, step)
    cols = _nodes(window.col, window.width, step)
    return rows, cols, _places(geobox, rows, cols)


def _nodes(start: int, length: int, step: int) -> NDArray[np.int64]:
    first = start // step
    last = max(-((-(start + length)) // step), first + 1)
    return np.arange(first, last + 1) * step


@dataclass(frozen=True)
class _Axes:
    """Unit vectors of the grid's columns, rows and up, (y, x, axis, 3), and their metres."""

    directions: Doubles
    metres: Doubles


def _places(
    geobox: GeoBox, rows: NDArray[np.floating | np.integer], cols: NDArray[np.floating | np.integer]
) -> tuple[Doubles, Doubles]:
    """Return longitude and latitude (row, col) of pixel centres, degrees."""
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    x, y = np.meshgrid(cols + 0.5, rows + 0.5)
    to_degrees = transformer(geobox.crs.to_wkt(), "EPSG:4326")
    longitude, latitude = to_degrees.transform(a * x + b * y + c, d * x + e * y + f)
    return np.asarray(longitude), np.asarray(latitude)


def _axes(geobox: GeoBox, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> _Axes:
    def surface(down: float, right: float) -> Doubles:
        place = _places(geobox, rows + down, cols + right)
        return geodetic_to_earth_fixed(*place, np.zeros_like(place[0]))

    east = surface(0, 0.5) - surface(0, -0.5)
    south = surface(0.5, 0) - surface(-0.5, 0)
    up = np.cross(south, east)
    metres = np.stack([np.linalg.norm(v, axis=-1) for v in (east, south)], axis=-1)
    vectors = np.stack([east, south, up], axis=2)
    return _Axes(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), metres)


@jit()
def between_rows(nodes, position, row_of_nodes):  # type: ignore[no-untyped-def]
    """Interpolate the nodes (row, col, k) at a row position, into (col, k)."""
    top = min(int(position), nodes.shape[0] - 2)
    weight = position - top
    for col in range(nodes.shape[1]):
        for k in range(nodes.shape[2]):
            row_of_nodes[col, k] = (
                nodes[top, col, k] * (1.0 - weight) + nodes[top + 1, col, k] * weight
            )


@jit(inline="always")
def at(row_of_nodes, left, weight, k):  # type: ignore[no-untyped-def]
    """Interpolate one of the values of a row of nodes."""
    return row_of_nodes[left, k] * (1.0 - weight) + row_of_nodes[left + 1, k] * weight


def image_of_nodes(lattice: Lattice) -> tuple[Doubles, Doubles]:
    """Return line and pixel of the nodes at the least and greatest height, (2, row, column)."""
    levels = [np.vander([h], 4, increasing=True)[0] for h in (-1.0, 1.0)]
    line = np.stack([(lattice.image[..., :4] * level).sum(-1) for level in levels])
    distance = np.stack([(lattice.image[..., 4:] * level).sum(-1) for level in levels])
    geometry = lattice.geometry
    ground = ground_range_of(distance, line * geometry.azimuth_time_interval, geometry.conversion)
    return line, ground / geometry.range_pixel_spacing


def locate_block(
    lattice: Lattice, window: Window, elevation: NDArray[np.float32]
) -> tuple[Doubles, Doubles]:
    """Return where the pixels of a window lie on the radar's image.

    Parameters
    ----------
    lattice
        That covers the window.
    window
        In pixels of the grid.
    elevation
        (y, x) float32 of the window, m above the ellipsoid, NaN where unknown.

    Returns
    -------
    line, pixel
        (y, x) float64; outside the image where there is no image, NaN where no elevation.
    """
    line, pixel = np.empty(elevation.shape), np.empty(elevation.shape)
    geometry, conversion = lattice.geometry, lattice.geometry.conversion
    _locate(
        lattice.image,
        (window.row - lattice.row, window.col - lattice.col),
        lattice.step,
        (lattice.middle, lattice.half),
        elevation,
        (
            conversion.times / geometry.azimuth_time_interval,
            conversion.origins,
            conversion.coefficients / geometry.range_pixel_spacing,
        ),
        line,
        pixel,
    )
    return line, pixel


@jit()
def _locate(  # type: ignore[no-untyped-def]
    nodes, start, step, scale, elevation, conversion, line, pixel
):
    """Go along the rows from node to node, so that the inner loops are plain arithmetic."""
    lines, origins, polynomials = conversion
    between = np.empty((nodes.shape[1], 8))
    width = elevation.shape[1]
    row, distance = np.empty(step), np.empty(step)
    entry = 0
    for y in range(elevation.shape[0]):
        between_rows(nodes, (start[0] + y) / step, between)
        first = 0
        while first < width:
            left = min((start[1] + first) // step, nodes.shape[1] - 2)
            offset = start[1] + first - left * step
            count = min(step - offset, width - first)
            here = slice(first, first + count)
            _polynomial_in_height(
                between[left], between[left + 1], offset, step, scale, elevation[y, here],
                row[:count], distance[:count],
            )  # fmt: skip
            line[y, here] = row[:count]
            entry = _samples_of(
                distance[:count], row[:count], lines, origins, polynomials, entry, pixel[y, here]
            )
            first += count


@jit()
def _polynomial_in_height(  # type: ignore[no-untyped-def]
    before, after, offset, step, scale, elevation, row, distance
):
    for i in range(len(row)):
        w = (offset + i) / step
        v = 1.0 - w
        h = (elevation[i] - scale[0]) / scale[1]
        row[i] = (before[0] * v + after[0] * w) + h * (
            (before[1] * v + after[1] * w)
            + h * ((before[2] * v + after[2] * w) + h * (before[3] * v + after[3] * w))
        )
        distance[i] = (before[4] * v + after[4] * w) + h * (
            (before[5] * v + after[5] * w)
            + h * ((before[6] * v + after[6] * w) + h * (before[7] * v + after[7] * w))
        )


@jit()
def _samples_of(distance, row, lines, origins, polynomials, entry, pixel):  # type: ignore[no-untyped-def]
    """Convert slant ranges to samples; return the entry of the polynomials that was used last."""
    low, high = np.inf, -np.inf
    for i in range(len(row)):
        low, high = min(low, row[i]), max(high, row[i])
    entry = _entry(lines, low, entry)
    if _entry(lines, high, entry) != entry:
        for i in range(len(row)):
            entry = _entry(lines, row[i], entry)
            pixel[i] = _sample_of(distance[i], row[i], lines, origins, polynomials, entry)
        return entry
    following = min(entry + 1, len(lines) - 1)
    span = lines[following] - lines[entry] if following > entry else 1.0
    last = polynomials.shape[1] - 1
    one, other = np.empty(len(row)), np.empty(len(row))
    one[:], other[:] = polynomials[entry, last], polynomials[following, last]
    for k in range(last - 1, -1, -1):
        a, b = polynomials[entry, k], polynomials[following, k]
        for i in range(len(row)):
            one[i] = one[i] * (distance[i] - origins[entry]) + a
            other[i] = other[i] * (distance[i] - origins[following]) + b
    for i in range(len(row)):
        weight = min(max((row[i] - lines[entry]) / span, 0.0), 1.0)
        pixel[i] = one[i] * (1.0 - weight) + other[i] * weight
    return entry


@jit(inline="always")
def _entry(lines, row, entry):  # type: ignore[no-untyped-def]
    """Move to the last polynomial that isn't later than a line."""
    while entry > 0 and row < lines[entry]:
        entry -= 1
    while entry < len(lines) - 2 and row >= lines[entry + 1]:
        entry += 1
    return entry


@jit(inline="always")
def _sample_of(distance, row, lines, origins, polynomials, entry):  # type: ignore[no-untyped-def]
    """Convert slant range to a sample, linearly between the polynomials of two lines."""
    following = min(entry + 1, len(lines) - 1)
    below, above = distance - origins[entry], distance - origins[following]
    last = polynomials.shape[1] - 1
    one, other = polynomials[entry, last], polynomials[following, last]
    for k in range(last - 1, -1, -1):
        one = one * below + polynomials[entry, k]
        other = other * above + polynomials[following, k]
    span = lines[following] - lines[entry] if following > entry else 1.0
    weight = min(max((row - lines[entry]) / span, 0.0), 1.0)
    return one * (1.0 - weight) + other * weight
