"""Labelled chips on a map grid, for training: a place, its flood, and how the radar sees both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.sentinel1.speckle_moments import lee
from floodloom.simulate.backscatter import (
    Day,
    draw_day,
    flooded_backscatter,
    land_backscatter,
    other_day,
    water_backscatter,
)
from floodloom.simulate.cover import Land, make_land
from floodloom.simulate.inundation import Flood, flood_height, inundate, standing_out
from floodloom.simulate.place import Cover, draw_place
from floodloom.simulate.speckle import LOOKS, speckle
from floodloom.simulate.terrain import Ground, make_ground


@dataclass(frozen=True)
class Chip:
    """A labelled pair of images of one place on a map grid.

    `before`, `after` (pol, y, x) float32, linear power, 0 or more, 0 where not `valid`; `label`
    (y, x) uint8, 0 dry, 1 permanent water, 2 flood; `visible` (y, x) bool, False where the truth
    can't be seen: water under trees, houses or dense plants, ships, and radar shadow; `valid`
    (y, x) bool; `incidence` (y, x) float32, degrees; `elevation` (y, x) float32, m; `cover`
    (y, x) uint8 of `Cover`, dry; `polarisations` in the order of the images; `quantity` sigma0 or
    gamma0; `flattened` whether slopes are corrected; `spacing` m; `filtered` whether speckle is;
    `noise_removed` whether thermal noise is; `biome` its name.
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
    quantity: str
    flattened: bool
    spacing: float
    filtered: bool
    noise_removed: bool
    biome: str


@dataclass(frozen=True)
class Sensor:
    """How an image is taken and processed.

    `incidence_deg` in the middle; `descending` looks to the west; `turn_deg` of the image against
    the map; `noise_db` of VV and VH, noise-equivalent sigma0; `removed` the share of it that is
    subtracted;
    `order` of the resampling.
    """

    incidence_deg: float
    descending: bool
    turn_deg: float
    noise_db: tuple[float, float]
    removed: tuple[float, float]
    quantity: str
    flattened: bool
    filtered: bool
    order: int


def draw_sensor(draw: np.random.Generator) -> Sensor:
    """Draw how an image is taken and processed."""
    noise = draw.uniform(-30, -22)
    descending = bool(draw.random() < 0.5)
    return Sensor(
        incidence_deg=draw.uniform(29.5, 45.5),
        descending=descending,
        turn_deg=draw.uniform(8, 14) * (1 if descending else -1),
        noise_db=(noise, noise + draw.uniform(-2.5, 1)),
        removed=_removed(draw),
        quantity=str(draw.choice(["sigma0", "gamma0"])),
        flattened=bool(draw.random() < 0.5),
        filtered=bool(draw.random() < 0.12),
        order=int(draw.choice([0, 1, 1, 1, 3])),
    )


def _removed(draw: np.random.Generator) -> tuple[float, float]:
    """Noise is left in, or removed by tables that are seldom exact (Park et al. 2018)."""
    if draw.random() < 0.2:
        return 0.0, 0.0
    low = draw.uniform(0.3, 1)
    vv, vh = draw.uniform(low, 1.05, 2)
    return float(vv), float(vh)


def make_chip(seed: int, size: int = 256, biome: str | None = None) -> Chip:
    """Make a labelled chip; the same for the same seed and size.

    Parameters
    ----------
    seed
        Seed of everything random.
    size
        Pixels along each side, 64 or more.
    biome
        Climate and land use, one of `place.BIOMES`; drawn when not given.

    Returns
    -------
    Chip
        Half of the chips have no flood; the others from a trace to nine tenths.
    """
    draw = np.random.default_rng(seed)
    place = draw_place(draw, biome)
    spacing = float(draw.choice([10.0, 20.0, 30.0], p=[0.8, 0.13, 0.07]))
    ground = make_ground(draw, place, size, spacing)
    land = make_land(draw, place, ground, spacing)
    share = 0.0 if draw.random() < 0.45 else float(np.clip(draw.beta(0.7, 1.6), 0.003, 0.9))
    flood = inundate(flood_height(draw, ground, land, spacing), ~ground.water, share)
    hidden = standing_out(draw, land, flood.depth)
    sensor = draw_sensor(draw)
    slopes = _slope_effect(ground.elevation, land.cover == Cover.FOREST, sensor, spacing)
    scene = _Scene(ground, land, flood, hidden, slopes, int(draw.integers(2**62)), spacing)
    day = draw_day(draw, place)
    incidence = _incidence(sensor, size, spacing)
    after = _image(draw, scene, sensor, incidence, day, wet=True)
    before = _image(draw, scene, sensor, incidence, other_day(draw, day, place), wet=False)
    valid = _valid(draw, size)
    label = np.where(ground.water, 1, np.where(flood.covered, 2, 0)).astype(np.uint8)
    covered = flood.covered & (hidden > 0.62)
    bands = ("vv",) if draw.random() < 0.05 else ("vv", "vh")
    return Chip(
        before=np.where(valid, before, 0)[: len(bands)],
        after=np.where(valid, after, 0)[: len(bands)],
        label=label,
        visible=~covered & ~(slopes < 0.05),
        valid=valid,
        incidence=incidence,
        elevation=ground.elevation.astype(np.float32),
        cover=land.cover,
        polarisations=bands,
        quantity=sensor.quantity,
        flattened=sensor.flattened,
        spacing=spacing,
        filtered=sensor.filtered,
        noise_removed=sensor.removed[0] > 0,
        biome=place.biome,
    )


