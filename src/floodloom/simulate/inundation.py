"""Which ground a flood covers, and what stands out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from floodloom.arrays import Floats, Mask
from floodloom.simulate.cover import PARCELS, Land, irregular_cells
from floodloom.simulate.fields import fractal_field, organic_field
from floodloom.simulate.place import Cover
from floodloom.simulate.terrain import Ground


@dataclass(frozen=True)
class Flood:
    """Water where there is none on other days; (y, x) bool and float32 m."""

    covered: Mask
    depth: Floats


ORIGINS = {"river": 0.7, "rain": 0.15, "both": 0.15}
"""Where the water of a flood comes from, and how often."""


def flood_height(
    draw: np.random.Generator, ground: Ground, land: Land, spacing: float, origin: str
) -> Floats:
    """Return the level from which a flood covers each pixel, m.

    It is the height above the nearest drainage where a river leaves its bed, that above the
    surroundings where rain collects, higher behind dykes, and anything between. A flood covers
    what lies below its level, so it grows with it.

    Parameters
    ----------
    draw
        Source of random numbers.
    ground, land
        The place.
    spacing
        Pixel spacing, m.
    origin
        One of `ORIGINS`.

    Returns
    -------
    ndarray
        (y, x) float32.
    """
    side = len(ground.elevation)
    height = ground.above.copy()
    if origin != "river":
        window = max(3, round(draw.uniform(150, 600) / spacing))
        local = ground.elevation - uniform_filter(ground.elevation, window) - ground.hollow
        local *= draw.uniform(0.5, 2)
        height = local if origin == "rain" else np.minimum(height, 2 * local + 1)
    height = height + draw.uniform(0, 0.3) * organic_field(draw, side, 4, 80)

    # Fields are levelled each for itself, so that water stops at their borders.
    terrace = draw.uniform(0, 0.5) * draw.normal(0, 1, PARCELS)[land.parcel]
    height += np.where(land.tilled, terrace, 0)
    if draw.random() < 0.4:
        edge, cell = irregular_cells(draw, side, *(draw.uniform(300, 1500, 2) / spacing))
        spared = draw.exponential(1.5, PARCELS) * (draw.random(PARCELS) < draw.uniform(0.1, 0.6))
        height += spared[cell]
        height[edge] += draw.uniform(0, 2)
    height[ground.dyke] += draw.uniform(0.5, 3)
    return np.asarray(height, np.float32)


def level_of_share(height: Floats, dry: Mask, share: float) -> float:
    """Return the level, m, at which a flood covers a share (0-1) of the dry ground."""
    if share <= 0 or not dry.any():
        return -np.inf
    return float(np.quantile(height[dry], share))


def inundate(height: Floats, dry: Mask, level: float) -> Flood:
    """Flood the ground below a level.

    Parameters
    ----------
    height
        (y, x) float32 of `flood_height`, m.
    dry
        (y, x) bool, ground that isn't permanent water.
    level
        m.

    Returns
    -------
    Flood
        What a higher level covers includes what a lower one does.
    """
    covered = dry & (height < level)
    return Flood(covered, np.where(covered, level - height, 0).astype(np.float32))


def standing_out(draw: np.random.Generator, land: Land, depth: Floats) -> Floats:
    """Return the share of a water surface that plants and houses hide, (y, x) float32, 0-1.

    Grass and bare ground go under first, crops by field, reeds and shrubs late, trees never.
    """
    tall = {
        Cover.CROP: draw.beta(0.6, 2.4), Cover.GRASS: 0.08, Cover.SHRUB: 0.45, Cover.FOREST: 1.0,
        Cover.MARSH: draw.uniform(0.2, 0.8), Cover.TOWN: 0.75, Cover.PADDY: draw.beta(0.7, 2),
    }  # fmt: skip
    table = np.zeros(len(Cover), np.float32)
    for cover, share in tall.items():
        table[cover] = share
    field = np.isin(land.cover, (Cover.CROP, Cover.PADDY, Cover.MARSH))
    stand = draw.beta(0.9, 0.9, PARCELS).astype(np.float32)[land.parcel]
    hidden = table[land.cover] * np.where(field, 2 * stand, 1)
    hidden = hidden * np.clip(1.3 - 0.35 * depth, 0.1, 1)
    hidden += 0.12 * fractal_field(draw, len(depth), 3, 40) * (hidden > 0.05)
    hidden = np.where(land.cover == Cover.FOREST, land.canopy, hidden)
    return np.clip(np.where(land.cover == Cover.TOWN, 0.75, hidden), 0, 1).astype(np.float32)
