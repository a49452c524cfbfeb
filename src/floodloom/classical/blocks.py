"""Scenes block by block: for methods that look at more than one pixel at a time.

The blocks are those of the method, counted from the scene's upper left corner, whatever the chunks
of the store are: so its result depends on neither these nor threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from floodloom.arrays import NODATA, Bytes, Floats, Mask
from floodloom.classical.scene import BackscatterScene
from floodloom.settings import Settings

Work = Callable[[Floats], Floats]
"""From levels (band, y, x) float32 of a block, NaN in all bands without data, to percent (y, x)."""

SIDE = 512
"""Side of the blocks of methods whose results don't depend on it, px."""


class BlockArguments(Settings):
    """How a scene is divided."""

    block: int = Field(default=SIDE, ge=64, le=4096, description="Side of a block, px")
    overlap: int = Field(
        default=32, ge=0, le=512, description="Pixels around a block that are looked at as well"
    )


@dataclass(frozen=True)
class Block:
    """A block with its surroundings.

    Attributes
    ----------
    levels
        (band, y, x) float32: dB or standard deviations; NaN in all bands where one has no data.
    low
        (y, x) bool, ground that water can stand on.
    row, col
        First row and column of the block itself in the scene.
    core
        Rows and columns of the block itself within `levels`.
    """

    levels: Floats
    low: Mask
    row: int
    col: int
    core: tuple[slice, slice]


def scene_blocks(scene: BackscatterScene, side: int, overlap: int) -> Iterator[Block]:
    """Yield the blocks of a scene from top to bottom, row by row.

    Parameters
    ----------
    scene
        The scene.
    side
        Of a block, px; the last ones may be smaller.
    overlap
        Pixels around it that are given as well, as far as the scene reaches.
    """
    height, width = scene.shape
    for row in range(0, height, side):
        top, bottom = max(row - overlap, 0), min(row + side + overlap, height)
        bands, low = scene.read(top, bottom)
        levels = np.stack(list(bands.values()))
        levels[:, ~np.isfinite(levels).all(axis=0)] = np.nan
        rows = slice(row - top, min(row + side, height) - top)
        for col in range(0, width, side):
            left, right = max(col - overlap, 0), min(col + side + overlap, width)
            cols = slice(col - left, min(col + side, width) - left)
            inside = np.ascontiguousarray(levels[:, :, left:right])
            yield Block(inside, low[:, left:right], row, col, (rows, cols))


def map_blocks(scene: BackscatterScene, side: int, overlap: int, work: Work) -> Bytes:
    """Return percent (y, x) uint8 of a scene, 255 = no data.

    Parameters
    ----------
    scene
        The scene. High ground is no part of what `work` looks at, and is 0.
    side, overlap
        As `scene_blocks` takes them.
    work
        Maps a block with its surroundings; what it gives for no data is left out.
    """
    percent = np.empty(scene.shape, np.uint8)
    for block in scene_blocks(scene, side, overlap):
        known = np.isfinite(block.levels[0])
        seen = np.where(block.low, block.levels, np.float32(np.nan))
        found = np.zeros(known.shape, np.uint8)
        asked = known & block.low
        if asked[block.core].any():
            found[asked] = np.rint(work(seen)[asked])
        found[~known] = NODATA
        here = found[block.core]
        percent[block.row : block.row + here.shape[0], block.col : block.col + here.shape[1]] = here
    return percent


def no_water(scene: BackscatterScene) -> Bytes:
    """Return percent (y, x) uint8 of a scene in which no water was found: 0, 255 = no data."""
    return map_blocks(scene, 2048, 0, lambda levels: np.zeros(levels.shape[1:], np.float32))