@dataclass(frozen=True)
class _Scene:
    ground: Ground
    land: Land
    flood: Flood
    hidden: Floats
    slopes: Floats
    seed: int
    spacing: float


def _incidence(sensor: Sensor, size: int, spacing: float) -> Floats:
    """Incidence grows away from the satellite, 17 degrees over 250 km."""
    cols = np.arange(size, dtype=np.float32) - size / 2
    trend = cols * spacing * 17 / 250e3 * (-1 if sensor.descending else 1)
    return np.tile((sensor.incidence_deg + trend).astype(np.float32), (size, 1))


def _slope_effect(elevation: Floats, tall: Mask, sensor: Sensor, spacing: float) -> Floats:
    """Return by how much slopes and the edges of woods raise the backscatter; near 0 in shadow.

    The illuminated area of a facet is that of flat ground times sin θ / sin(θ - α), α its slope
    towards the radar (Ulander 1996, Small 2011); flattening takes most of it away. Woods have a
    bright edge towards the radar and throw a shadow away from it.
    """
    away = -1 if sensor.descending else 1
    rise = np.gradient(elevation, spacing, axis=1) * away
    slope = np.arctan(rise)
    angle = np.radians(sensor.incidence_deg)
    area = np.sin(angle) / np.maximum(np.sin(angle - slope), 0.12)
    shadow = slope < -(np.pi / 2 - angle)
    if sensor.flattened:
        area = area**0.15
    before, behind = np.roll(tall, away, axis=1), np.roll(tall, -away, axis=1)
    depth = min(15.0 * np.tan(angle) / spacing, 1.0)
    area = np.where(tall & ~before, area * (1 + 0.8 * depth), area)
    area = np.where(~tall & before & ~behind, area * (1 - 0.6 * depth), area)
    return np.asarray(np.where(shadow, 0.01, area), np.float32)


def _image(
    draw: np.random.Generator,
    scene: _Scene,
    sensor: Sensor,
    incidence: Floats,
    day: Day,
    *,
    wet: bool,
) -> Floats:
    """Image of one day, (2, y, x) float32."""
    size = len(incidence)
    dry = land_backscatter(
        np.random.default_rng(scene.seed), scene.land, scene.ground.swale, day, incidence
    )
    water = scene.ground.water | (scene.flood.covered & wet)
    surface = water_backscatter(water, day, sensor.incidence_deg, scene.spacing)
    forest = scene.land.cover == Cover.FOREST
    town = scene.land.cover == Cover.TOWN
    soaked = flooded_backscatter(
        np.random.default_rng(scene.seed + 1), dry, surface, scene.hidden, forest, town
    )
    brook = scene.ground.brook
    noise = _noise(draw, sensor, size)
    bands = []
    for band in range(2):
        power = dry[band] * (1 - 0.9 * brook) + surface[band] * brook
        power = np.where(scene.flood.covered & wet, soaked[band], power)
        power = np.where(scene.ground.water, surface[band], power)
        power = gaussian_filter(power * scene.slopes, 0.85 * 10 / scene.spacing)
        seen = (power + noise[band]) * speckle(
            draw, size, scene.spacing, sensor.turn_deg, sensor.order
        )
        seen = np.maximum(seen - noise[band] * sensor.removed[band], 0)
        if sensor.quantity == "gamma0":
            seen = seen / np.cos(np.radians(incidence))
        if sensor.filtered:
            seen = lee(seen.astype(np.float32), 5, LOOKS)
        bands.append(seen)
    return np.stack(bands).astype(np.float32)


def _noise(draw: np.random.Generator, sensor: Sensor, size: int) -> Floats:
    """Thermal noise as sigma0, (2, y, x): scallops along, a step where two swaths meet."""
    rows, cols = np.indices((size, size), dtype=np.float32)
    ripple = draw.uniform(0, 0.6) * np.cos(rows * 2 * np.pi / 2000 + draw.uniform(0, 6))
    tilt = draw.normal(0, 0.5) * (cols / size - 0.5)
    step = draw.normal(0, 1.2) * (cols > draw.uniform(0, 1) * size) * (draw.random() < 0.12)
    shape = ripple + tilt + step
    return np.stack([10 ** ((level + shape) / 10) for level in sensor.noise_db]).astype(np.float32)


def _valid(draw: np.random.Generator, size: int) -> Mask:
    """Some chips reach over the border of their scene."""
    if draw.random() > 0.1:
        return np.ones((size, size), bool)
    rows, cols = np.indices((size, size)) - size / 2
    angle = np.radians(draw.normal(12, 3)) + draw.integers(0, 4) * np.pi / 2
    border = size * draw.uniform(-0.3, 0.5)
    return np.asarray(np.cos(angle) * cols + np.sin(angle) * rows < border)
