"""Windows of a scene that stand for all of it, for methods that learn from the scene itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.classical.blocks import Block, scene_blocks
from floodloom.classical.scene import BackscatterScene

_ENOUGH = 0.5  # of the data that the fullest window has


@dataclass(frozen=True)
class SampleWindows:
    """Windows of a scene, standardised by all of them together.

    Attributes
    ----------
    image
        (window, band, y, x) float32, levels less `middle` over `spread`; 0 without data.
    valid
        (window, y, x) bool, where there are data and ground is low.
    middle, spread
        (band,) mean and standard deviation of the levels: dB or standard deviations.
    """

    image: Floats
    valid: Mask
    middle: Doubles
    spread: Doubles

    def levels(self, chosen: Mask) -> Doubles:
        """Return the mean level (band,) of chosen (window, y, x) pixels."""
        found = self.image.transpose(1, 0, 2, 3)[:, chosen].mean(axis=1, dtype=np.float64)
        return np.asarray(found * self.spread + self.middle)

    def standardise(self, levels: Floats) -> tuple[Floats, Mask]:
        """Return levels (band, y, x) of any part of the scene as `image` is, and where valid."""
        valid = np.isfinite(levels[0])
        shape = (-1, 1, 1)
        standard = (levels - self.middle.reshape(shape)) / self.spread.reshape(shape)
        return np.where(valid, standard, 0).astype(np.float32), valid


def draw_windows(scene: BackscatterScene, side: int, number: int) -> SampleWindows | None:
    """Return windows from the darkest to the brightest, evenly spaced in that order.

    Parameters
    ----------
    scene
        The scene. It is read once, and once again where there are more windows than asked for.
    side
        Side of a window, px; a smaller scene is one window.
    number
        Most windows.

    Returns
    -------
    SampleWindows
        Of those that have half as many data as the fullest one or more; None without any data.
    """
    means, shares, places = [], [], []
    for block in scene_blocks(scene, side, 0):
        levels = _seen(block)
        known = np.isfinite(levels[0])
        if known.any():
            means.append(float(levels[:, known].mean()))
            shares.append(known.sum())
            places.append((block.row, block.col))
    if not places:
        return None
    full = np.flatnonzero(np.array(shares) >= _ENOUGH * max(shares))
    order = full[np.argsort(np.array(means)[full], kind="stable")]
    chosen = order[np.linspace(0, len(order) - 1, min(number, len(order))).round().astype(int)]
    wanted = {places[one] for one in chosen}
    found = [_seen(b) for b in scene_blocks(scene, side, 0) if (b.row, b.col) in wanted]
    return _standardised(found)


def _seen(block: Block) -> Floats:
    return np.where(block.low, block.levels, np.float32(np.nan))


def _standardised(windows: list[Floats]) -> SampleWindows:
    height, width = (max(one.shape[axis] for one in windows) for axis in (1, 2))
    levels = np.full((len(windows), len(windows[0]), height, width), np.nan, np.float32)
    for place, one in enumerate(windows):
        levels[place, :, : one.shape[1], : one.shape[2]] = one
    valid = np.isfinite(levels[:, 0])
    pixels = levels.transpose(1, 0, 2, 3)[:, valid].astype(np.float64)
    middle, spread = pixels.mean(axis=1), np.maximum(pixels.std(axis=1), 1e-3)
    shape = (1, -1, 1, 1)
    standard = (levels - middle.reshape(shape)) / spread.reshape(shape)
    image = np.where(valid[:, np.newaxis], standard, 0).astype(np.float32)
    return SampleWindows(image, valid, middle, spread)
