"""Outlines of the patches of a map, drawn from top to bottom.

An outline of pixels turns a right angle at each of its corners. So on every line between two rows
its corners are the ends of pieces of the outline, two by two from left to right, and on every line
between two columns from top to bottom: the corners alone, without the way between them, give the
rings. They are kept until their patch is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from floodloom.arrays import Bytes, Doubles
from floodloom.kernels import jit
from floodloom.raster.areas import PixelAreas, Wholes
from floodloom.raster.runs import find_runs, flatten, root_of, sum_along

Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class Patches:
    """Patches of a map, in any order.

    Attributes
    ----------
    value
        (patch,) uint8: of their pixels.
    size
        (patch,) int64: area in the units of `PixelAreas.whole_sums`.
    mean
        (patch,) float64: of a second raster, over their pixels.
    first
        (patch,) int64: their first pixel, counted by rows.
    outline
        (patch,) object: polygons as well-known binary.
    """

    value: Bytes
    size: Wholes
    mean: Doubles
    first: Wholes
    outline: NDArray[np.object_]


@dataclass
class _Sums:
    """What is summed up of each patch: area, pixels, second raster; its value and first pixel."""

    size: Wholes = field(default_factory=lambda: np.zeros(0, np.int64))
    pixels: Wholes = field(default_factory=lambda: np.zeros(0, np.int64))
    total: Wholes = field(default_factory=lambda: np.zeros(0, np.int64))
    first: Wholes = field(default_factory=lambda: np.zeros(0, np.int64))
    value: Bytes = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self.size)

    def columns(self) -> list[NDArray[Any]]:
        return [self.size, self.pixels, self.total, self.first, self.value]


class Outlines:
    """The outlines of the patches of a raster, each as soon as it is complete.

    Patches are joined by the edges of their pixels; polygons are valid and turn as those of GDAL
    do: anticlockwise where y goes up, holes clockwise.

    Parameters
    ----------
    areas
        Areas of the pixels.
    affine
        From columns and rows to the coordinates of the outlines.
    """

    def __init__(self, areas: PixelAreas, affine: Affine) -> None:
        self._areas, self._affine = areas, affine
        width = areas.columns.shape[1]
        self._top = 0
        self._above = np.zeros(width, dtype=np.uint8)
        self._last = tuple(np.zeros(0, np.int32) for _ in range(3))
        self._sums = _Sums()
        self._corners = np.zeros((3, 0), dtype=np.int32)

    def add(self, values: Bytes, other: Bytes) -> Patches:
        """Add a strip, and return the patches that end above its last row.

        Parameters
        ----------
        values
            (row, x) uint8; 0 is no patch.
        other
            (row, x) uint8: the second raster, whose mean is taken.
        """
        at, first, stop = find_runs(values)
        height = len(values)
        above, share = self._areas.nodes(self._top, self._top + height)
        count = len(self._sums)
        parent = np.arange(count + len(first), dtype=np.int32)
        sums = _Sums(
            *(np.concatenate([c, np.zeros(len(first), c.dtype)]) for c in self._sums.columns())
        )
        patch = np.empty(len(first), dtype=np.int32)
        count = _scan(
            values, other, self._top, at, first, stop, self._last, count,
            (self._areas.columns, above, share, self._areas.scale),
            patch, parent, tuple(sums.columns()),
        )  # fmt: skip
        parent = parent[:count]
        flatten(parent)
        corners = _find_corners(values, self._above, self._top, at, stop, parent[patch], self._last)
        corners[0] = parent[corners[0]]
        self._corners[0] = parent[self._corners[0]]
        ends = slice(at[height - 1], at[height])
        self._last = first[ends].copy(), stop[ends].copy(), parent[patch[ends]]
        self._above = values[-1].copy()
        self._top += height
        self._sums = _Sums(*(c[:count] for c in sums.columns()))
        return self._complete(np.concatenate([self._corners, corners], axis=1), parent)

    def finish(self) -> Patches:
        """Return the patches that end at the last row."""
        width = len(self._above)
        below = np.zeros((1, width), dtype=np.uint8)
        none = np.zeros(0, np.int32)
        corners = _find_corners(
            below, self._above, self._top, np.zeros(2, np.int64), none, none, self._last
        )
        self._last = tuple(np.zeros(0, np.int32) for _ in range(3))
        parent = np.arange(len(self._sums), dtype=np.int32)
        return self._complete(np.concatenate([self._corners, corners], axis=1), parent)

    def _complete(self, corners: Numbers, parent: Numbers) -> Patches:
        """Return the patches that don't reach the last row, and keep what is needed of others."""
        is_open = np.zeros(len(parent), dtype=bool)
        is_open[self._last[2]] = True
        done = (parent == np.arange(len(parent))) & ~is_open
        order = (np.cumsum(done) - 1).astype(np.int32)
        of_done = done[corners[0]]
        ready = corners[:, of_done]
        found = self._sums
        made = Patches(
            found.value[done], found.size[done], found.total[done] / found.pixels[done],
            found.first[done], self._drawn(order[ready[0]], ready[1], ready[2], int(done.sum())),
        )  # fmt: skip

        number = (np.cumsum(is_open) - 1).astype(np.int32)
        self._sums = _Sums(*(c[is_open] for c in found.columns()))
        self._corners = corners[:, ~of_done]
        self._corners[0] = number[self._corners[0]]
        self._last = (*self._last[:2], number[self._last[2]])
        return made

    def _drawn(
        self, patch: Numbers, row: Numbers, place: Numbers, count: int
    ) -> NDArray[np.object_]:
        """Return the polygons of complete patches by their corners."""
        cols, rows, rings, polygons = _rings(patch, row, place, count, len(self._above))
        a, b, c, d, e, f = self._affine[:6]
        places = np.stack([c + cols * a + rows * b, f + cols * d + rows * e], axis=1)
        shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, places, (rings, polygons))
        return np.asarray(shapely.to_wkb(shapes), dtype=object)


