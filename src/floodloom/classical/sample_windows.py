"""Windows of a scene that stand for all of it, for methods that learn from the scene itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.classical.blocks import Block, scene_blocks
from floodloom.classical.scene import BackscatterScene

_ENOUGH = 0.5  # of the data that the fullest window has
_ENOUGH_REFERENCE = 100  # pixels
_ONE_DEVIATION = 84.0  # percent of a normal distribution that lie below
_MARGIN_DB = 3.0


@dataclass(frozen=True)
class SampleWindows:
    """Windows of a scene, standardised by all of them together.

    Attributes
    ----------
    image
        (window, band, y, x) float32, levels less `middle` over `spread`; 0 without data.
    valid
        (window, y, x) bool, where there are data and ground is low.
    reference
        (window, y, x) bool, valid pixels where water is always; none where that isn't known.
    middle, spread
        (band,) mean and standard deviation of the levels: dB or standard deviations.
    """

    image: Floats
    valid: Mask
    reference: Mask
    middle: Doubles
    spread: Doubles

    def levels(self, chosen: Mask) -> Doubles:
        """Return the mean level (band,) of chosen (window, y, x) pixels."""
        found = self.image.transpose(1, 0, 2, 3)[:, chosen].mean(axis=1, dtype=np.float64)
        return np.asarray(found * self.spread + self.middle)

    def water_limits(self, scene: BackscatterScene) -> Doubles:
        """Return the greatest mean (band,) that water can have.

        That is what 84 % of the pixels of the reference water stay below, which is one deviation
        above the mean; at most, as a reservoir may have fallen dry, 3 dB more than what
        `BackscatterScene.scale` states, or without a physical scale the mean of the windows. With
        fewer than a hundred such pixels it is what that states, infinite without a scale.
        """
        stated = np.array([scene.scale(band, False).greatest_mean for band in scene.bands])
        if self.reference.sum() < _ENOUGH_REFERENCE:
            return stated
        pixels = self.image.transpose(1, 0, 2, 3)[:, self.reference].astype(np.float64)
        levels = np.percentile(pixels, _ONE_DEVIATION, axis=1) * self.spread + self.middle
        most = np.where(np.isfinite(stated), stated + _MARGIN_DB, self.middle)
        return np.asarray(np.minimum(levels, most))

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
    found = [b for b in scene_blocks(scene, side, 0) if (b.row, b.col) in wanted]
    return _standardised([_seen(b) for b in found], [_reference(scene, b) for b in found])


def _seen(block: Block) -> Floats:
    return np.where(block.low, block.levels, np.float32(np.nan))


def _reference(scene: BackscatterScene, block: Block) -> Mask:
    height, width = block.low.shape
    if scene.reference is None:
        return np.zeros((height, width), bool)
    rows, cols = slice(block.row, block.row + height), slice(block.col, block.col + width)
    return scene.reference[rows, cols]


def _standardised(windows: list[Floats], references: list[Mask]) -> SampleWindows:
    height, width = (max(one.shape[axis] for one in windows) for axis in (1, 2))
    levels = np.full((len(windows), len(windows[0]), height, width), np.nan, np.float32)
    reference = np.zeros((len(windows), height, width), bool)
    for place, (one, water) in enumerate(zip(windows, references, strict=True)):
        levels[place, :, : one.shape[1], : one.shape[2]] = one
        reference[place, : one.shape[1], : one.shape[2]] = water
    valid = np.isfinite(levels[:, 0])
    pixels = levels.transpose(1, 0, 2, 3)[:, valid].astype(np.float64)
    middle, spread = pixels.mean(axis=1), np.maximum(pixels.std(axis=1), 1e-3)
    shape = (1, -1, 1, 1)
    standard = (levels - middle.reshape(shape)) / spread.reshape(shape)
    image = np.where(valid[:, np.newaxis], standard, 0).astype(np.float32)
    return SampleWindows(image, valid, reference & valid, middle, spread)
