"""A simulated annotator: the sparse labels that a person would set who sees dense ones.

How many are needed can be found out where all are known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from zlib import crc32

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.tiles.settings import AnnotateSettings
from floodloom.tiles.store import with_labels

Labels = NDArray[np.uint8]
Annotator = Callable[[Labels, np.random.Generator], Labels]
"""From labels (y, x) uint8, 255 = unknown, to those of them that are given, 255 elsewhere."""

_NEARLY = 0.7  # of the best place's distance: no person finds the very middle
_AT_ONCE = 64  # tiles that are read
_EIGHT = np.ones((3, 3), dtype=np.bool_)


def clicks(count: int) -> Annotator:
    """Return the annotator who labels so many single pixels of a tile.

    The classes take turns, and which begins is drawn. A click goes to the region of its class that
    has the most pixels for each click so far, the next one included, and there to a place drawn
    from those that lie far from the region's edge and from its earlier clicks. Fewer clicks of the
    same random state are the first of more.

    Parameters
    ----------
    count
        Clicks, from 1; fewer are set only where all pixels are.
    """
    return partial(_click, count)


def scribbles(count: int) -> Annotator:
    """Return the annotator who draws so many lines, 1 px wide, along the middles of regions.

    The classes take turns, and which begins is drawn; the largest regions are first. A line is the
    longest way along the medial axis of a region.

    Parameters
    ----------
    count
        Lines, from 1; fewer are drawn where there aren't as many regions.
    """
    return partial(_scribble, count)


def random_share(share: float) -> Annotator:
    """Return the annotator who labels pixels at random.

    Parameters
    ----------
    share
        Share of the labelled pixels, 0-1; at least one is labelled.
    """
    return partial(_draw_share, share)


def annotate_tiles(tiles: xr.Dataset, settings: AnnotateSettings) -> xr.Dataset:
    """Return tiles whose training and validation labels are those that an annotator sets.

    What is drawn in a tile depends on the seed and on its name, not on the tiles beside it. Pixels
    without data get no label.

    Parameters
    ----------
    tiles
        Tile store with dense labels, see `floodloom.tiles.store.open_tiles`.
    settings
        What is set in each tile.

    Raises
    ------
    InputError
        If no training or validation tile has a labelled pixel.
    """
    if settings.clicks is not None:
        annotator = clicks(settings.clicks)
    elif settings.scribbles is not None:
        annotator = scribbles(settings.scribbles)
    else:
        annotator = random_share(settings.share or 1.0)
    label = tiles["label"].values.copy()
    names = tiles["tile_id"].values.astype(str)
    learnt = np.flatnonzero(np.isin(tiles["split"].values, ("train", "validation")))
    for part in np.array_split(learnt, -(-learnt.size // _AT_ONCE) or 1):
        valid = np.isfinite(tiles["image"][part].values).all(axis=1)
        for tile, known in zip(part, valid, strict=True):
            dense = np.where(known, label[tile], np.uint8(IGNORE))
            random = np.random.default_rng([settings.seed, crc32(names[tile].encode())])
            label[tile] = annotator(dense, random)
    if not (label[learnt] != IGNORE).any():
        raise InputError("annotate: no training or validation tile is labelled; give labelled ones")
    return with_labels(tiles, label)


def _draw_share(share: float, label: Labels, random: np.random.Generator) -> Labels:
    known = np.flatnonzero(label != IGNORE).astype(np.int64)
    count = min(max(round(share * known.size), 1), known.size)
    return _only(label, random.permutation(known)[:count])


def _click(count: int, label: Labels, random: np.random.Generator) -> Labels:
    turns = [_ClicksOfClass(label == value) for value in _classes(label, random)]
    chosen: list[int] = []
    while turns and len(chosen) < count:
        turn = turns.pop(0)
        place = turn.click(random)
        if place is not None:  # else all pixels of the class are labelled
            chosen.append(place)
            turns.append(turn)
    return _only(label, np.array(chosen, dtype=np.int64))


def _classes(label: Labels, random: np.random.Generator) -> list[int]:
    return [int(value) for value in random.permutation(np.unique(label[label != IGNORE]))]


def _only(label: Labels, places: NDArray[np.int64]) -> Labels:
    """Return labels of which only those at flat indices are left."""
    left = np.full(label.size, IGNORE, dtype=np.uint8)
    left[places] = label.ravel()[places]
    return left.reshape(label.shape)


class _ClicksOfClass:
    """The pixels of a class in a tile, and where they have been clicked at."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        region, count = ndimage.label(mask, _EIGHT)
        self._region = region.ravel()
        self._pixels = np.bincount(self._region, minlength=count + 1)[1:]
        self._clicks = np.zeros(count, dtype=np.int64)
        # Regions go on beyond a tile, so its edge is none of theirs.
        depth = ndimage.distance_transform_edt(mask) if not mask.all() else np.full(mask.shape, 1e6)
        self._distance = np.asarray(depth, dtype=np.float64)

    def click(self, random: np.random.Generator) -> int | None:
        """Return the flat index of the next click, None if every pixel has had one."""
        open_ = self._clicks < self._pixels
        if not open_.any():
            return None
        claim = np.where(open_, self._pixels / (self._clicks + 1), 0)
        chosen = int(claim.argmax())
        inside = np.flatnonzero(self._region == chosen + 1)
        distance = self._distance.ravel()[inside]
        place = int(random.choice(inside[distance >= _NEARLY * distance.max()]))
        self._clicks[chosen] += 1
        self._move_away(place)
        return place

    def _move_away(self, place: int) -> None:
        """Let no place be farther from an edge than from a click."""
        height, width = self._distance.shape
        rows, cols = np.ogrid[:height, :width]
        from_click = np.hypot(rows - place // width, cols - place % width)
        np.minimum(self._distance, from_click, out=self._distance)


def _scribble(count: int, label: Labels, random: np.random.Generator) -> Labels:
    turns = [_regions(label == value) for value in _classes(label, random)]
    chosen: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    while turns and len(chosen) <= count:
        regions = turns.pop(0)
        if regions:
            chosen.append(_longest_line(regions.pop(0), random))
            turns.append(regions)
    return _only(label, np.concatenate(chosen))


def _regions(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the masks of the regions of a class, the largest first."""
    region, count = ndimage.label(mask, _EIGHT)
    sizes = np.bincount(region.ravel(), minlength=count + 1)[1:]
    return [region == number + 1 for number in np.argsort(-sizes, kind="stable")]


def _longest_line(region: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.int64]:
    """Return flat indices along the longest way through the medial axis of a region."""
    try:
        from skimage.morphology import medial_axis
    except ImportError as error:
        raise InputError(
            "scribbles: skimage isn't installed; run pip install 'floodloom[classical]'"
        ) from error
    # Without a margin the axis would run along the tile's edge where a region reaches it.
    inside = medial_axis(np.pad(region, 1), rng=random)[1:-1, 1:-1]
    axis = np.flatnonzero(inside)
    graph = _neighbours(axis, region.shape)
    # Of a tree the farthest place from anywhere is an end of the longest way; loops are few.
    end = breadth_first_order(graph, 0, directed=False, return_predecessors=False)[-1]
    order, before = breadth_first_order(graph, end, directed=False)
    way = [int(order[-1])]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    line: NDArray[np.int64] = axis[way]
    return line


def _neighbours(places: NDArray[np.int64], shape: tuple[int, ...]) -> csr_matrix:
    """Return the graph of places, flat indices in order, whose edges join the eight neighbours."""
    number = np.full((shape[0] + 2, shape[1] + 2), -1, dtype=np.int64)
    rows, cols = np.unravel_index(places, shape)
    number[rows + 1, cols + 1] = np.arange(places.size)
    pairs = [
        (np.arange(places.size), number[rows + 1 + down, cols + 1 + right])
        for down, right in ((0, 1), (1, -1), (1, 0), (1, 1))
    ]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    there = second >= 0
    edges = (np.ones(there.sum()), (first[there], second[there]))
    return csr_matrix(edges, shape=(places.size, places.size))