@jit()
def _scan(  # type: ignore[no-untyped-def]
    values, other, top, at, first, stop, last, count, grid, patch, parent, sums
):
    """Number the patches of a strip, and add up what their runs hold."""
    columns, above, share, scale = grid
    size, pixels, total, begin, value = sums
    along = np.empty(columns.shape[1] + 1, np.int64)
    upper_first, upper_stop, upper_patch = last
    start, end = 0, upper_patch.size
    for row in range(values.shape[0]):
        sum_along(columns, above[row], share[row], scale, along)
        over = start
        for run in range(at[row], at[row + 1]):
            own = values[row, first[run]]
            while over < end and upper_stop[over] <= first[run]:
                over += 1
            number = -1
            look = over
            while look < end and upper_first[look] < stop[run]:
                met = root_of(parent, upper_patch[look])
                if value[met] == own:
                    number = _joined(parent, size, pixels, total, number, met)
                look += 1
            if number < 0:
                number = count
                value[number] = own
                begin[number] = np.int64(top + row) * values.shape[1] + first[run]
                count += 1
            size[number] += along[stop[run]] - along[first[run]]
            pixels[number] += stop[run] - first[run]
            for col in range(first[run], stop[run]):
                total[number] += other[row, col]
            patch[run] = number
        upper_first, upper_stop, upper_patch = first, stop, patch
        start, end = at[row], at[row + 1]
    return count


@jit(inline="always")
def _joined(parent, size, pixels, total, number, other):  # type: ignore[no-untyped-def]
    """Number of the patch that two parts are; that of one, where there is no other yet."""
    if number < 0 or number == other:
        return other
    low, high = min(number, other), max(number, other)
    parent[high] = low
    size[low] += size[high]
    pixels[low] += pixels[high]
    total[low] += total[high]
    return low


