"""Windows of a scene that stand for all of it, for methods that learn from the scene itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.classical.blocks import SIDE, scene_blocks
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
    for window in _windows(scene, side):
        known = np.isfinite(window.levels[0])
        if known.any():
            means.append(float(window.levels[:, known].mean()))
            shares.append(known.sum())
            places.append(window.place)
    if not places:
        return None
    full = np.flatnonzero(np.array(shares) >= _ENOUGH * max(shares))
    order = full[np.argsort(np.array(means)[full], kind="stable")]
    chosen = order[np.linspace(0, len(order) - 1, min(number, len(order))).round().astype(int)]
    wanted = {places[one] for one in chosen}
    return _standardised([one for one in _windows(scene, side) if one.place in wanted])


@dataclass(frozen=True)
class _Window:
    """Levels (band, y, x), NaN where none count; (y, x) bool; first row and column in the scene."""

    levels: Floats
    reference: Mask
    place: tuple[int, int]


def _windows(scene: BackscatterScene, side: int) -> Iterator[_Window]:
    """Yield the windows of a scene, which is read in blocks of several."""
    for block in scene_blocks(scene, side * max(SIDE // side, 1), 0):
        levels = np.where(block.low, block.levels, np.float32(np.nan))
        height, width = block.low.shape
        for row, col in product(range(0, height, side), range(0, width, side)):
            inside = np.ascontiguousarray(levels[:, row : row + side, col : col + side])
            place = block.row + row, block.col + col
            yield _Window(inside, _reference(scene, place, inside.shape[1:]), place)


def _reference(scene: BackscatterScene, place: tuple[int, int], shape: tuple[int, ...]) -> Mask:
    if scene.reference is None:
        return np.zeros(shape, bool)
    rows, cols = (slice(at, at + size) for at, size in zip(place, shape, strict=True))
    return scene.reference[rows, cols]


def _standardised(windows: list[_Window]) -> SampleWindows:
    height, width = (max(one.levels.shape[axis] for one in windows) for axis in (1, 2))
    bands = len(windows[0].levels)
    levels = np.full((len(windows), bands, height, width), np.nan, np.float32)
    reference = np.zeros((len(windows), height, width), bool)
    for place, one in enumerate(windows):
        rows, cols = (slice(0, size) for size in one.reference.shape)
        levels[place, :, rows, cols] = one.levels
        reference[place, rows, cols] = one.reference
    valid = np.isfinite(levels[:, 0])
    pixels = levels.transpose(1, 0, 2, 3)[:, valid].astype(np.float64)
    middle, spread = pixels.mean(axis=1), np.maximum(pixels.std(axis=1), 1e-3)
    shape = (1, -1, 1, 1)
    standard = (levels - middle.reshape(shape)) / spread.reshape(shape)
    image = np.where(valid[:, np.newaxis], standard, 0).astype(np.float32)
    return SampleWindows(image, valid, reference & valid, middle, spread)
