"""Backscatter of what covers the ground, at C band, VV and VH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.simulate.cover import PARCELS, Land
from floodloom.simulate.fields import fractal_field, organic_field
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
    Cover.CROP: Surface(-10.8, -16.8, 1.5, 0.2, 0.13),
    Cover.GRASS: Surface(-12.3, -18.9, 1.4, 0.2, 0.13),
    Cover.SHRUB: Surface(-11.2, -17.0, 1.4, 0.4, 0.11),
    Cover.FOREST: Surface(-8.3, -13.9, 0.8, 0.2, 0.07),
    Cover.MARSH: Surface(-11.2, -17.5, 2.2, 0.4, 0.12),
    Cover.SAND: Surface(-18.0, -26.5, 2.5, 0.3, 0.25),
    Cover.SOIL: Surface(-13.8, -22.0, 2.3, 0.2, 0.20),
    Cover.ROCK: Surface(-11.0, -18.5, 1.5, 0.7, 0.12),
    Cover.FLAT: Surface(-16.5, -24.5, 2.5, 0.3, 0.25),
    Cover.TOWN: Surface(-10.3, -16.8, 1.8, 1.0, 0.06),
    Cover.ROAD: Surface(-15.0, -22.0, 1.5, 0.6, 0.20),
    Cover.SNOW: Surface(-15.3, -22.0, 2.0, 0.3, 0.18),
    Cover.ICE: Surface(-16.0, -24.0, 2.5, 0.3, 0.20),
    Cover.PADDY: Surface(-11.3, -18.0, 1.5, 0.2, 0.14),
}
"""Means and spreads of covers.