@jit()
def _find_corners(  # type: ignore[no-untyped-def]
    values, above, top, at, stop, patch, last
):
    """Corners on the lines above the rows of a strip, from left to right.

    Patch, row, and twice the column: plus 1 where the patch lies to the lower left and upper right,
    not to the upper left and lower right.
    """
    height, width = values.shape
    room = 4 * (patch.size + last[2].size) + 64
    corners = np.empty((3, 2 * room), np.int32)
    count = 0
    _, upper_stop, upper_patch = last
    start, end = 0, upper_patch.size
    upper = above
    for row in range(height):
        lower = values[row]
        over, under = start, at[row]
        tl = bl = np.uint8(0)
        for col in range(width + 1):
            tr = upper[col] if col < width else np.uint8(0)
            br = lower[col] if col < width else np.uint8(0)
            if tl != tr or bl != br:
                while over < end and upper_stop[over] < col:
                    over += 1
                while under < at[row + 1] and stop[under] < col:
                    under += 1
                # A run that ends here lies to the left, and the next one may begin here.
                to_right = over + (over < end and upper_stop[over] == col)
                below_right = under + (under < at[row + 1] and stop[under] == col)
                left = tl != 0 and tl == bl
                right = tr != 0 and tr == br
                upon = tl != 0 and tl == tr
                down = bl != 0 and bl == br
                if tl != 0 and ((not upon and not left) or (upon and left and br != tl)):
                    count = _note(corners, count, upper_patch[over], top + row, 2 * col)
                if tr != 0 and ((not upon and not right) or (upon and right and bl != tr)):
                    count = _note(corners, count, upper_patch[to_right], top + row, 2 * col + 1)
                if bl != 0 and ((not down and not left) or (down and left and tr != bl)):
                    count = _note(corners, count, patch[under], top + row, 2 * col + 1)
                if br != 0 and ((not down and not right) or (down and right and tl != br)):
                    count = _note(corners, count, patch[below_right], top + row, 2 * col)
            tl, bl = tr, br
        upper = lower
        upper_stop, upper_patch = stop, patch
        start, end = at[row], at[row + 1]
    return corners[:, :count].copy()


@jit(inline="always")
def _note(corners, count, patch, row, place):  # type: ignore[no-untyped-def]
    corners[0, count] = patch
    corners[1, count] = row
    corners[2, count] = place
    return count + 1


@jit()
def _by_key(keys, most):  # type: ignore[no-untyped-def]
    """Order by keys from 0 to below `most`; equal ones stay as they are."""
    starts = np.zeros(most + 1, np.int64)
    for key in keys:
        starts[key + 1] += 1
    for key in range(most):
        starts[key + 1] += starts[key]
    order = np.empty(keys.size, np.int64)
    for place in range(keys.size):
        key = keys[place]
        order[starts[key]] = place
        starts[key] += 1
    return order


@jit()
def _rings(patch, row, place, count, width):  # type: ignore[no-untyped-def]
    """Join corners, which are in the order of rows and columns, to closed rings.

    Columns and rows of the rings, where each ring begins, and with which ring each polygon.
    """
    order = _by_key(patch, count)
    patch, row, place = patch[order], row[order], place[order]
    col = place >> 1
    by_column = _by_key(col, width + 1)
    by_column = by_column[_by_key(patch[by_column], count)]
    position = np.empty(order.size, np.int64)
    for number in range(order.size):
        position[by_column[number]] = number

    # Where a patch touches itself, what lies between is parted and the outline stays simple.
    for number in range(order.size - 1):
        twice = (
            patch[number] == patch[number + 1]
            and row[number] == row[number + 1]
            and col[number] == col[number + 1]
        )
        if twice and place[number] & 1 == 0:
            here, there = position[number], position[number + 1]
            position[number], position[number + 1] = there, here
            by_column[there], by_column[here] = number, number + 1

    cols = np.empty(order.size + order.size // 4 + 1, np.int32)
    rows = np.empty(cols.size, np.int32)
    rings = np.empty(order.size // 4 + 2, np.int64)
    polygons = np.zeros(count + 1, np.int64)
    used = np.zeros(order.size, np.bool_)
    length = ring = 0
    rings[0] = 0
    for number in range(order.size):
        if number > 0 and patch[number] != patch[number - 1]:
            polygons[patch[number]] = ring
        if used[number]:
            continue
        is_hole = number > 0 and patch[number] == patch[number - 1]
        across = is_hole  # outlines begin downwards, holes to the right
        now = number
        while not used[now]:
            used[now] = True
            cols[length], rows[length] = col[now], row[now]
            length += 1
            now = now ^ 1 if across else by_column[position[now] ^ 1]
            across = not across
        cols[length], rows[length] = col[number], row[number]
        length += 1
        ring += 1
        rings[ring] = length
    polygons[count] = ring
    return cols[:length].copy(), rows[:length].copy(), rings[: ring + 1].copy(), polygons
