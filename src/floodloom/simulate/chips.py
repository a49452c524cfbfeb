"""Labelled chips on a map grid, for training: a place, its flood, and how the radar sees both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.simulate.backscatter import Power, draw_day, other_day
from floodloom.simulate.landscape import make_landscape, surface_backscatter
from floodloom.simulate.place import Cover, draw_place
from floodloom.simulate.sensor import (
    Sensor,
    draw_sensor,
    incidence_angle,
    observe,
    scene_border,
    slope_effect,
    thermal_noise,
)

DRY_SHARE = 0.45
"""Share of chips without a flood."""

VISIBLE_DB = 3.0
"""A flood that darkens no polarisation by as much can't be seen."""

SHADOW = 0.05


@dataclass(frozen=True)
class Chip:
    """A labelled pair of images of one place on a map grid.

    `label` is the exact truth, whatever the radar shows of it; `visible` marks where it can be
    learned: leave out the rest, as pixels without a label are.

    `before`, `after` (pol, y, x) float32, linear power, 0 or more, 0 where not `valid`; `label`
    (y, x) uint8, 0 dry, 1 permanent water, 2 flood; `visible` (y, x) bool, False where a flood
    lies under trees, houses or plants, or on ground that is as dark as water, so that no
    polarisation is darker by `VISIBLE_DB`, and in the shadow of hills and around ships; `valid`
    (y, x) bool; `incidence` (y, x) float32, degrees; `elevation` (y, x) float32, m; `cover` (y, x)
    uint8 of `Cover`, without water; `polarisations` in the order of the images; `biome` its name;
    `sensor` how the images were taken: quantity, flattening, spacing, filter, noise.
    """

    before: Floats
    after: Floats
    label: Bytes
    visible: Mask
    valid: Mask
    incidence: Floats
    elevation: Floats
    cover: Bytes
    polarisations: tuple[str, ...]
    biome: str
    sensor: Sensor


def make_chip(seed: int, size: int = 256, biome: str | None = None) -> Chip:
    """Make a labelled chip; the same for the same seed, size and biome.

    Parameters
    ----------
    seed
        Seed of everything random.
    size
        Pixels along each side, 32 or more.
    biome
        Climate and land use, one of `place.BIOMES`; drawn when not given.

    Returns
    -------
    Chip
        Nearly half of the chips have no flood, the others from a trace to nine tenths.
    """
    draw = np.random.default_rng(seed)
    place = draw_place(draw, biome)
    sensor = draw_sensor(draw)
    share = 0.0 if draw.random() < DRY_SHARE else float(np.clip(draw.beta(0.7, 1.6), 0.003, 0.9))
    landscape = make_landscape(draw, place, size, sensor.spacing, share=share)
    ground, flood = landscape.ground, landscape.flood.covered
    slopes = slope_effect(ground.elevation, landscape.land.cover == Cover.FOREST, sensor)
    ships = _ships(draw, ground.sea)
    incidence = incidence_angle(sensor, size)
    day = draw_day(draw, place)
    dry, _ = surface_backscatter(landscape, other_day(draw, day, place), incidence, flooded=False)
    wet, unflooded = surface_backscatter(landscape, day, incidence, flooded=True)
    noise = thermal_noise(draw, sensor, size)
    valid, fade = scene_border(draw, size)
    bands = ("vv",) if draw.random() < 0.05 else ("vv", "vh")
    before, after = (
        np.stack([
            observe(draw, power[band] * slopes, noise[band], sensor.removed[band], sensor)
            for band in range(len(bands))
        ]) * (fade * valid)
        for power in (dry, Power(*(np.where(ships, _SHIP, band) for band in wet)))
    )  # fmt: skip
    darker = np.min(
        [(wet[band] * slopes + noise[band]) / (unflooded[band] * slopes + noise[band])
         for band in range(len(bands))], axis=0,
    ) < 10 ** (-VISIBLE_DB / 10)  # fmt: skip
    visible = np.where(flood, darker, slopes > SHADOW) & ~binary_dilation(ships, iterations=2)
    return Chip(
        before=before,
        after=after,
        label=landscape.label,
        visible=visible,
        valid=valid,
        incidence=incidence,
        elevation=ground.elevation,
        cover=landscape.land.cover,
        polarisations=bands,
        biome=place.biome,
        sensor=sensor,
    )


_SHIP = np.float32(10.0)


def _ships(draw: np.random.Generator, sea: Mask) -> Mask:
    traffic = draw.exponential(2e-5) * (draw.random() < 0.4)
    return np.asarray(sea & (draw.random(sea.shape) < traffic))
