"""Flood under plants: what has become brighter since before a flood, beside its open water."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from floodloom.arrays import Mask
from floodloom.mapping.brightening import Brightening, Pair, find_limits, read_brightening
from floodloom.mapping.water import Pace
from floodloom.raster.areas import Wholes
from floodloom.raster.rows import Rows, StoredMask, around, by_strips
from floodloom.raster.runs import crossings, find_runs, join_pairs

BESIDE = 2
"""Pixels to the nearest open flood water that are beside it; the edge of a wood is mixed."""

_CONTACT = 3  # px of a patch that lie beside open flood water
_SAMPLE_ROWS, _SAMPLES = 64, 32

LandRows = Callable[[int, int], Mask]
"""Returns where (row, x) some rows are land on both dates."""


def flooded_vegetation(
    pair: Pair, land: LandRows, flood: Rows, least: float, pace: Pace
) -> StoredMask | None:
    """Find plants that stand in water.

    Land is taken for such where co-polarised backscatter and its ratio to the cross-polarised have
    both risen, beyond what land does in this scene (`find_limits`), and are among the brightest of
    the scene; in patches that are joined to open flood water and of which a large enough part has
    changed unusually.

    Parameters
    ----------
    pair
        Backscatter after the flood and before it.
    land
        Returns where some rows are land on both dates, as far as water can be seen.
    flood
        (y, x) bool: open water of the flood.
    least
        Unusually changed pixels that a patch must have, px.
    pace
        How it is worked through.

    Returns
    -------
    StoredMask or None
        (y, x) bool; None if there are none.

    Notes
    -----
    Sources: increase against before, of VV and of VV/VH: Tsyganskaya et al., Detection of temporary
    flooded vegetation using Sentinel-1 time series data, Remote Sensing 10 (2018) 1286, and their
    review, SAR-based detection of flooded vegetation, International Journal of Remote Sensing 39
    (2018) 2255-2293. Patches that touch open water: Olthof and Tolszczuk-Leclerc, Comparing Landsat
    and RADARSAT for current and historical dynamic flood mapping, Remote Sensing 10 (2018) 780.
    What C band sees: woods without leaves more than woods with them (Townsend, Relationships
    between forest structure and the detection of flood inundation in forested wetlands using C-band
    SAR, International Journal of Remote Sensing 23, 2002; Martinis and Rieke, Backscatter analysis
    using multi-temporal and multi-frequency SAR data in the context of flood mapping at River
    Saale, Remote Sensing 7, 2015), and none of dense tropical ones on a single date.
    """
    height = flood.shape[0]
    parts = by_strips(lambda start, stop: flood[start:stop].any(), height, rows=pace.rows)
    if not any(is_there for _, is_there in parts):
        return None
    limits = find_limits(_samples(pair, land, height))
    if limits is None:
        return None

    def part(start: int, stop: int) -> tuple[Mask, Mask, Mask]:
        found = read_brightening(pair, land, height, start, stop)
        wet, inner = around(flood, start, stop, BESIDE)
        return (*limits.reached(found), grown(wet, BESIDE)[inner])

    patches = _Patches(flood.shape[1])
    for _, masks in by_strips(part, height, rows=pace.rows, threads=pace.threads):
        patches.add(*masks)
    return patches.finish(max(least, 1.0))


def _samples(pair: Pair, land: LandRows, height: int) -> Iterator[Brightening]:
    """Give rows that are spread over a scene, all of a small one, the same at any pace."""
    starts = range(0, height, _SAMPLE_ROWS)
    for start in starts[:: -(-len(starts) // _SAMPLES)]:
        yield read_brightening(pair, land, height, start, min(start + _SAMPLE_ROWS, height))


def grown(mask: Mask, pixels: int) -> Mask:
    """Return all pixels that lie within some of a mask, (y, x) bool, also diagonally."""
    for _ in range(pixels):
        across = mask.copy()
        across[:, 1:] |= mask[:, :-1]
        across[:, :-1] |= mask[:, 1:]
        mask = across.copy()
        mask[1:] |= across[:-1]
        mask[:-1] |= across[1:]
    return mask


@dataclass
class _Patches:
    """8-connected patches of doubtful pixels, strip by strip from top to bottom.

    What is kept of a patch, as long as the map isn't whole, are its runs of pixels, since the part
    that decides on it may come last.
    """

    width: int
    total: int = 0
    mask: StoredMask = field(init=False)
    runs: list[tuple[Wholes, Wholes, Wholes, Wholes]] = field(default_factory=list)
    seams: list[Wholes] = field(default_factory=list)
    counts: list[Wholes] = field(default_factory=list)
    last: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        self.mask = StoredMask(self.width)

    def add(self, doubtful: Mask, unusual: Mask, beside: Mask) -> None:
        """Add a strip, (row, x) bool each."""
        top = self.mask.shape[0]
        self.mask.append(doubtful)
        at, first, stop = find_runs(doubtful.view(np.uint8))
        number = join_pairs(len(first), crossings(at[:-1], first, stop, at[1:], first, stop, 1))
        if self.last is not None:
            *above, patches = self.last
            over, below = crossings(*above, at[:2], first, stop, 1)
            self.seams.append(np.stack([patches[over], number[below] + self.total]))

        # The pixels of a mask come in the order of its runs.
        of_pixel = np.repeat(number, stop - first)
        count = int(number.max(initial=-1)) + 1
        self.counts.append(np.stack([
            np.bincount(of_pixel[part[doubtful]], minlength=count) for part in (unusual, beside)
        ]))  # fmt: skip

        row = np.repeat(np.arange(top, top + len(doubtful)), np.diff(at))
        numbered = number + self.total
        self.runs.append((row.astype(np.int32), first, stop, numbered.astype(np.int32)))
        below_here = slice(at[-2], at[-1])
        ends = np.array([0, at[-1] - at[-2]])
        self.last = ends, first[below_here], stop[below_here], numbered[below_here]
        self.total += count

    def finish(self, least: float) -> StoredMask | None:
        """Return the patches with as many unusual pixels that lie beside open water, if any."""
        seams = np.concatenate([np.empty((2, 0), np.int64), *self.seams], axis=1)
        patch = join_pairs(self.total, seams)
        counts = np.zeros((2, self.total), np.int64)
        for found, part in zip(counts, np.concatenate(self.counts, axis=1), strict=True):
            np.add.at(found, patch, part)
        unusual, beside = counts
        wanted = ((unusual >= least) & (beside >= _CONTACT))[patch]
        if not wanted.any():
            return None
        row, first, stop, number = (
            np.concatenate([part[index] for part in self.runs]) for index in range(4)
        )
        gone = ~wanted[number]
        self.mask.toggle(row[gone], first[gone], stop[gone])
        return self.mask
