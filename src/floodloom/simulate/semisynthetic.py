"""Real scenes with simulated floods: the land is what a radar saw, the water drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from floodloom.arrays import IGNORE, Bytes, Floats, Mask
from floodloom.errors import InputError
from floodloom.sentinel1.relief import height_above_drainage
from floodloom.simulate.backscatter import Day, draw_wind, water_backscatter
from floodloom.simulate.chips import VISIBLE_DB
from floodloom.simulate.fields import organic_field
from floodloom.simulate.inundation import level_of_share
from floodloom.simulate.sensor import draw_sensor, incidence_angle, observe, thermal_noise

_CHANNEL_AREA = 2e5
"""m² that drain into a channel: the scenes are small, and their rivers come from without."""

_REACH_PX = 64
_MIXED_PX = 0.85
_PLAIN_M = 0.4
"""Spread of the level: integer elevations of a plain have steps that no water surface has."""


@dataclass(frozen=True)
class RealPlace:
    """A real place that no flood covers, on a square map.

    Attributes
    ----------
    power
        (2, y, x) float32, VV and VH, linear, of sigma0 or gamma0; NaN = no data.
    elevation
        (y, x) float32, m; NaN = no data.
    water
        (y, x) uint8: 1 permanent water, 0 land, 255 unknown.
    hides
        (y, x) bool: trees and houses, under which no flood is seen.
    spacing
        Pixel spacing, m.
    name
        For messages.
    """

    power: Floats
    elevation: Floats
    water: Bytes
    hides: Mask
    spacing: float
    name: str = "place"

    def __post_init__(self) -> None:
        rasters = (self.power[0], self.power[1], self.elevation, self.water, self.hides)
        shapes = {raster.shape for raster in rasters}
        if len(shapes) > 1 or len(set(self.elevation.shape)) > 1:
            described = ", ".join(map(str, sorted(shapes)))
            raise InputError(f"{self.name}: rasters are {described} px; cut them to one square")


@dataclass(frozen=True)
class FloodedPlace:
    """A real place with a flood.

    `power` as of `RealPlace`; `label` (y, x) uint8, 0 dry, 1 permanent water, 2 flood, 255 unknown:
    also where the flood is hidden, or darkens no polarisation by `VISIBLE_DB`.
    """

    power: Floats
    label: Bytes


def flood_place(draw: np.random.Generator, place: RealPlace, share: float) -> FloodedPlace:
    """Flood a real place by height above drainage.

    The water is drawn as the simulator draws it, from measured laws of its backscatter by wind and
    incidence (`floodloom.simulate.ocean`), with the noise and the speckle of an image; the edges
    are mixed as the sensor's resolution mixes them. Everything else stays as the radar saw it.

    Parameters
    ----------
    draw
        Source of random numbers.
    place
        The place.
    share
        Share of the land that the flood covers, 0-1.

    Returns
    -------
    FloodedPlace
    """
    side = len(place.elevation)
    land = (place.water == 0) & np.isfinite(place.elevation)
    height = _height(draw, place)
    covered = land & (height < level_of_share(height, land, share))
    sensor = replace(draw_sensor(draw), spacing=place.spacing, filtered=False)
    incidence = incidence_angle(sensor, side)
    water = water_backscatter(covered | (place.water == 1), _day(draw), incidence, place.spacing)
    noise = thermal_noise(draw, sensor, side)
    drawn = np.stack([
        observe(draw, water[band], noise[band], sensor.removed[band], sensor) for band in range(2)
    ])  # fmt: skip

    open_water = gaussian_filter((covered & ~place.hides).astype(np.float32), _MIXED_PX)
    open_water *= 1 - _standing_out(draw, side)
    power = (1 - open_water) * place.power + open_water * drawn
    seen = np.stack(water) + noise  # of which a removal takes the mean away, not what it hides
    return FloodedPlace(power.astype(np.float32), _label(place, covered, seen, open_water))


def _height(draw: np.random.Generator, place: RealPlace) -> Floats:
    """Return the level from which a flood covers each pixel, (y, x) float32, m."""
    spacing = (place.spacing, place.spacing)
    wider = np.pad(place.elevation, _REACH_PX, mode="reflect")  # else its borders drain it
    channel = np.pad(place.water != 0, _REACH_PX, mode="reflect")
    wide = height_above_drainage(wider, spacing, channel_area=_CHANNEL_AREA, water=channel)
    height = wide[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX]
    height = np.where(np.isfinite(height), height, np.inf)
    smooth = gaussian_filter(np.where(np.isfinite(height), height, 0.0), draw.uniform(0.5, 3))
    uneven = draw.uniform(0.3, 1.5) * _PLAIN_M * organic_field(draw, len(height), 4, 80)
    return np.asarray(np.where(np.isfinite(height), smooth + uneven, np.inf), np.float32)


def _day(draw: np.random.Generator) -> Day:
    """Draw the wind; the season isn't looked at."""
    wind = draw_wind(draw)
    return Day(
        0.5, 0.0, wind, draw.uniform(0, 360), draw.uniform(0.05, 0.4), int(draw.integers(2**62))
    )


def _standing_out(draw: np.random.Generator, side: int) -> Floats:
    """Return the share of the water that low plants hide, (y, x) float32, 0-1; mostly none."""
    if draw.random() < 0.6:
        return np.zeros((side, side), np.float32)
    field = organic_field(draw, side, 4, side / 3)
    return np.asarray(np.clip(0.5 * draw.beta(1, 2) * (field + 0.3), 0, 0.9), np.float32)


def _label(place: RealPlace, covered: Mask, water: Floats, share: Floats) -> Bytes:
    """Return the classes; what is like land, and mixed pixels at edges, is unknown."""
    expected = (1 - share) * place.power + share * water
    darker = np.max([_smooth(place.power[b]) / _smooth(expected[b]) for b in range(2)], axis=0)
    label = np.where(covered, np.uint8(2), place.water)
    hidden = covered & (place.hides | (darker < 10 ** (VISIBLE_DB / 10)))
    edge = ~covered & (place.water == 0) & (share > 0.2)
    other = place.water != 0
    shore = binary_dilation(other) & ~other & ~covered
    unknown = hidden | edge | shore | ~np.isfinite(place.power).all(axis=0)
    return np.where(unknown, IGNORE, label).astype(np.uint8)


def _smooth(power: Floats) -> Floats:
    return np.asarray(np.maximum(gaussian_filter(np.nan_to_num(power), 1.5), 1e-9), np.float32)
