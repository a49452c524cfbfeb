"""Labelled chips on a map grid, for training: a place, its flood, and how the radar sees both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.simulate.backscatter import (
    Day,
    Power,
    draw_day,
    flooded_backscatter,
    land_backscatter,
    other_day,
    water_backscatter,
)
from floodloom.simulate.cover import Land, make_land
from floodloom.simulate.inundation import Flood, flood_height, inundate, standing_out
from floodloom.simulate.place import Cover, Place, draw_place
from floodloom.simulate.sensor import (
    Sensor,
    draw_sensor,
    incidence_angle,
    observe,
    scene_border,
    slope_effect,
    thermal_noise,
)
from floodloom.simulate.terrain import Ground, make_ground

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


@dataclass(frozen=True)
class _Scene:
    """A place and how it lies to the radar; `seed` of what is the same on every day."""

    ground: Ground
    land: Land
    flood: Flood
    hidden: Floats
    slopes: Floats
    ships: Mask
    sensor: Sensor
    seed: int


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
    scene = _make_scene(draw, place, sensor, size)
    ground, flood = scene.ground, scene.flood
    day = draw_day(draw, place)
    noise = thermal_noise(draw, sensor, size)
    dry, _ = _surface(scene, other_day(draw, day, place), wet=False)
    wet, unflooded = _surface(scene, day, wet=True)
    valid, fade = scene_border(draw, size)
    bands = ("vv",) if draw.random() < 0.05 else ("vv", "vh")
    before, after = (
        np.stack([
            observe(draw, power[band], noise[band], sensor.removed[band], sensor) * fade * valid
            for band in range(len(bands))
        ])
        for power in (dry, wet)
    )  # fmt: skip
    seen = _seen([(wet[band] + noise[band]) / (unflooded[band] + noise[band]) for band in range(2)])
    visible = ~(flood.covered & ~seen) & (scene.slopes > SHADOW)
    return Chip(
        before=before,
        after=after,
        label=np.where(ground.water, 1, np.where(flood.covered, 2, 0)).astype(np.uint8),
        visible=visible & ~binary_dilation(scene.ships, iterations=2),
        valid=valid,
        incidence=incidence_angle(sensor, size),
        elevation=ground.elevation.astype(np.float32),
        cover=scene.land.cover,
        polarisations=bands,
        biome=place.biome,
        sensor=sensor,
    )


def _seen(ratios: list[Floats]) -> Mask:
    return np.asarray(np.min(ratios, axis=0) < 10 ** (-VISIBLE_DB / 10))


def _make_scene(draw: np.random.Generator, place: Place, sensor: Sensor, size: int) -> _Scene:
    spacing = sensor.spacing
    ground = make_ground(draw, place, size, spacing)
    land = make_land(draw, place, ground, spacing)
    share = 0.0 if draw.random() < DRY_SHARE else float(np.clip(draw.beta(0.7, 1.6), 0.003, 0.9))
    flood = inundate(flood_height(draw, ground, land, spacing), ~ground.water, share)
    traffic = draw.exponential(2e-5) * (draw.random() < 0.4)
    return _Scene(
        ground=ground,
        land=land,
        flood=flood,
        hidden=standing_out(draw, land, flood.depth),
        slopes=slope_effect(ground.elevation, land.cover == Cover.FOREST, sensor),
        ships=ground.sea & (draw.random((size, size)) < traffic),
        sensor=sensor,
        seed=int(draw.integers(2**62)),
    )


def _surface(scene: _Scene, day: Day, *, wet: bool) -> tuple[Power, Power]:
    """Backscatter on a day with or without the flood, and what it is without."""
    ground, land = scene.ground, scene.land
    angle = incidence_angle(scene.sensor, len(land.cover))
    flooded = scene.flood.covered & wet
    dry = land_backscatter(np.random.default_rng(scene.seed), land, ground.swale, day, angle)
    water = water_backscatter(
        ground.water | flooded, day, scene.sensor.incidence_deg, scene.sensor.spacing
    )
    plants = flooded_backscatter(
        np.random.default_rng(scene.seed + 1), dry, water, land, scene.hidden
    )
    unflooded, surface = [], []
    for band in range(2):
        power = dry[band] * (1 - 0.9 * ground.brook) + water[band] * ground.brook
        open_water = np.where(land.soaked, plants[band], water[band])
        power = np.where(ground.water, open_water, power) * scene.slopes
        power = np.where(scene.ships, 30.0 / (1 + 7 * band), power).astype(np.float32)
        unflooded.append(power)
        surface.append(np.where(flooded, plants[band] * scene.slopes, power).astype(np.float32))
    return Power(*surface), Power(*unflooded)
