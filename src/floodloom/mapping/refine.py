"""Cleaning water maps: dense CRF, majority.

Each looks no further than its `reach`, so that a scene can be refined in blocks that overlap by it
without any difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Floats, Mask
from floodloom.errors import InputError
from floodloom.kernels import jit
from floodloom.raster.windows import box_sum, weighted_sum

_TRUNCATE = 3  # standard deviations at which the Gaussian is cut off
_SUREST = 1e-3  # 0 and 100 percent would be logits that no neighbour could move


@dataclass(frozen=True)
class CrfSettings:
    """A dense CRF whose kernels end at a window.

    Attributes
    ----------
    smooth_sigma, smooth_compat
        Standard deviation, px, and weight of the Gaussian term.
    radar_radius, radar_sigma, radar_decibel, radar_compat
        Radius of the window and standard deviation in space, px, standard deviation in backscatter,
        dB, and weight of the bilateral term; a weight of 0 leaves it out.
    steps
        Mean-field steps.
    certainty
        How sure a pixel's likelier class is taken to be, .5-1; None: as the probability has it.
    """

    smooth_sigma: float
    smooth_compat: float
    steps: int
    radar_radius: int = 0
    radar_sigma: float = 1.0
    radar_decibel: float = 1.0
    radar_compat: float = 0.0
    certainty: float | None = None

    @property
    def smooth_radius(self) -> int:
        """Radius of the Gaussian term's window, px."""
        return round(_TRUNCATE * self.smooth_sigma)

    @property
    def reach(self) -> int:
        """Distance beyond which nothing matters, px: one window per step, one to normalise."""
        return (self.steps + 1) * max(self.smooth_radius, self.radar_radius)


PRESETS = {
    "crf": CrfSettings(1.5, 1.0, 5, radar_radius=5, radar_sigma=3.0, radar_decibel=2.0,
                       radar_compat=3.0),
    "paul-ganju": CrfSettings(12.0, 4.0, 20, certainty=0.7),
}  # fmt: skip
"""Dense CRFs by name. `crf` follows edges in the backscatter. `paul-ganju` is the setting of Paul
and Ganju (2021), arXiv 2107.08369, and of their code: the Gaussian term alone, on the likelier
class of each pixel, right with a probability of .7 however sure the networks are."""

REFINEMENTS = ("none", "majority", *PRESETS)


def dense_crf(probability: Floats, settings: CrfSettings, decibel: Floats | None = None) -> Floats:
    """Refine a probability by a dense conditional random field.

    Mean-field inference of Krähenbühl and Koltun (2011), arXiv 1210.5644, algorithm 1, with the
    Potts model and symmetrically normalised kernels; the kernels end at a window, as in Teichmann
    and Cipolla (2018), arXiv 1805.04777.

    Parameters
    ----------
    probability
        (y, x) float32, 0-1, NaN = no data.
    settings
        Kernels and steps.
    decibel
        (y, x) float32 backscatter, dB, for the bilateral term; NaN pixels take no part in it.

    Returns
    -------
    ndarray
        (y, x) float32, 0-1, NaN where `probability` is NaN.

    Raises
    ------
    InputError
        If the bilateral term is on and there is no backscatter.
    """
    known = np.isfinite(probability)
    clipped = np.clip(np.where(known, probability, 0.5), _SUREST, 1 - _SUREST)
    if settings.certainty is not None:
        alike = np.where(clipped >= 0.5, settings.certainty, 1 - settings.certainty)
        clipped = np.where(known, alike, 0.5)
    unary = np.log(clipped / (1 - clipped)).astype(np.float32)
    filters = [(settings.smooth_compat, _gaussian(settings, known))]
    if settings.radar_compat:
        if decibel is None:
            raise InputError("refine: the radar term needs the scene's backscatter; give the scene")
        filters.append((settings.radar_compat, _bilateral(settings, known, decibel)))
    field = unary
    for _ in range(settings.steps):
        leaning = np.where(known, np.tanh(field / 2), 0).astype(np.float32)  # q(water) - q(land)
        field = unary.copy()
        for weight, smooth in filters:
            field += np.float32(weight) * smooth(leaning)
    refined = 1 / (1 + np.exp(-field))
    return np.where(known, refined, np.nan).astype(np.float32)