Their order, spreads and losses follow Ulaby and Dobson, Handbook of Radar Scattering Statistics
for Terrain (1989), C band; wet snow is 3 dB darker than the ground without it (Nagler and Rott,
Retrieval of wet snow by means of multitemporal SAR data, 2000), dry sand as dark as water
(Martinis, Plank and Ćwik, The use of Sentinel-1 time-series data to improve flood monitoring in
arid areas, 2018). The cross-polarised level was set beside TerraMesh's land cover.
"""

_BARE = Surface(-13.2, -21.0, 2.3, 0.2, 0.18)


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
    """Draw the day of an acquisition."""
    return Day(
        green=float(np.clip(draw.normal(place.green, 0.3), 0, 1)),
        moist=draw.normal(0, 1.2),
        wind=draw_wind(draw),
        toward=draw.uniform(0, 360),
        gust=draw.uniform(0.05, 0.4),
        seed=int(draw.integers(2**62)),
    )


def draw_wind(draw: np.random.Generator) -> float:
    """Draw a wind speed, m/s, by a Weibull law of shape 2, at a calm place or at a windy one.

    The mean speed at 10 m height is 3.3 m/s over land and 6.6 m/s over the sea (Archer and
    Jacobson, Evaluation of global wind power, Journal of Geophysical Research 110, 2005), which
    makes the law's scale 3.7 and 7.5; storms, which bring floods, go beyond both.
    """
    return float(np.clip(draw.uniform(3.5, 10) * draw.weibull(2.0), 0.3, 20))


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
    draw: np.random.Generator, land: Land, swale: Floats, day: Day, incidence_deg: Floats | Doubles
) -> Power:
    """Return the backscatter of a dry place.

    Parameters
    ----------
    draw
        Source of what is the same on every day: another with the same seed gives the same stands.
    land
        What covers the ground.
    swale
        (y, x) float32, -1 to 1, ridges and swales, which differ in moisture and plants.
    day
        Season and weather.
    incidence_deg
        (y, x), degrees.

    Returns
    -------
    Power
    """
    side = len(land.cover)
    table = np.array([SURFACES[cover] for cover in Cover], dtype=np.float32)
    shift = draw.normal(0, 0.8, (len(Cover), 2)).astype(np.float32)
    contrast = draw.uniform(0.2, 1.2)  # of a place's parcels among themselves
    stand = draw.normal(0, contrast, (4, PARCELS)).astype(np.float32)[:, land.parcel]
    cover = land.cover
    between = table[:, 2][cover]
    place_vv = table[:, 0] + table[:, 2] * shift[:, 0] + np.float32(draw.normal(0, 0.8))
    vv = place_vv[cover] + 0.6 * between * stand[0]
    ratio = (table[:, 1] - table[:, 0] + shift[:, 1])[cover] + 0.35 * between * stand[1]
    vv, ratio = _season(vv, ratio, land, stand, day)

    # Wild land changes gradually, by plants and moisture; parcels have sharp borders.
    ecotone = draw.uniform(0, 3.5)
    outer = side * draw.uniform(0.4, 2)
    pattern = draw.gamma(2, 0.5) * organic_field(draw, side, draw.uniform(3.4, 4.8), outer)
    pattern += draw.normal(0, 1) * swale
    vv = np.where(land.tilled, vv, _blurred(vv, ~land.tilled, ecotone) + pattern)
    ratio = np.where(land.tilled, ratio, _blurred(ratio, ~land.tilled, ecotone))
    vv += table[:, 3][cover] * fractal_field(draw, side, 1.5, 25)
    vv += draw.gamma(1.5, 0.3) * fractal_field(draw, side, 4, 2 * side)
    vv -= table[:, 4][cover] * (incidence_deg - REFERENCE_ANGLE_DEG).astype(np.float32)
    ratio += 0.4 * fractal_field(draw, side, 4, side / 2)
    return _with_buildings(draw, land, Power(_power(vv), _power(vv + ratio)))


def _season(
    vv: Floats, ratio: Floats, land: Land, stand: Floats, day: Day
) -> tuple[Floats, Floats]:
    """Crops stand more or less high by parcel; bare soil is as bright as it is rough and wet.

    A parcel lies between bare soil and full cover, as in the water-cloud model (Attema and Ulaby,
    Vegetation modeled as a water cloud, 1978), here in dB.
    """
    drift = np.random.default_rng(day.seed).normal(0, 1, PARCELS).astype(np.float32)[land.parcel]
    crop = (land.cover == Cover.CROP) | (land.cover == Cover.PADDY)
    green = np.clip(1.6 * (day.green - 0.5) + 0.5 + 0.3 * stand[2] + 0.1 * drift, 0, 1)
    bare = _BARE.vv + day.moist + _BARE.between * stand[3]
    bare_ratio = _BARE.vh - _BARE.vv - 0.3 * day.moist + 0.8 * stand[1]
    vv = np.where(crop, green * vv + (1 - green) * bare, vv)
    ratio = np.where(crop, green * ratio + (1 - green) * bare_ratio, ratio)
    wets = np.isin(land.cover, (Cover.GRASS, Cover.SOIL, Cover.SHRUB, Cover.SAND))
    return vv + np.where(wets, 0.7 * day.moist, 0), ratio - np.where(wets, 0.2 * day.moist, 0)


def _blurred(values: Floats, where: Mask, sigma: float) -> Floats:
    if sigma < 0.3 or not where.any():
        return values
    weight = gaussian_filter(where.astype(np.float32), sigma, truncate=2.5)
    total = gaussian_filter(np.where(where, values, 0).astype(np.float32), sigma, truncate=2.5)
    return np.asarray(total / np.maximum(weight, 1e-3), np.float32)


def _power(decibel: Floats) -> Floats:
    return np.asarray(np.exp(np.float32(np.log(10) / 10) * decibel), dtype=np.float32)


def _with_buildings(draw: np.random.Generator, land: Land, power: Power) -> Power:
    rows, cols = np.nonzero(land.building)
    street = draw.normal(0, 2, PARCELS)[land.parcel[rows, cols]]
    flash = (draw.normal(-2, 5, len(rows)) + street).astype(np.float32)
    depolarised = draw.normal(-8, 2, len(rows)).astype(np.float32)
    power.vv[rows, cols] += _power(flash)
    power.vh[rows, cols] += _power(flash + depolarised)
    return power


def water_backscatter(
    water: Mask, day: Day, incidence_deg: Floats | Doubles, spacing: float
) -> Power:
    """Return the backscatter of open water, roughened by wind that needs room to do so.

    Parameters
    ----------
    water
        (y, x) bool; elsewhere the values have no meaning.
    day
        Wind.
    incidence_deg
        (y, x), degrees.
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
    outer = side * change.uniform(0.3, 2)
    field = day.gust * organic_field(change, side, change.uniform(3, 4.6), outer, 0.2)
    wind = day.wind * np.exp(field) * (0.35 + 0.65 * (1 - np.exp(-fetch / shelter)))
    if change.random() < 0.06:
        wind += 6 * np.clip(organic_field(change, side, 4, side / 2) - 1, 0, 1.5)  # rain cells
    if change.random() < 0.06:
        wind *= np.where(organic_field(change, side, 4.2, side, 0.3) > 1, 0.45, 1)  # slicks
    speeds = np.linspace(0.2, 25, 128)
    middle = float(np.mean(incidence_deg))
    near, far = (water_vv(speeds, day.toward, middle + step) for step in (-0.5, 0.5))
    vv = np.interp(wind, speeds, np.sqrt(near * far))
    vv *= np.interp(wind, speeds, far / near) ** (incidence_deg - middle)
    vh = np.interp(wind, speeds, water_vh(speeds))
    return Power(vv.astype(np.float32), vh.astype(np.float32))


def flooded_backscatter(
    draw: np.random.Generator, dry: Power, water: Power, land: Land, hidden: Floats
) -> Power:
    """Return the backscatter of water with plants, trees or houses in it.

    Between open water and stems that hide it, double bounce adds to VV, less to VH. Sources:
    Pulvirenti et al., Flood monitoring using multi-temporal COSMO-SkyMed data: image segmentation
    and signature interpretation (2011); Tsyganskaya et al., SAR-based detection of flooded
    vegetation, a review of characteristics and approaches (2018).

    Parameters
    ----------
    draw
        Source of random numbers.
    dry, water
        Backscatter of the dry place and of open water.
    land
        What stands in the water.
    hidden
        (y, x) float32, share of the water that it hides, 0-1.

    Returns
    -------
    Power
    """
    forest, town = land.cover == Cover.FOREST, land.cover == Cover.TOWN
    solid = forest | town
    stems, trunks, walls = (
        np.float32(10 ** (draw.uniform(*span) / 10)) for span in ((-17, -7), (-13, -5), (-8, -2))
    )
    bounce = np.where(forest, trunks, np.where(town, walls, 4 * stems * hidden * (1 - hidden)))
    open_share = np.where(solid, 0.15 * (1 - hidden), 1 - hidden)
    vv = open_share * water.vv + np.where(solid, 1.0, hidden**1.5) * dry.vv + bounce
    vh = open_share * water.vh + np.where(solid, 1.0, hidden**2) * dry.vh + 0.03 * bounce
    return Power(vv.astype(np.float32), vh.astype(np.float32))
