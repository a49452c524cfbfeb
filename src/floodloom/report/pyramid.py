"""Rasters as pyramids of image tiles, which a page carries and decodes where it shows them.

Level by level a pixel stands for a block of twice as many pixels each way, until a tile holds the
raster. Tiles are made from top to bottom by strips of rows, of which each level keeps those of one
row of tiles; memory doesn't grow with a raster's height.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.kernels import jit
from floodloom.raster.rows import STRIP, by_strips

SIDE = 512
"""Side of a tile, px."""

OVERVIEW = 1024
"""Longest side of the level that is kept as an array, px."""

Shrink = Callable[[NDArray[Any], int], NDArray[Any]]
Encode = Callable[[NDArray[Any]], bytes]


@dataclass(frozen=True)
class Kind:
    """What pixels of a layer are.

    Attributes
    ----------
    shrink
        From (row, x, …) of even sides, and the level that they are of, from 0, to those of the next
        level, half as many each way.
    encode
        From a tile (y, x, …) to an image; nothing, where there is nothing to be shown.
    overlap
        Rows and columns of the tiles below and to the right that a tile holds, too.
    """

    shrink: Shrink
    encode: Encode
    overlap: int = 0


@dataclass
class Level:
    """A level: pixels of the raster that one stands for each way, and its tiles, row by row."""

    factor: int
    columns: int
    tiles: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Length of its tiles, bytes."""
        return sum(len(tile) for tile in self.tiles)


@dataclass(frozen=True)
class Pyramid:
    """Levels from the finest on, and a coarse one as (y, x, …) of `factor`."""

    levels: list[Level]
    overview: NDArray[Any]
    factor: int

    @property
    def size(self) -> int:
        """Length of all tiles, bytes."""
        return sum(level.size for level in self.levels)


def finest_factor(height: int, width: int, most_pixels: float) -> int:
    """Return the smallest power of two by which a raster shrinks to a number of pixels."""
    return 1 << math.ceil(math.log2(max(height * width / most_pixels, 1)) / 2)


