"""Backscatter of what covers the ground, at C band, VV and VH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from floodloom.arrays import Floats, Mask
from floodloom.simulate.cover import Land
from floodloom.simulate.fields import fractal_field
from floodloom.simulate.ocean import water_vh, water_vv
from floodloom.simulate.place import Cover, Place

REFERENCE_ANGLE_DEG = 38.0


class Surface(NamedTuple):
    """Backscatter of a cover at 38°, sigma0.

    `vv`, `vh` dB; `between` dB, spread between stands; `within` dB, texture within one; `slope` dB
    lost for each degree of incidence.
    """

    vv: float
    vh: float
    between: float
    within: float
    slope: float


SURFACES = {
    Cover.CROP: Surface(-11.0, -17.3, 1.5, 0.5, 0.13),
    Cover.GRASS: Surface(-12.8, -19.8, 1.3, 0.5, 0.13),
    Cover.SHRUB: Surface(-11.6, -18.0, 1.3, 0.8, 0.11),
    Cover.FOREST: Surface(-8.6, -14.4, 0.7, 0.7, 0.07),
    Cover.MARSH: Surface(-11.0, -17.8, 2.2, 0.9, 0.12),
    Cover.SAND: Surface(-18.5, -27.0, 2.5, 0.6, 0.25),
    Cover.SOIL: Surface(-13.5, -22.3, 2.3, 0.6, 0.20),
    Cover.ROCK: Surface(-11.0, -19.0, 1.5, 1.2, 0.12),
    Cover.FLAT: Surface(-16.0, -25.0, 2.5, 0.7, 0.25),
    Cover.TOWN: Surface(-8.5, -15.5, 1.5, 1.5, 0.06),
    Cover.ROAD: Surface(-16.0, -24.0, 1.5, 1.0, 0.20),
    Cover.SNOW: Surface(-15.5, -22.0, 2.0, 0.8, 0.18),
    Cover.ICE: Surface(-16.0, -24.5, 2.5, 0.8, 0.20),
    Cover.PADDY: Surface(-11.5, -18.5, 1.5, 0.5, 0.14),
}
"""Means and spreads of covers."""

_BARE = Surface(-13.2, -21.8, 2.3, 0.5, 0.18)


@dataclass(frozen=True)
class Day:
    """The weather and the season of one acquisition.

    `green` 0-1, how far crops stand; `moist` dB above the mean of bare soil; `wind` m/s; `toward`
    degrees between wind and radar; `gust` spread of the wind within the scene; `seed` of what
    differs between days.
    """

    green: float
    moist: float
    wind: float
    toward: float
    gust: float
    seed: int


def draw_day(draw: np.random.Generator, place: Place) -> Day:
    """Draw the day of an acquisition: the wind by a Weibull law of shape 2."""
    return Day(
        green=float(np.clip(draw.normal(place.green, 0.3), 0, 1)),
        moist=draw.normal(0, 1.2),
        wind=float(np.clip(4.5 * draw.weibull(2.0), 0.3, 16)),
        toward=draw.uniform(0, 360),
        gust=draw.uniform(0.05, 0.5),
        seed=int(draw.integers(2**62)),
    )


def other_day(draw: np.random.Generator, day: Day, place: Place) -> Day:
    """Draw a day some weeks from another: the season has moved, the weather is another."""
    drawn = draw_day(draw, place)
    green = float(np.clip(day.green + draw.normal(0, 0.15), 0, 1))
    return Day(green, drawn.moist, drawn.wind, drawn.toward, drawn.gust, drawn.seed)


class Power(NamedTuple):
    """sigma0 of both polarisations, (y, x) float32, linear."""

    vv: Floats
    vh: Floats


def land_backscatter(
    draw: np.random.Generator, land: Land, day: Day, incidence_deg: Floats
) -> Power:
    """Return the backscatter of a dry place.

    Parameters
    ----------
    draw
        Source of what is the same on every day: another with the same seed gives the same stands.
    land
        What covers the ground.
    day
        Season and weather.
    incidence_deg
        (y, x) float32, degrees.

    Returns
    -------
    Power
    """
    side = len(land.cover)
    table = np.array([SURFACES[cover] for cover in Cover], dtype=np.float32)
    shift = draw.normal(0, 1, (len(Cover), 2)).astype(np.float32)
    vv_of = table[:, 0] + 0.8 * table[:, 2] * shift[:, 0]
    vh_of = table[:, 1] + 0.8 * table[:, 2] * shift[:, 0] + 0.9 * shift[:, 1]
    cover = land.cover
    stand = draw.normal(0, 1, (4, 4096)).astype(np.float32)[:, land.parcel]
    change = np.random.default_rng(day.seed)
    between = table[:, 2][cover]
    vv = vv_of[cover] + 0.6 * between * stand[0]
    vh = vh_of[cover] + 0.6 * between * stand[0] + 0.35 * between * stand[1]

    tilled = (cover == Cover.CROP) | (cover == Cover.PADDY)
    drift = change.normal(0, 1, 4096).astype(np.float32)[land.parcel]
    green = np.clip(1.6 * (day.green - 0.5) + 0.5 + 0.3 * stand[2] + 0.1 * drift, 0, 1)
    bare_vv = _BARE.vv + day.moist + _BARE.between * stand[3] - 0.5
    bare_vh = _BARE.vh + 0.7 * day.moist + 0.8 * _BARE.between * stand[3] + 0.8 * stand[1]
    vv = np.where(tilled, green * vv + (1 - green) * bare_vv, vv)
    vh = np.where(tilled, green * vh + (1 - green) * bare_vh, vh)

    open_soil = np.isin(cover, (Cover.GRASS, Cover.SOIL, Cover.SHRUB, Cover.SAND))
    vv = vv + np.where(open_soil, 0.7 * day.moist, 0)
    vh = vh + np.where(open_soil, 0.5 * day.moist, 0)
    lost = table[:, 4][cover] * (incidence_deg - REFERENCE_ANGLE_DEG)
    texture = table[:, 3][cover] * fractal_field(draw, side, 1.5, 25)
    patch = 0.5 * fractal_field(draw, side, 3, side / 3)
    common = texture + patch - lost
    vv, vh = _power(vv + common), _power(vh + common)
    return _with_buildings(draw, land, Power(vv, vh))


def _power(decibel: Floats) -> Floats:
    return np.asarray(np.exp(np.float32(np.log(10) / 10) * decibel), dtype=np.float32)


def _with_buildings(draw: np.random.Generator, land: Land, power: Power) -> Power:
    rows, cols = np.nonzero(land.building)
    flash = draw.normal(-1, 5, len(rows)).astype(np.float32)
    power.vv[rows, cols] += _power(flash)
    power.vh[rows, cols] += _power(flash - 8 + draw.normal(0, 2, len(rows)).astype(np.float32))
    return power


def water_backscatter(water: Mask, day: Day, incidence_deg: float, spacing: float) -> Power:
    """Return the backscatter of open water, roughened by wind that needs room to do so.

    Parameters
    ----------
    water
        (y, x) bool; elsewhere the values have no meaning.
    day
        Wind.
    incidence_deg
        Degrees.
    spacing
        Pixel spacing, m.

    Returns
    -------
    Power
    """
    side = len(water)
    change = np.random.default_rng(day.seed + 1)
    fetch = distance_transform_edt(water).astype(np.float32) * spacing
    shelter = change.uniform(50, 600)
    field = fractal_field(change, side, change.uniform(2.4, 3.6), side * change.uniform(0.2, 1.5))
    wind = day.wind * np.exp(day.gust * field) * (0.35 + 0.65 * (1 - np.exp(-fetch / shelter)))
    speeds = np.linspace(0.2, 25, 128)
    vv = np.interp(wind, speeds, water_vv(speeds, day.toward, incidence_deg))
    vh = np.interp(wind, speeds, water_vh(speeds))
    return Power(vv.astype(np.float32), vh.astype(np.float32))


def flooded_backscatter(
    draw: np.random.Generator, land: Power, water: Power, hidden: Floats, forest: Mask, town: Mask
) -> Power:
    """Return the backscatter of water with plants, trees or houses in it.

    Between open water and stems that hide it, double bounce adds to VV, less to VH. Sources:
    Pulvirenti et al., Analysis of SAR data for flood mapping in vegetated areas (2011); Tsyganskaya
    et al., SAR-based detection of flooded vegetation (2018).

    Parameters
    ----------
    draw
        Source of random numbers.
    land, water
        Backscatter of the dry place and of open water.
    hidden
        (y, x) float32, share that stands out, 0-1.
    forest, town
        (y, x) bool.

    Returns
    -------
    Power
    """
    stems = hidden * (1 - hidden) * 4
    bounce = _power(np.float32(draw.uniform(-14, -6)) + np.float32(draw.normal(0, 1)) + 0 * hidden)
    bounce = np.where(forest, _power(np.full_like(hidden, draw.uniform(-13, -5))), bounce * stems)
    bounce = np.where(town, _power(np.full_like(hidden, draw.uniform(-8, -2))), bounce)
    open_share = np.where(forest, 0.15 * (1 - hidden), 1 - hidden)
    plant = np.where(forest | town, 1.0, hidden**1.5).astype(np.float32)
    vv = open_share * water.vv + plant * land.vv + bounce
    vh = open_share * water.vh + np.where(forest | town, 1, hidden**2) * land.vh + bounce * 0.03
    return Power(vv.astype(np.float32), vh.astype(np.float32))
