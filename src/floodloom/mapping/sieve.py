"""The minimum mapping unit: patches that are too small on the ground go to their surroundings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from floodloom.arrays import Doubles, Mask
from floodloom.mapping.areas import PixelAreas

Numbers = NDArray[np.int32]

_ALMOST = 0.998
"""Share of the minimum that is enough: the scale of UTM makes .2 % of difference within a zone, and
thirty pixels of 10 m are meant to be .3 ha in all of it."""


def sieve_patches(water: Mask, seen: Mask, minimum: float, areas: PixelAreas) -> Mask:
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

    Returns
    -------
    ndarray
        (y, x) bool: water; a patch without neighbours stays as it is, however small.
    """
    patches, waters, count = _patches(water & seen, ~water & seen)
    sizes = areas.by_value(patches, count)
    small = sizes < _ALMOST * minimum
    small[0] = False
    if not small.any():
        return water & seen
    wet = np.arange(count + 1) <= waters
    wet[0] = False
    end = _followed(_largest_neighbours(patches, sizes, small), small)
    return np.asarray(np.where(small[end], wet, wet[end])[patches])


def _patches(water: Mask, land: Mask) -> tuple[Numbers, int, int]:
    """Number patches from 1 on, those of water first; 0 is neither."""
    patches, lands = (np.zeros(water.shape, dtype=np.int32) for _ in range(2))
    waters, more = label(water, output=patches), label(land, output=lands)
    np.add(lands, waters, out=patches, where=land)
    return patches, int(waters), int(waters + more)


def _largest_neighbours(patches: Numbers, sizes: Doubles, small: Mask) -> Numbers:
    """Return the largest neighbour of each small patch, 0 where it has none."""
    pairs = []
    for one, other in ((patches[:, :-1], patches[:, 1:]), (patches[:-1], patches[1:])):
        border = np.nonzero((one != other) & (one > 0) & (other > 0))
        both = one[border], other[border]
        for patch, neighbour in (both, both[::-1]):
            pairs.append((patch[small[patch]], neighbour[small[patch]]))
    patch, neighbour = (np.concatenate(side) for side in zip(*pairs, strict=True))
    order = np.lexsort((-neighbour, sizes[neighbour]))  # of equal ones the first counts
    largest = np.zeros(len(sizes), dtype=np.int32)
    largest[patch[order]] = neighbour[order]
    return largest


def _followed(largest: Numbers, small: Mask) -> Numbers:
    """Return the first patch that is large enough on the way over largest neighbours.

    Where there is none, because two small patches are all there is, a small one comes back.
    """
    numbers = np.arange(len(largest), dtype=np.int32)
    end = np.where(small & (largest > 0), largest, numbers)
    for _ in range(len(largest).bit_length()):  # each step doubles the way
        end = end[end]
    return end