def pyramid(
    shape: tuple[int, int],
    factor: int,
    read: Callable[[int, int], NDArray[Any]],
    kind: Kind,
    threads: int,
) -> Pyramid:
    """Make the pyramid of a raster.

    Parameters
    ----------
    shape
        Height and width of the raster, px.
    factor
        Pixels that one of the finest level stands for each way, a power of two.
    read
        From the first of some rows of the raster, and the one after the last, to those of the
        finest level, (row, x, …); from several threads at once. What is left over at the bottom and
        on the right is a pixel, too.
    kind
        What pixels are.
    threads
        Threads that read, and that encode.
    """
    height, width = (-(-side // factor) for side in shape)
    with ThreadPoolExecutor(threads) as pool:
        levels: list[_Rows] = []
        for number in range(_levels(height, width)):
            levels.append(_Rows(factor * 2**number, number, kind, pool))
        for above, below in pairwise(levels):
            above.next = below
        kept = next(level for level in levels if _side(height, width, level) <= OVERVIEW)
        kept.keeps = []
        rows = max(STRIP // factor, 1) * factor
        for _, part in by_strips(read, shape[0], rows=rows, threads=threads):
            levels[0].add(part)
        levels[0].finish()
    return Pyramid([level.made for level in levels], np.concatenate(kept.keeps), kept.made.factor)


def _levels(height: int, width: int) -> int:
    return 1 + math.ceil(math.log2(max(height / SIDE, width / SIDE, 1)))


def _side(height: int, width: int, level: _Rows) -> int:
    return -(-max(height, width) >> level.number)


class _Rows:
    """The rows of a level that aren't in tiles, or in the next level, yet."""

    def __init__(self, factor: int, number: int, kind: Kind, pool: ThreadPoolExecutor) -> None:
        self.number, self.made = number, Level(factor, 0)
        self.next: _Rows | None = None
        self.keeps: list[NDArray[Any]] | None = None
        self._kind, self._pool = kind, pool
        self._rows: NDArray[Any] | None = None
        self._odd: NDArray[Any] | None = None

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows, (row, x, …), below those that are there."""
        if self.keeps is not None:
            self.keeps.append(rows)
        self._rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        while len(self._rows) >= SIDE + self._kind.overlap:
            self._encode(self._rows[: SIDE + self._kind.overlap])
            self._rows = self._rows[SIDE:]
        if self.next is not None:
            self._hand_on(rows)

    def finish(self) -> None:
        """Make the last tiles of this level and of those after it."""
        if self._rows is not None and len(self._rows):
            self._encode(repeated(self._rows, 0, self._kind.overlap))
        if self.next is not None:
            if self._odd is not None and len(self._odd):
                self._hand_on(self._odd[-1:])
            self.next.finish()

    def _hand_on(self, rows: NDArray[Any]) -> None:
        held = rows if self._odd is None else np.concatenate([self._odd, rows])
        even = len(held) // 2 * 2
        self._odd = held[even:]
        if even and self.next is not None:
            pairs = repeated(held[:even], 1, held.shape[1] % 2)
            self.next.add(self._kind.shrink(pairs, self.number))

    def _encode(self, rows: NDArray[Any]) -> None:
        width = rows.shape[1]
        padded = repeated(rows, 1, self._kind.overlap)
        tiles = [
            padded[:, left : left + SIDE + self._kind.overlap] for left in range(0, width, SIDE)
        ]
        self.made.columns = len(tiles)
        images = self._pool.map(self._kind.encode, tiles)
        self.made.tiles += [base64.b64encode(image).decode() for image in images]


def repeated(values: NDArray[Any], axis: int, times: int) -> NDArray[Any]:
    """Return values with the last of an axis repeated."""
    if not times:
        return values
    last = values[-1:] if axis == 0 else values[:, -1:]
    return np.concatenate([values, *[last] * times], axis=axis)


def every(values: NDArray[Any], level: int) -> NDArray[Any]:
    """Return one pixel of each block of 2 x 2, so that classes are never mixed.

    It is the lower right one and the upper left one by turns, so that it lies near the middle of
    the pixels of the raster that it stands for.
    """
    first = (level + 1) % 2
    return values[first::2, first::2]


def mean(values: NDArray[np.float32], level: int) -> NDArray[np.float32]:
    """Return the mean of each block of 2 x 2 without its NaN; NaN where a block has no data."""
    found: NDArray[np.float32] = _mean(values)
    return found


@jit(error_model="numpy")
def _mean(values):  # type: ignore[no-untyped-def]
    height, width = values.shape[0] // 2, values.shape[1] // 2
    found = np.empty((height, width), dtype=np.float32)
    nothing = np.float32(0)
    for row in range(height):
        upper, lower = values[2 * row], values[2 * row + 1]
        for col in range(width):
            total, known = nothing, 0
            for value in (upper[2 * col], upper[2 * col + 1], lower[2 * col], lower[2 * col + 1]):
                finite = np.isfinite(value)
                total += value if finite else nothing
                known += finite
            found[row, col] = total / known  # without data 0 / 0, which is NaN
    return found


def fit(
    layers: Mapping[str, Pyramid], weights: Mapping[str, float], most: int
) -> dict[str, list[Level]]:
    """Take the finest levels away until all tiles together are small enough.

    Parameters
    ----------
    layers
        Pyramids by name.
    weights
        How many times coarser than one of weight 1 a layer may become before that does.
    most
        Bytes that the tiles may have; the coarsest levels stay whatever they have.

    Returns
    -------
    dict
        The levels that are left of each, from the finest on.
    """

    def finest(name: str) -> float:
        return layers[name].levels[taken[name]].factor / weights[name]

    taken = dict.fromkeys(layers, 0)
    size = sum(layer.size for layer in layers.values())
    while size > most:
        found = [name for name, layer in layers.items() if taken[name] < len(layer.levels) - 1]
        if not found:
            break
        name = min(found, key=finest)
        size -= layers[name].levels[taken[name]].size
        taken[name] += 1

    # The last that was taken away may have been large, and leave room for others.
    for name in sorted(layers, key=finest, reverse=True):
        while taken[name] and size + layers[name].levels[taken[name] - 1].size <= most:
            taken[name] -= 1
            size += layers[name].levels[taken[name]].size
    return {name: layer.levels[taken[name] :] for name, layer in layers.items()}


def as_json(levels: Sequence[Level]) -> list[dict[str, Any]]:
    """Return levels for a page, from the finest on; tiles without anything are empty texts."""
    return [
        {"factor": level.factor, "columns": level.columns, "tiles": level.tiles} for level in levels
    ]
