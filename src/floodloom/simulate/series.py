"""Several dates before a flood, of a place whose water comes and goes with the season."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import label as number_patches

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.simulate.backscatter import Day, Power, draw_day, other_day
from floodloom.simulate.chips import VISIBLE_DB
from floodloom.simulate.inundation import (
    Flood,
    flood_height,
    inundate,
    level_of_share,
    standing_out,
)
from floodloom.simulate.landscape import Landscape, make_landscape, surface_backscatter
from floodloom.simulate.place import Cover, draw_place
from floodloom.simulate.sensor import (
    Sensor,
    draw_sensor,
    incidence_angle,
    observe,
    slope_effect,
    thermal_noise,
)

SEASONAL = 3
"""Label of water after the flood that comes without one, too."""

WET_SHARE = 0.5
"""How often seasonal water is there on a date."""

_RIVER_SHARE = 0.3  # of the flooded ground, the lowest
_POND_SHARE = 0.03  # of the dry ground


@dataclass(frozen=True)
class Series:
    """A place on several dates before a flood and one after it, all by one sensor.

    `before` (date, 2, y, x) and `after` (2, y, x) float32, VV and VH, linear power; `water`
    (date, y, x) bool, where there was water on each date before; `label` (y, x) uint8, 0 dry, 1
    permanent water, 2 flood, 3 seasonal water, which is there after the flood whether it was on a
    date before or not; `visible` (y, x) bool, True where the flood or seasonal water can be seen
    after the flood, see `floodloom.simulate.chips.VISIBLE_DB`; `sensor` how the images were taken.
    """

    before: Floats
    after: Floats
    water: Mask
    label: Bytes
    visible: Mask
    sensor: Sensor


def make_series(seed: int, size: int = 256, dates: int = 3, biome: str | None = None) -> Series:
    """Make a series; the same for the same seed, size and biome, but for the number of dates.

    Seasonal water is the lowest ground of the flood, which a river covers when it is high, and
    ponds where rain collects. The river's level and each pond are drawn for each date before, wet
    on half of them.

    Parameters
    ----------
    seed
        Seed of everything random.
    size
        Pixels along each side, 32 or more.
    dates
        Dates before the flood. A longer series begins with the dates of a shorter one.
    biome
        Climate and land use, one of `place.BIOMES`; drawn when not given.

    Returns
    -------
    Series
    """
    draw = np.random.default_rng(seed)
    place = draw_place(draw, biome)
    sensor = draw_sensor(draw)
    share = float(draw.uniform(0.05, 0.4))
    landscape = make_landscape(draw, place, size, sensor.spacing, share=share)
    high, ponds = _seasonal_water(draw, landscape)
    flood = _united(landscape.flood, ponds)
    noise = thermal_noise(draw, sensor, size)
    day = draw_day(draw, place)
    view = _View(landscape, sensor, noise)
    after = view.image(draw, view.surface(flood, day)[0])
    earlier, water = [], []
    for _ in range(dates):
        wet = _on_a_date(draw, high, ponds)
        clean, _ = view.surface(wet, other_day(draw, day, place))
        earlier.append(view.image(draw, clean))
        water.append(landscape.ground.water | wet.covered)
    label = np.where(flood.covered, 2, landscape.label)
    label[high.covered | ponds.covered] = SEASONAL
    return Series(
        before=np.stack(earlier),
        after=after,
        water=np.stack(water),
        label=label.astype(np.uint8),
        visible=view.darker(flood, day),
        sensor=sensor,
    )


def _seasonal_water(draw: np.random.Generator, landscape: Landscape) -> tuple[Flood, Flood]:
    """Return what a high river covers, and ponds."""
    depth, covered = landscape.flood.depth, landscape.flood.covered
    lowest = float(np.quantile(depth[covered], 1 - _RIVER_SHARE)) if covered.any() else np.inf
    river = inundate(-depth, covered, -lowest)
    dry = ~landscape.ground.water
    height = flood_height(draw, landscape.ground, landscape.land, landscape.spacing, "rain")
    return river, inundate(height, dry, level_of_share(height, dry, _POND_SHARE))


def _united(one: Flood, other: Flood) -> Flood:
    return Flood(one.covered | other.covered, np.maximum(one.depth, other.depth))


def _on_a_date(draw: np.random.Generator, river: Flood, ponds: Flood) -> Flood:
    """Draw the seasonal water of a date before."""
    patches, count = number_patches(ponds.covered)
    wet = np.concatenate([[False], draw.random(count) < WET_SHARE])[patches]
    if draw.random() < WET_SHARE:
        wet = wet | river.covered
    return Flood(wet, np.where(wet, np.maximum(river.depth, ponds.depth), 0).astype(np.float32))


@dataclass(frozen=True)
class _View:
    landscape: Landscape
    sensor: Sensor
    noise: Floats

    def surface(self, flood: Flood, day: Day) -> tuple[Power, Power]:
        """Return the backscatter of a day with this water, and without."""
        same = np.random.default_rng(self.landscape.seed)
        hidden = standing_out(same, self.landscape.land, flood.depth)
        place = replace(self.landscape, flood=flood, hidden=hidden)
        incidence = incidence_angle(self.sensor, len(hidden))
        return surface_backscatter(place, day, incidence, flooded=True)

    def slopes(self) -> Floats:
        """Return by how much slopes and woods raise the backscatter, (y, x)."""
        woods = self.landscape.land.cover == Cover.FOREST
        return slope_effect(self.landscape.ground.elevation, woods, self.sensor)

    def image(self, draw: np.random.Generator, power: Power) -> Floats:
        """Return the image (2, y, x) of a surface."""
        slopes = self.slopes()
        bands = [
            observe(draw, band * slopes, noise, removed, self.sensor)
            for band, noise, removed in zip(power, self.noise, self.sensor.removed, strict=True)
        ]
        return np.stack(bands)

    def darker(self, flood: Flood, day: Day) -> Mask:
        """Where (y, x) water darkens a polarisation by `VISIBLE_DB`, so that it can be seen."""
        wet, dry = (
            np.stack(power) * self.slopes() + self.noise for power in self.surface(flood, day)
        )
        return np.asarray((wet / dry).min(axis=0) < 10 ** (-VISIBLE_DB / 10))
