"""What supervised baselines are trained on: simulated chips, no label of any scene.

The chips are drawn from their seeds, so a forest is the same each time that it is needed and no
file of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import xarray as xr

from floodloom.arrays import Floats, Mask
from floodloom.classical.scene import BackscatterScene
from floodloom.sentinel1.bands import CO_POLARISED
from floodloom.simulate.chips import make_chip
from floodloom.tiles.labels import water_labels

_SIDE = 128  # px
_FIRST = 5_000_000  # far from the seeds of the chips that networks are trained on

Chip = tuple[Floats, Mask, Mask]
"""Levels (band, y, x) float32, NaN without data; where (y, x) water is; where that can be seen."""


def training_chips(scene: BackscatterScene, number: int, seed: int) -> tuple[Chip, ...]:
    """Return simulated chips with the bands and levels of a scene.

    Parameters
    ----------
    scene
        Whose bands, which are HH as VV and HV as VH, and whose kind of levels: means of 3 x 3 px or
        of the pixel itself; decibel or, of display values, these less the mean of the chip over its
        deviation.
    number
        How many.
    seed
        Of the first one.
    """
    bands = tuple("vv" if band in CO_POLARISED else "vh" for band in scene.bands)
    return _chips(bands, scene.has_power, scene.is_filtered, number, seed)


@lru_cache(maxsize=4)
def _chips(
    bands: tuple[str, ...], has_power: bool, is_filtered: bool, number: int, seed: int
) -> tuple[Chip, ...]:
    return tuple(_made(bands, has_power, is_filtered, number, _FIRST + seed * 10_000))


def _made(
    bands: tuple[str, ...], has_power: bool, is_filtered: bool, number: int, first: int
) -> Iterator[Chip]:
    made = 0
    for seed in range(first, first + 2 * number):
        chip = make_chip(seed, _SIDE)
        if made == number or not set(bands) <= set(chip.polarisations):
            continue
        made += 1
        power = np.where(chip.valid, chip.after, np.nan).astype(np.float32)
        by_name = {
            name: xr.DataArray(band, dims=("y", "x"))
            for name, band in zip(chip.polarisations, power, strict=True)
        }
        seen = BackscatterScene(
            {band: by_name[band] for band in bands},
            is_filtered=is_filtered or chip.sensor.filtered,
        )
        levels = np.stack(list(seen.read(0, _SIDE)[0].values()))
        if not has_power:
            levels = _standardised(levels)
        yield levels, water_labels(chip.label) == 1, chip.visible & np.isfinite(levels[0])


def _standardised(levels: Floats) -> Floats:
    middle = np.nanmean(levels, axis=(1, 2), keepdims=True)
    spread = np.nanstd(levels, axis=(1, 2), keepdims=True)
    return np.asarray((levels - middle) / np.maximum(spread, 1e-3), np.float32)


def draw_pixels(known: Mask, number: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of pixels of a chip that are drawn among the known ones."""
    rows, cols = np.nonzero(known)
    chosen = draw.permutation(len(rows))[:number]
    return rows[chosen], cols[chosen]
