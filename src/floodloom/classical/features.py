"""What a pixel and its surroundings are like: intensity and texture."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import Floats
from floodloom.classical.blocks import scene_blocks
from floodloom.classical.scene import BackscatterScene
from floodloom.raster.windows import box_sum

_SIDE = 1024  # of the blocks that samples are drawn from; they don't depend on it
_LEAST = 0.05  # dB: where the levels are constant, their deviation has a logarithm, too


def intensity_and_texture(levels: Floats, windows: tuple[int, ...]) -> Floats:
    """Return features of every pixel.

    Parameters
    ----------
    levels
        (band, y, x) float32, dB or standard deviations; NaN = no data.
    windows
        Sides of the squares that texture is taken in, odd, px.

    Returns
    -------
    ndarray
        (feature, y, x) float32: the level of each band, and for each window and band the mean and
        the natural logarithm of the deviation of the levels within it that have data. NaN where
        the pixel has none.
    """
    known = np.isfinite(levels[0])
    found = [*levels]
    for side in windows:
        count = np.maximum(box_sum(known.astype(np.float64), side), 1)
        for band in levels:
            values = np.where(known, band, 0).astype(np.float64)
            mean = box_sum(values, side) / count
            variance = np.maximum(box_sum(values**2, side) / count - mean**2, 0)
            found += [mean, np.log(np.maximum(np.sqrt(variance), _LEAST))]
    return np.where(known, np.stack(found), np.nan).astype(np.float32)


def sample(scene: BackscatterScene, windows: tuple[int, ...], most: int) -> Floats:
    """Return the features of pixels on a lattice over the whole scene, where ground is low.

    Parameters
    ----------
    scene
        The scene.
    windows
        As `intensity_and_texture` takes them.
    most
        Pixels that are taken at most.

    Returns
    -------
    ndarray
        (pixel, feature) float32, without no data.
    """
    height, width = scene.shape
    stride = max(int(np.ceil(np.sqrt(height * width / most))), 1)
    reach = max(windows, default=1) // 2
    found = []
    for block in scene_blocks(scene, _SIDE, reach):
        seen = np.where(block.low, block.levels, np.float32(np.nan))
        inner = intensity_and_texture(seen, windows)[:, block.core[0], block.core[1]]
        chosen = inner[:, -block.row % stride :: stride, -block.col % stride :: stride]
        values = chosen.reshape(len(chosen), -1).T
        found.append(values[np.isfinite(values[:, 0])])
    return np.concatenate(found)
