"""Backscatter of land and water at C band, by land cover and incidence angle.

Values are typical of published C-band statistics over land and inland water: open water darkens
steeply with the angle, wind brightens it, flooded trunks and stalks brighten by double bounce.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.simulate.fields import smooth_field
from floodloom.simulate.landscape import BARE, CROPS, FOREST, URBAN, Landscape

REFERENCE_ANGLE_DEG = 38.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """Backscatter of a surface at 38°: VV and VH in dB, and dB lost per degree beyond it."""

    vv: float
    vh: float
    slope: float


WATER = Surface(-21.5, -28.5, 0.35)
ROUGH_WATER = Surface(-16.0, -26.5, 0.25)
FLOODED_FOREST = Surface(-4.5, -13.0, 0.08)
FLOODED_CROPS = Surface(-17.5, -24.5, 0.20)
LAND = {
    CROPS: Surface(-11.0, -17.5, 0.13),
    FOREST: Surface(-8.5, -14.0, 0.08),
    URBAN: Surface(-3.0, -10.5, 0.05),
    BARE: Surface(-15.5, -23.5, 0.18),
}


def sigma0(
    landscape: Landscape, flood: bool, incidence_deg: Floats, seed: int
) -> dict[str, Floats]:
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
    parcel = np.random.default_rng(int(landscape.field.max())).normal(
        0, 1.6, int(landscape.field.max()) + 1
    )[landscape.field]
    wind = smooth_field(draw, shape, shape[0] / 15)
    surfaces = _surfaces(landscape, flood, wind)
    land = np.ones(shape, dtype=bool)
    decibel = {}
    for band in ("vv", "vh"):
        level = np.zeros(shape)
        for mask, surface in surfaces:
            value = getattr(surface, band) - surface.slope * (incidence_deg - REFERENCE_ANGLE_DEG)
            level = np.where(mask, value, level)
        land = landscape.cover == CROPS
        dry = ~(landscape.permanent | (landscape.flooded & flood))
        decibel[band] = level + texture + np.where(land & dry, parcel, 0)
    return {band: 10 ** (level / 10) for band, level in decibel.items()}


def _surfaces(
    landscape: Landscape, flood: bool, wind: Floats
) -> list[tuple[NDArray[np.bool_], Surface]]:
    surfaces = [(landscape.cover == cover, surface) for cover, surface in LAND.items()]
    if flood:
        forest = landscape.flooded & (landscape.cover == FOREST)
        crops = landscape.flooded & (landscape.cover == CROPS)
        shallow = crops & (landscape.field % 7 == 0)
        surfaces += [
            (landscape.flooded, WATER),
            (landscape.flooded & (wind > 1.4), ROUGH_WATER),
            (shallow, FLOODED_CROPS),
            (forest, FLOODED_FOREST),
        ]
    surfaces += [
        (landscape.permanent, WATER),
        (landscape.permanent & (wind > 1.4), ROUGH_WATER),
    ]
    return surfaces
