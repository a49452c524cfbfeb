"""A place with its flood, and its backscatter on any day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floodloom.arrays import Bytes, Doubles, Floats, Mask
from floodloom.simulate.backscatter import (
    Day,
    Power,
    flooded_backscatter,
    land_backscatter,
    water_backscatter,
)
from floodloom.simulate.cover import Land, make_land
from floodloom.simulate.inundation import (
    ORIGINS,
    Flood,
    flood_height,
    inundate,
    level_of_share,
    standing_out,
)
from floodloom.simulate.place import Place
from floodloom.simulate.terrain import Ground, make_ground


@dataclass(frozen=True)
class Landscape:
    """A place with and without its flood.

    `ground` its shape and permanent water; `land` what lies on it; `flood` what is covered, never
    permanent water; `hidden` (y, x) float32, share of the flood that plants and houses hide, 0-1;
    `spacing` m; `seed` of what is the same on every day.
    """

    ground: Ground
    land: Land
    flood: Flood
    hidden: Floats
    spacing: float
    seed: int

    @property
    def label(self) -> Bytes:
        """(y, x) uint8: 0 dry, 1 permanent water, 2 flood."""
        label = np.where(self.ground.water, 1, np.where(self.flood.covered, 2, 0))
        return label.astype(np.uint8)


def make_landscape(
    draw: np.random.Generator,
    place: Place,
    side: int,
    spacing: float,
    *,
    share: float | None = None,
    depth: float | None = None,
) -> Landscape:
    """Make a landscape and flood it.

    Parameters
    ----------
    draw
        Source of random numbers.
    place
        What the place is like.
    side
        Pixels along each side.
    spacing
        Pixel spacing, m.
    share
        Share of the dry land that the flood covers, 0-1.
    depth
        Level of a river's flood above the drainage, m, instead of a share.

    Returns
    -------
    Landscape
    """
    ground = make_ground(draw, place, side, spacing)
    land = make_land(draw, place, ground, spacing)
    origin = str(draw.choice(list(ORIGINS), p=list(ORIGINS.values())))
    height = flood_height(draw, ground, land, spacing, origin if depth is None else "river")
    dry: Mask = ~ground.water
    level = level_of_share(height, dry, share or 0.0) if depth is None else depth
    flood = inundate(height, dry, level)
    hidden = standing_out(draw, land, flood.depth)
    return Landscape(ground, land, flood, hidden, spacing, int(draw.integers(2**62)))


def surface_backscatter(
    landscape: Landscape, day: Day, incidence_deg: Floats | Doubles, *, flooded: bool
) -> tuple[Power, Power]:
    """Return the speckle-free backscatter of a landscape as if it were level.

    Parameters
    ----------
    landscape
        The place.
    day
        Season and weather.
    incidence_deg
        (y, x), degrees against the vertical.
    flooded
        Whether the flood is there.

    Returns
    -------
    tuple of Power
        With the flood, if it is there, and without.
    """
    ground, land = landscape.ground, landscape.land
    flood = landscape.flood.covered & flooded
    same = np.random.default_rng(landscape.seed)
    dry = land_backscatter(same, land, ground.swale, day, incidence_deg)
    water = water_backscatter(ground.water | flood, day, incidence_deg, landscape.spacing)
    plants = flooded_backscatter(same, dry, water, land, landscape.hidden)
    before, after = [], []
    for band in range(2):
        power = dry[band] * (1 - 0.9 * ground.brook) + water[band] * ground.brook
        power = np.where(ground.water, np.where(land.soaked, plants[band], water[band]), power)
        before.append(np.asarray(power, np.float32))
        after.append(np.asarray(np.where(flood, plants[band], power), np.float32))
    return Power(*after), Power(*before)
