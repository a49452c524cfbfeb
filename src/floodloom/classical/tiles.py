"""The tiles of a scene whose histograms hold two classes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Mask
from floodloom.classical.histograms import Counts, Scale, TileCounts
from floodloom.classical.two_classes import FEWEST, LEAST_SHARE, are_bimodal, fit_two_classes

_SLACK = 0.8  # of the share that must lie below a mean, for samples


def bimodal_tiles(tiles: TileCounts) -> Mask:
    """Return which tiles (tile row, tile column) hold two classes, see `are_bimodal`."""
    counts = tiles.counts.reshape(-1, tiles.counts.shape[2])
    places = np.flatnonzero(_candidates(counts, tiles.scale))
    found = np.zeros(len(counts), dtype=bool)
    chosen = counts[places]
    fits = fit_two_classes(chosen, tiles.scale.bins)
    found[places] = are_bimodal(fits, chosen.sum(axis=1), tiles.scale)
    return found.reshape(tiles.counts.shape[:2])


def _candidates(counts: Counts, scale: Scale) -> NDArray[np.bool_]:
    """Which histograms have enough pixels, and enough of them dark enough, to be worth a fit.

    Half of a class that has a tenth of the pixels lies below its mean.
    """
    pixels = counts.sum(axis=1)
    dark = counts[:, scale.bins.centres <= scale.greatest_mean].sum(axis=1)
    return np.asarray((pixels >= FEWEST) & (dark >= _SLACK * LEAST_SHARE / 2 * pixels))


def hierarchical_split(tiles: TileCounts) -> tuple[Counts, int]:
    """Split a scene into four again and again, down to its tiles, where it isn't bimodal.

    Parameters
    ----------
    tiles
        Histograms of the smallest tiles.

    Returns
    -------
    counts, chosen
        (bin,) uint32, the histogram of all tiles together that are bimodal and lie in no larger one
        that is; and how many these are.

    References
    ----------
    Chini et al. (2017), IEEE TGRS 55(12), 6975-6988, whose tiles are of variable size, too.
    """
    depth = math.ceil(math.log2(max(*tiles.counts.shape[:2], 1)))
    levels = [tiles]
    for _ in range(depth):
        levels.append(levels[-1].merged(2))
    total, chosen = np.zeros(tiles.scale.bins.number, np.uint32), 0
    undecided = np.ones((1, 1), dtype=bool)
    for level in reversed(levels):
        rows, cols = level.counts.shape[:2]
        undecided = undecided[:rows, :cols]
        open_only = TileCounts(level.counts * undecided[..., np.newaxis], level.scale)
        found = bimodal_tiles(open_only)
        total += level.counts[found].sum(axis=0, dtype=np.uint32)
        chosen += int(found.sum())
        undecided = np.repeat(np.repeat(undecided & ~found, 2, axis=0), 2, axis=1)
    return total, chosen
