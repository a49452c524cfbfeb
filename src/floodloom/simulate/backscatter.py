"""Backscatter of land and water at C band, by land cover and incidence angle.

Values are typical of published C-band statistics over land and inland water: open water darkens
steeply with the angle, wind brightens it, flooded trunks and stalks brighten by double bounce.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.sentinel1.decibel import decibel_to_power
from floodloom.simulate.fields import smooth_field
from floodloom.simulate.landscape import BARE, CROPS, FOREST, URBAN, Landscape

REFERENCE_ANGLE_DEG = 38.0
_WINDY = 0.9  # of a standard normal field: a fifth of the water is roughened
_EMERGENT = 5  # one flooded field in five stands above the water


@dataclass(frozen=True)
class Surface:
    """Backscatter of a surface at 38°: VV and VH in dB, and dB lost per degree beyond it."""

    vv: float
    vh: float
    slope: float


WATER = Surface(-21.5, -28.5, 0.35)
ROUGH_WATER = Surface(-13.5, -24.5, 0.22)
FLOODED_FOREST = Surface(-4.5, -13.0, 0.08)
FLOODED_CROPS = Surface(-14.0, -20.5, 0.18)
LAND = {
    CROPS: Surface(-11.0, -17.5, 0.13),
    FOREST: Surface(-8.5, -14.0, 0.08),
    URBAN: Surface(-3.0, -10.5, 0.05),
    BARE: Surface(-17.0, -25.0, 0.20),
}


def sigma0(
    landscape: Landscape, flood: bool, incidence_deg: Doubles, seed: int
) -> dict[str, Doubles]:
    """Return the speckle-free backscatter of a landscape.

    Parameters
    ----------
    landscape
        The place.
    flood
        Whether the flood is there.
    incidence_deg
        (y, x) float64, degrees against the vertical.
    seed
        Seed of wind and texture, different for every acquisition.

    Returns
    -------
    dict
        `vv` and `vh`, each (y, x) float64, linear power.
    """
    draw = np.random.default_rng(seed)
    shape = landscape.cover.shape
    texture = 0.8 * smooth_field(draw, shape, 3)
    wind = smooth_field(draw, shape, shape[0] / 15)
    surfaces = _surfaces(landscape, flood, wind)
    dry = ~(landscape.permanent | (landscape.flooded & flood))
    parcels = np.where((landscape.cover == CROPS) & dry, landscape.roughness, 0.0)
    decibel = {}
    for band in ("vv", "vh"):
        level = np.zeros(shape)
        for mask, surface in surfaces:
            value = getattr(surface, band) - surface.slope * (incidence_deg - REFERENCE_ANGLE_DEG)
            level = np.where(mask, value, level)
        decibel[band] = level + texture + parcels
    return {band: decibel_to_power(level) for band, level in decibel.items()}


def _surfaces(
    landscape: Landscape, flood: bool, wind: Doubles
) -> list[tuple[NDArray[np.bool_], Surface]]:
    surfaces = [(landscape.cover == cover, surface) for cover, surface in LAND.items()]
    if flood:
        forest = landscape.flooded & (landscape.cover == FOREST)
        crops = landscape.flooded & (landscape.cover == CROPS)
        shallow = crops & (landscape.field % _EMERGENT == 0)
        surfaces += [
            (landscape.flooded, WATER),
            (landscape.flooded & (wind > _WINDY), ROUGH_WATER),
            (shallow, FLOODED_CROPS),
            (forest, FLOODED_FOREST),
        ]
    surfaces += [
        (landscape.permanent, WATER),
        (landscape.permanent & (wind > _WINDY), ROUGH_WATER),
    ]
    return surfaces
