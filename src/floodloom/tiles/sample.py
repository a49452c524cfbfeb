"""Where tiles are cut: everywhere on a regular plan, or at random balanced by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.raster.nodata import IGNORE
from floodloom.raster.windows import Window


def balanced_windows(
    label: NDArray[np.uint8], valid: NDArray[np.bool_], size: int, count: int, seed: int
) -> list[Window]:
    """Draw windows at random in space, each class centring the same number of them.

    Parameters
    ----------
    label
        (y, x) uint8 classes, 255 = ignore.
    valid
        (y, x) bool, where there are data.
    size
        Side of a window, px.
    count
        Number of windows.
    seed
        Seed of the draw.

    Returns
    -------
    list of Window
        Windows inside the raster, moved inward where a centre lies near the edge.

    Raises
    ------
    InputError
        If no labelled pixel has data, or the raster is smaller than a window.

    References
    ----------
    Volpi and Tuia (2017), Dense semantic labeling of subdecimeter resolution images with
    convolutional neural networks, IEEE TGRS 55(2), section III-C: random, class-balanced patches.
    """
    height, width = label.shape
    if min(height, width) < size:
        raise InputError(f"tiles: a scene of {height}x{width} px holds no tile of {size} px")
    drawn = np.random.default_rng(seed)
    usable = valid & (label != IGNORE)
    classes = [int(value) for value in np.unique(label[usable])]
    if not classes:
        raise InputError("tiles: no labelled pixel has data; check that labels overlay the scene")
    windows = []
    for position, value in enumerate(classes):
        share = count // len(classes) + (position < count % len(classes))
        centres = _drawn(usable & (label == value), share, drawn)
        windows += [_centred(row, col, size, label.shape) for row, col in centres]
    return windows


def _drawn(
    mask: NDArray[np.bool_], count: int, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw rows and columns of set pixels, row by row: all at once they are 16 bytes a pixel."""
    before = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    picks = random.integers(0, before[-1], count)
    rows = np.searchsorted(before, picks, side="right") - 1
    return [
        (int(row), int(np.flatnonzero(mask[row])[pick - before[row]]))
        for row, pick in zip(rows, picks, strict=True)
    ]


def _centred(row: int, col: int, size: int, shape: tuple[int, int]) -> Window:
    top = int(np.clip(row - size // 2, 0, shape[0] - size))
    left = int(np.clip(col - size // 2, 0, shape[1] - size))
    return Window(top, left, size, size)
