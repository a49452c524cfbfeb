"""The minimum mapping unit: small patches are given to their surroundings, strip by strip."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Bytes, Mask
from floodloom.kernels import jit
from floodloom.raster.areas import PixelAreas, Wholes
from floodloom.raster.rows import STRIP, Rows, StoredMask, by_strips, toggle_runs
from floodloom.raster.runs import find_runs, flatten, root_of, sum_along

Numbers = NDArray[np.int32]

LAND, WATER = 1, 2
_ALMOST = 0.998
"""Share of the minimum that is enough: the scale of UTM makes .2 % of difference within a zone, and
thirty pixels of 10 m are meant to be .3 ha in all of it."""


def sieve_patches(
    water: Rows,
    seen: Rows,
    minimum: float,
    areas: PixelAreas,
    *,
    rows: int = STRIP,
    threads: int = 1,
) -> StoredMask:
    """Give patches of water or land smaller than a minimum to their surroundings.

    A patch becomes what its largest neighbour is; where that is too small itself, what the largest
    neighbour of that one is, and so on, as GDAL's sieve does with patches counted in pixels.

    Parameters
    ----------
    water, seen
        (y, x) bool; patches are joined by their edges and end where nothing is seen.
    minimum
        Smallest area of a patch, in the unit of `areas`.
    areas
        Areas of the pixels.
    rows, threads
        Rows of a strip, and strips that are read at once; they change nothing of the result.

    Returns
    -------
    StoredMask
        (y, x) bool: water; a patch without neighbours stays as it is, however small.
    """

    def read(start: int, stop: int) -> Bytes:
        part = slice(start, stop)
        return np.asarray(np.where(water[part], WATER, LAND) * seen[part], np.uint8)

    sieve = Sieve(areas, minimum)
    for _, values in by_strips(read, water.shape[0], rows=rows, threads=threads):
        sieve.add(values)
    return sieve.finish()


@dataclass
class _Patches:
    """Patches that aren't decided on, by their numbers.

    `size` int64 in units of sums; `value` uint8; `large` bool: whether one of the neighbours is
    large enough to take it in; `pairs` (2, n) int32: neighbours that were both too small so far.
    """

    size: Wholes = field(default_factory=lambda: np.zeros(0, np.int64))
    value: Bytes = field(default_factory=lambda: np.zeros(0, np.uint8))
    large: Mask = field(default_factory=lambda: np.zeros(0, bool))
    pairs: Numbers = field(default_factory=lambda: np.zeros((2, 0), np.int32))

    def __len__(self) -> int:
        return len(self.size)


@dataclass
class _Runs:
    """Runs of pixels: row, first column, the one after the last, and number of the patch."""

    row: Wholes = field(default_factory=lambda: np.zeros(0, np.int64))
    first: Numbers = field(default_factory=lambda: np.zeros(0, np.int32))
    stop: Numbers = field(default_factory=lambda: np.zeros(0, np.int32))
    patch: Numbers = field(default_factory=lambda: np.zeros(0, np.int32))

    def __getitem__(self, which: Mask | slice) -> _Runs:
        return _Runs(self.row[which], self.first[which], self.stop[which], self.patch[which])

    def __add__(self, other: _Runs) -> _Runs:
        return _Runs(
            np.concatenate([self.row, other.row]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.stop, other.stop]),
            np.concatenate([self.patch, other.patch]),
        )


class Sieve:
    """What `sieve_patches` does, strip after strip from top to bottom.

    A patch is decided on as soon as it is complete and one of its neighbours is large enough. What
    is kept until then is its size and its runs of pixels, which are few: the patch is small.

    Parameters
    ----------
    areas
        Areas of the pixels.
    minimum
        Smallest area of a patch, in the unit of `areas`.
    """

    def __init__(self, areas: PixelAreas, minimum: float) -> None:
        self._areas = areas
        self._least = int(np.ceil(_ALMOST * minimum * areas.scale))
        self._mask = StoredMask(areas.columns.shape[1])
        self._patches = _Patches()
        self._runs = _Runs()  # of patches that may yet change
        self._last = _Runs()  # of the row above the next strip
        self._late: list[_Runs] = []  # that change in strips which are stored

    def add(self, values: Bytes) -> None:
        """Add a strip, (row, x) uint8: 0 where nothing is seen, 1 land, 2 water."""
        top, mask = self._mask.shape[0], values == WATER
        if self._least > 0:
            runs, parent = self._scanned(values, top)
            changed = self._decided(runs, parent, top + len(values))
            here = changed.row >= top
            now = changed[here]
            toggle_runs(mask, now.row - top, now.first, now.stop)
            self._late.append(changed[~here])
        self._mask.append(mask)

    def _scanned(self, values: Bytes, top: int) -> tuple[_Runs, Numbers]:
        """Number the patches of a strip, those of the row above going on, and take up their runs.

        Returns the runs of the strip, and the number that each number stands for.
        """
        at, first, stop = find_runs(values)
        above, share = self._areas.nodes(top, top + len(values))
        known, last = self._patches, self._last
        room = len(known) + len(first)
        parent = np.arange(room, dtype=np.int32)
        size, value, large = (
            np.concatenate([part, np.zeros(len(first), part.dtype)])
            for part in (known.size, known.value, known.large)
        )
        patch = np.empty(len(first), dtype=np.int32)
        pairs = np.empty((2, 3 * len(first) + len(last.patch)), dtype=np.int32)
        count, met = _scan(
            values, at, first, stop, (last.first, last.stop, last.patch), len(known),
            (self._areas.columns, above, share, self._areas.scale, self._least),
            patch, parent, size, value, large, pairs,
        )  # fmt: skip
        parent = parent[:count]
        flatten(parent)
        self._patches = _Patches(
            size[:count], value[:count], large[:count],
            parent[np.concatenate([known.pairs, pairs[:, :met]], axis=1)],
        )  # fmt: skip
        row = np.repeat(np.arange(top, top + len(values)), np.diff(at))
        return _Runs(row, first, stop, parent[patch]), parent

    def _decided(self, runs: _Runs, parent: Numbers, bottom: int) -> _Runs:
        """Return the runs that change, and keep of the patches what is needed on."""
        self._runs.patch = parent[self._runs.patch]
        found = self._patches
        small = found.size < self._least
        one, other = found.pairs
        found.large[one[~small[other]]] = True
        found.large[other[~small[one]]] = True
        both = small[one] & small[other] & ~(found.large[one] & found.large[other])
        pairs = _distinct(found.pairs[:, both])

        is_open = np.zeros(len(found), dtype=bool)
        ends = runs.row == bottom - 1
        is_open[runs.patch[ends]] = True
        asked = is_open.copy()
        asked[pairs.ravel()] = True
        taken = small & ~is_open & found.large
        undecided = small & (is_open | (asked & ~taken))

        of = self._runs[undecided[self._runs.patch] | taken[self._runs.patch]]
        of = of + runs[undecided[runs.patch] | taken[runs.patch]]
        gone = taken[of.patch]
        changed, self._runs, self._last = of[gone], of[~gone], runs[ends]

        number = (np.cumsum(asked) - 1).astype(np.int32)
        self._patches = _Patches(
            found.size[asked], found.value[asked], found.large[asked], number[pairs]
        )
        self._runs.patch, self._last.patch = number[self._runs.patch], number[self._last.patch]
        return changed

    def finish(self) -> StoredMask:
        """Decide on the patches that are left, and return the mask of water."""
        found = self._patches
        if len(found):
            small = found.size < self._least
            wet = found.value == WATER
            end = _followed(_largest_neighbours(found, small), small & ~found.large)
            becomes = np.where(small[end], wet[end] ^ found.large[end], wet[end])
            stays = small[end] & ~found.large[end]  # two small patches are all there is
            turned = small & ~stays & (becomes != wet)
            self._late.append(self._runs[turned[self._runs.patch]])
        late = sum(self._late, _Runs())
        self._mask.toggle(late.row, late.first, late.stop)
        return self._mask


@jit()
def _scan(  # type: ignore[no-untyped-def]
    values, at, first, stop, last, count, grid, patch, parent, size, value, large, pairs
):
    columns, above, share, scale, least = grid
    sums = np.empty(columns.shape[1] + 1, np.int64)
    upper_first, upper_stop, upper_patch = last
    start, end = 0, upper_patch.size
    met = 0
    for row in range(values.shape[0]):
        sum_along(columns, above[row], share[row], scale, sums)
        over = start
        for run in range(at[row], at[row + 1]):
            own = values[row, first[run]]
            while over < end and upper_stop[over] <= first[run]:
                over += 1

            # The run belongs to each patch of its value above it.
            number = -1
            look = over
            while look < end and upper_first[look] < stop[run]:
                other = root_of(parent, upper_patch[look])
                if value[other] == own:
                    number = _joined(parent, size, large, number, other)
                look += 1
            if number < 0:
                number = count
                value[number] = own
                count += 1
            size[number] += sums[stop[run]] - sums[first[run]]
            patch[run] = number

            # The others above it, and the one to its left, are neighbours.
            look = over
            while look < end and upper_first[look] < stop[run]:
                other = root_of(parent, upper_patch[look])
                if value[other] != own:
                    met = _meet(size, large, least, number, other, pairs, met)
                look += 1
            if run > at[row] and stop[run - 1] == first[run]:
                other = root_of(parent, patch[run - 1])
                met = _meet(size, large, least, number, other, pairs, met)
        upper_first, upper_stop, upper_patch = first, stop, patch
        start, end = at[row], at[row + 1]
    return count, met


@jit(inline="always")
def _joined(parent, size, large, number, other):  # type: ignore[no-untyped-def]
    """Number of the patch that two parts are; that of one, where there is no other yet."""
    if number < 0 or number == other:
        return other
    low, high = min(number, other), max(number, other)
    parent[high] = low
    size[low] += size[high]
    large[low] |= large[high]
    return low


@jit(inline="always")
def _meet(size, large, least, one, other, pairs, met):  # type: ignore[no-untyped-def]
    """Note that two patches are neighbours, unless it can't matter any more."""
    if size[one] >= least:
        large[other] = True
    if size[other] >= least:
        large[one] = True
    if size[one] >= least or size[other] >= least or (large[one] and large[other]):
        return met
    if met > 0 and pairs[0, met - 1] == one and pairs[1, met - 1] == other:
        return met
    pairs[0, met] = one
    pairs[1, met] = other
    return met + 1


def _distinct(pairs: Numbers) -> Numbers:
    """Return each pair once, whatever its order."""
    low, high = pairs.min(axis=0), pairs.max(axis=0)
    keys = np.unique(low.astype(np.int64) << 32 | high)
    return np.stack([keys >> 32, keys & 0xFFFFFFFF]).astype(np.int32)


def _largest_neighbours(found: _Patches, small: Mask) -> Numbers:
    """Return the largest neighbour of each small patch, itself where it has none."""
    numbers = np.arange(len(found), dtype=np.int32)
    largest = numbers.copy()
    patch, neighbour = (np.concatenate([a, b]) for a, b in (found.pairs, found.pairs[::-1]))
    order = np.lexsort((-neighbour, found.size[neighbour]))  # of equal ones the first counts
    largest[patch[order]] = neighbour[order]
    return np.where(small, largest, numbers)


def _followed(largest: Numbers, goes_on: Mask) -> Numbers:
    """Return the first patch on the way over largest neighbours from which it doesn't go on.

    Where there is none, because two small patches are all there is, one of them comes back.
    """
    end = np.where(goes_on, largest, np.arange(len(largest), dtype=np.int32))
    for _ in range(len(largest).bit_length()):  # each step doubles the way
        end = end[end]
    return end
