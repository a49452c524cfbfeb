"""What supervised baselines are trained on: simulated chips, no label of any scene.

The chips are drawn from their seeds, so a forest is the same each time that it is needed and no
file of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import Floats, Mask
from floodloom.classical.scene import BackscatterScene
from floodloom.sentinel1.bands import CO_POLARISED
from floodloom.simulate.chips import Chip as SimulatedChip
from floodloom.simulate.chips import make_chip
from floodloom.tiles.labels import water_labels

_SIDE = 128  # px
_FIRST = 5_000_000  # far from the seeds of the chips that networks are trained on
_APART = 20_000

Chip = tuple[Floats, Mask, Mask]
"""Levels (band, y, x) float32, NaN without data; where (y, x) water is; where that can be seen."""


@dataclass(frozen=True)
class Seen:
    """How a scene is seen, which chips must be as well.

    Attributes
    ----------
    bands
        Polarisations; HH is as VV, and HV as VH.
    has_power
        Whether levels are decibel, or display values less their mean over their deviation: those of
        chips are standardised by the chip.
    is_filtered
        Whether levels are those of the pixel, not means of 3 x 3 px.
    """

    bands: tuple[str, ...]
    has_power: bool
    is_filtered: bool

    @classmethod
    def of(cls, scene: BackscatterScene) -> Seen:
        """Return how a scene is seen."""
        bands = tuple("vv" if band in CO_POLARISED else "vh" for band in scene.bands)
        return cls(bands, scene.has_power, scene.is_filtered)


def training_chips(seen: Seen, number: int, seed: int) -> Iterator[Chip]:
    """Yield simulated chips of 128 px, other ones for each seed."""
    first = _FIRST + seed * _APART
    made = 0
    for one in range(first, first + _APART):
        chip = make_chip(one, _SIDE)
        if not set(seen.bands) <= set(chip.polarisations):
            continue
        yield _chip(chip, seen)
        made += 1
        if made == number:
            return


def _chip(chip: SimulatedChip, seen: Seen) -> Chip:
    power = np.where(chip.valid, chip.after, np.nan).astype(np.float32)
    by_name = {
        name: xr.DataArray(band, dims=("y", "x"))
        for name, band in zip(chip.polarisations, power, strict=True)
    }
    scene = BackscatterScene(
        {f"{place} {band}": by_name[band] for place, band in enumerate(seen.bands)},
        is_filtered=seen.is_filtered or chip.sensor.filtered,
    )
    levels = np.stack(list(scene.read(0, _SIDE)[0].values()))
    if not seen.has_power:
        levels = _standardised(levels)
    return levels, water_labels(chip.label) == 1, chip.visible & np.isfinite(levels[0])


def _standardised(levels: Floats) -> Floats:
    middle = np.nanmean(levels, axis=(1, 2), keepdims=True)
    spread = np.nanstd(levels, axis=(1, 2), keepdims=True)
    return np.asarray((levels - middle) / np.maximum(spread, 1e-3), np.float32)


def draw_pixels(
    known: Mask, number: int, draw: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of pixels of a chip that are drawn among the known ones."""
    rows, cols = np.nonzero(known)
    chosen = draw.permutation(len(rows))[:number]
    return rows[chosen], cols[chosen]