Filter = Callable[[Floats], Floats]


def _gaussian(settings: CrfSettings, known: Mask) -> Filter:
    offsets = np.arange(-settings.smooth_radius, settings.smooth_radius + 1)
    kernel = np.exp(-0.5 * (offsets / settings.smooth_sigma) ** 2)

    def unnormalised(values: Floats) -> Floats:
        return weighted_sum(values, kernel)

    return _normalised(unnormalised, known)


def _bilateral(settings: CrfSettings, known: Mask, decibel: Floats) -> Filter:
    seen = known & np.isfinite(decibel)
    levels = np.where(seen, decibel, np.nan).astype(np.float32)
    radius = settings.radar_radius
    squares = np.add.outer(*(np.arange(-radius, radius + 1) ** 2,) * 2)
    spatial = np.exp(-0.5 * squares / settings.radar_sigma**2).astype(np.float32)

    def unnormalised(values: Floats) -> Floats:
        result: Floats = _bilateral_sums(values, levels, spatial, 0.5 / settings.radar_decibel**2)
        return result

    return _normalised(unnormalised, seen)


def _normalised(unnormalised: Filter, known: Mask) -> Filter:
    """Symmetric normalisation: both ends of a pair count by the root of their weights' sum."""
    total = unnormalised(known.astype(np.float32))
    scale = np.where(known & (total > 0), 1 / np.sqrt(np.maximum(total, 1e-20)), 0)
    scale = scale.astype(np.float32)
    return lambda values: scale * unnormalised(scale * values)


@jit()
def _bilateral_sums(values, levels, spatial, sharpness):  # type: ignore[no-untyped-def]
    height, width = values.shape
    radius = spatial.shape[0] // 2
    result = np.zeros((height, width), np.float32)
    for row in range(height):
        for col in range(width):
            level = levels[row, col]
            if np.isnan(level):
                continue
            total = np.float32(0)
            for dy in range(max(-radius, -row), min(radius, height - 1 - row) + 1):
                for dx in range(max(-radius, -col), min(radius, width - 1 - col) + 1):
                    step = levels[row + dy, col + dx] - level
                    if not np.isnan(step):
                        near = spatial[dy + radius, dx + radius]
                        weight = near * np.exp(-sharpness * step * step)
                        total += np.float32(weight) * values[row + dy, col + dx]
            result[row, col] = total
    return result


def majority(water: Mask, seen: Mask, window: int) -> Mask:
    """Return what most of the seen pixels of a window around each pixel are; ties keep the pixel.

    Parameters
    ----------
    water, seen
        (y, x) bool.
    window
        Side of the window, px, odd.

    Raises
    ------
    InputError
        If the window isn't odd.
    """
    if window % 2 == 0:
        raise InputError(f"majority_window {window}: must be odd")

    def count(mask: Mask) -> NDArray[np.int32]:
        return box_sum(mask.astype(np.int32), window)

    twice, total = 2 * count(water & seen), count(seen)
    return seen & np.where(twice == total, water, twice > total)


def in_strips(function: Callable[..., Floats], *rasters: Floats, reach: int, side: int) -> Floats:
    """Apply a function to strips of columns and put the results together.

    Parameters
    ----------
    function
        Takes rasters (y, x) and gives one of the same size.
    rasters
        (y, x) each, of one size.
    reach
        Columns that strips overlap; with the function's reach the result is that of the whole.
    side
        Columns of a strip.
    """
    width = rasters[0].shape[1]
    parts = []
    for start in range(0, width, side):
        left, right = max(start - reach, 0), min(start + side + reach, width)
        part = function(*(np.ascontiguousarray(raster[:, left:right]) for raster in rasters))
        parts.append(part[:, start - left : start - left + side])
    return np.concatenate(parts, axis=1)
