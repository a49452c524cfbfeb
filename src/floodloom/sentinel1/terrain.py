"""How the radar sees the terrain: incidence angles, layover and shadow.

Along the line of sight over the ground a place P is laid over by another, Q, that is as far from
the radar: towards the radar Q then lies deeper than P by tan θ per metre, away from it higher. P is
in shadow if terrain towards the radar rises above the ray, by cot θ per metre.

Source: Kropatsch and Strobl (1990), The generation of SAR layover and shadow maps from digital
elevation models, IEEE TGRS 28(1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from floodloom.kernels import jit
from floodloom.raster.recipe import Flag
from floodloom.raster.windows import Window, crop
from floodloom.sentinel1.locate import Lattice, at, between_rows

LOW_ANGLE_DEG = 20.0
"""Incidence angle below which backscatter of water and land are hard to distinguish."""

_CELL = 32
_CAUTION = 0.97
_LAYOVER, _SHADOW, _LOW_ANGLE = Flag.LAYOVER.value, Flag.SHADOW.value, Flag.LOW_ANGLE.value


@dataclass(frozen=True)
class TerrainView:
    """How each pixel is seen, all (y, x).

    Angles are float32, degrees to 1/256, against the ellipsoid's vertical and against the terrain.
    `area` is float32, m²: the pixel's ground as the radar sees it, perpendicular to the line of
    sight, 0 where it faces away. All are NaN where there is no elevation. `flags` is uint8.
    """

    incidence_angle: NDArray[np.float32]
    local_incidence_angle: NDArray[np.float32]
    area: NDArray[np.float32]
    flags: NDArray[np.uint8]

    def crop(self, margin: int) -> TerrainView:
        """Return the view without that of a margin."""
        return TerrainView(
            crop(self.incidence_angle, margin),
            crop(self.local_incidence_angle, margin),
            crop(self.area, margin),
            crop(self.flags, margin),
        )


def reach_m(height_range: tuple[float, float], incidence_deg: tuple[float, float]) -> float:
    """Return how far on the ground layover and shadow can reach, m."""
    near, far = np.tan(np.radians(incidence_deg))
    return float((height_range[1] - height_range[0]) * max(far, 1 / near))


def view_terrain(
    lattice: Lattice, window: Window, elevation: NDArray[np.float32], margin: int, rim: int = 0
) -> TerrainView:
    """Look at a window of a grid as the radar does.

    Parameters
    ----------
    lattice
        That covers the window.
    window
        In pixels of the grid.
    elevation
        (y, x) float32, m above the ellipsoid, of the window with `margin` more pixels on each side.
    margin
        At least 1; for exact masks at least the distance that layover and shadow can reach, less
        `rim`.
    rim
        So many pixels on each side of the window aren't searched for layover and shadow.

    Returns
    -------
    TerrainView
        Of the window, without the margin.
    """
    shape = window.height, window.width
    angles = np.empty((2, *shape), dtype=np.float32)
    area = np.empty(shape, dtype=np.float32)
    flags = np.zeros(shape, dtype=np.uint8)
    rugged = _rugged_cells(lattice, elevation, margin + rim)
    _view(
        (lattice.sight, lattice.metres, lattice.step, (lattice.middle, lattice.half)),
        (window.row - lattice.row, window.col - lattice.col),
        elevation,
        (margin, rim),
        (float(np.nanmin(elevation)), float(np.nanmax(elevation))),
        rugged,
        (angles, area, flags),
    )
    return TerrainView(angles[0], angles[1], area, flags)


@jit()
def _view(lattice, start, elevation, margins, limits, rugged, view):  # type: ignore[no-untyped-def]
    sight, metres, step, scale = lattice
    margin, rim = margins
    angles, area, flags = view
    height, width = area.shape
    sights = np.empty((sight.shape[1], 8))
    spacings = np.empty((sight.shape[1], 2))
    for y in range(height):
        position = (start[0] + y) / step
        between_rows(sight, position, sights)
        between_rows(metres, position, spacings)
        for x in range(width):
            place = (start[1] + x) / step
            left = min(int(place), sight.shape[1] - 2)
            w = place - left
            row, col = y + margin, x + margin
            z = elevation[row, col]
            if np.isnan(z):
                angles[:, y, x] = np.nan
                area[y, x] = np.nan
                continue

            h = (z - scale[0]) / scale[1]
            east = at(sights, left, w, 0) + h * at(sights, left, w, 4)
            south = at(sights, left, w, 1) + h * at(sights, left, w, 5)
            up = at(sights, left, w, 2) + h * at(sights, left, w, 6)
            dx, dy = at(spacings, left, w, 0), at(spacings, left, w, 1)

            slope_x = _slope(elevation[row, col - 1], z, elevation[row, col + 1]) / dx
            slope_y = _slope(elevation[row - 1, col], z, elevation[row + 1, col]) / dy
            facing = up - slope_x * east - slope_y * south
            steep = np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
            incidence = at(sights, left, w, 3) + h * at(sights, left, w, 7)
            local = np.degrees(np.arccos(min(max(facing / steep, -1.0), 1.0)))
            angles[0, y, x], angles[1, y, x] = _rounded(incidence), _rounded(local)
            area[y, x] = max(facing, 0.0) * dx * dy

            flag = _LOW_ANGLE if angles[0, y, x] < LOW_ANGLE_DEG else 0
            if facing <= 0.0:
                flag |= _SHADOW
            cell = min(row // _CELL, rugged.shape[0] - 1), min(col // _CELL, rugged.shape[1] - 1)
            inside = rim <= y < height - rim and rim <= x < width - rim
            if inside and rugged[cell]:
                flag |= _search(elevation, row, col, (east, south, up), (dx, dy), limits)
            flags[y, x] = flag


def _rugged_cells(
    lattice: Lattice, elevation: NDArray[np.float32], reach: int
) -> NDArray[np.bool_]:
    """Mark cells of 32 pixels near enough to ground so steep that layover or shadow is possible.

    Layover needs a slope of tan θ somewhere on the way, shadow one of cot θ.
    """
    up = np.clip(lattice.sight[..., 2], 0.01, 0.99)
    tangent = np.sqrt(1 - up**2) / up
    least = _CAUTION * min(float(tangent.min()), float(1 / tangent.max()))
    cells = _steep_cells(elevation, *lattice.metres.min(axis=(0, 1)), least)
    return np.asarray(
        scipy.ndimage.binary_dilation(cells, np.ones((3, 3)), iterations=reach // _CELL + 2)
    )


@jit()
def _steep_cells(elevation, dx, dy, least):  # type: ignore[no-untyped-def]
    height, width = elevation.shape
    cells = np.zeros((height // _CELL + 1, width // _CELL + 1), dtype=np.bool_)
    limit = least * least
    for row in range(height - 1):
        for col in range(width - 1):
            a, b = elevation[row, col], elevation[row, col + 1]
            c, d = elevation[row + 1, col], elevation[row + 1, col + 1]
            right, down = max(abs(b - a), abs(d - c)) / dx, max(abs(c - a), abs(d - b)) / dy
            if right * right + down * down >= limit:
                cells[row // _CELL, col // _CELL] = True
    return cells


@jit(inline="always")
def _rounded(angle):  # type: ignore[no-untyped-def]
    """Return an angle to 1/256: smooth layers of such numbers pack well."""
    return np.rint(angle * 256.0) / 256.0


@jit(inline="always")
def _slope(before, here, after):  # type: ignore[no-untyped-def]
    """Rise per pixel by central difference; one-sided beside a hole."""
    if np.isnan(before):
        return 0.0 if np.isnan(after) else after - here
    return here - before if np.isnan(after) else (after - before) / 2.0


@jit()
def _search(elevation, row, col, sight, metres, limits):  # type: ignore[no-untyped-def]
    """Walk towards the radar and away from it, as far as the terrain's heights allow."""
    east, south, up = sight
    level = np.sqrt(east * east + south * south)
    right, down = east / level / metres[0], south / level / metres[1]
    pixels = max(abs(right), abs(down))
    right, down, stride = right / pixels, down / pixels, 1.0 / pixels
    deeper, rising = stride * level / up, stride * up / level
    z = elevation[row, col]
    found = 0

    # Towards the radar, what is deeper lies over the pixel, and what is higher shades it.
    k = 1
    while z - k * deeper > limits[0] or z + k * rising < limits[1]:
        other = _height(elevation, row + k * down, col + k * right)
        if np.isinf(other):
            break
        if other <= z - k * deeper:
            found |= _LAYOVER
        if other > z + k * rising:
            found |= _SHADOW
        k += 1

    # Away from it, what is higher lies over the pixel.
    k = 1
    while z + k * deeper < limits[1] and not found & _LAYOVER:
        other = _height(elevation, row - k * down, col - k * right)
        if np.isinf(other):
            break
        if other >= z + k * deeper:
            found |= _LAYOVER
        k += 1
    return found


@jit(inline="always")
def _height(elevation, row, col):  # type: ignore[no-untyped-def]
    """Return the height between two pixels, one of whose coordinates is whole; inf outside."""
    i, j = int(np.floor(row)), int(np.floor(col))
    if i < 0 or j < 0 or i >= elevation.shape[0] - 1 or j >= elevation.shape[1] - 1:
        return np.inf
    down, right = row - i, col - j
    upper = elevation[i, j] * (1.0 - right) + elevation[i, j + 1] * right
    lower = elevation[i + 1, j] * (1.0 - right) + elevation[i + 1, j + 1] * right
    return upper * (1.0 - down) + lower * down
