"""How an image on a map grid is taken and processed: geometry, noise, speckle, borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from floodloom.arrays import Floats, Mask
from floodloom.sentinel1.speckle_moments import lee
from floodloom.simulate.speckle import LOOKS, NATIVE_M, speckle

SWATH_M = 250e3
SWATH_DEG = 17.0
"""Width of an IW swath on the ground, and by how much incidence grows across it (29° to 46°)."""

_BLUR_PX = 0.85
_TREE_M = 15.0


@dataclass(frozen=True)
class Sensor:
    """How an image is taken and processed.

    `incidence_deg` in the middle; `descending` looks to the west; `turn_deg` of the image against
    the map; `noise_db` noise-equivalent sigma0 of VV and VH; `removed` the share of it that is
    subtracted, for VV and VH; `quantity` sigma0 or gamma0; `flattened` whether the effect of slopes
    is corrected; `filtered` whether speckle is; `order` of the resampling; `spacing` m.
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
    spacing: float


def draw_sensor(draw: np.random.Generator) -> Sensor:
    """Draw how an image is taken and processed."""
    noise = draw.uniform(-30, -21.5)
    descending = bool(draw.random() < 0.5)
    return Sensor(
        incidence_deg=draw.uniform(29.5, 45.5),
        descending=descending,
        turn_deg=draw.uniform(8, 14) * (1 if descending else -1),
        noise_db=(noise, noise + draw.uniform(-2, 1)),
        removed=_removed(draw),
        quantity=str(draw.choice(["sigma0", "gamma0"])),
        flattened=bool(draw.random() < 0.5),
        filtered=bool(draw.random() < 0.12),
        order=int(draw.choice([0, 1, 3], p=[0.1, 0.8, 0.1])),
        spacing=float(draw.choice([10.0, 20.0, 30.0], p=[0.8, 0.13, 0.07])),
    )


def _removed(draw: np.random.Generator) -> tuple[float, float]:
    """Noise is left in, as products come, or removed by tables that are seldom exact.

    Source: Park et al., Efficient thermal noise removal for Sentinel-1 TOPSAR cross-polarization
    channel, IEEE Transactions on Geoscience and Remote Sensing 56 (2018).
    """
    if draw.random() < 0.4:
        return 0.0, 0.0
    low = draw.uniform(0.3, 1)
    vv, vh = draw.uniform(low, 1.05, 2)
    return float(vv), float(vh)


def incidence_angle(sensor: Sensor, size: int) -> Floats:
    """Return the incidence of each pixel of a map, (size, size) float32, degrees.

    It grows away from the satellite.
    """
    cols = np.arange(size, dtype=np.float32) - size / 2
    trend = cols * sensor.spacing * SWATH_DEG / SWATH_M * (-1 if sensor.descending else 1)
    return np.tile((sensor.incidence_deg + trend).astype(np.float32), (size, 1))


def slope_effect(elevation: Floats, woods: Mask, sensor: Sensor) -> Floats:
    """Return by how much slopes and the edges of woods raise the backscatter.

    The illuminated area of a facet is that of flat ground times sin θ / sin(θ - α), α its slope
    towards the radar; flattening takes most of it away. Woods have a bright edge towards the radar
    and throw a shadow away from it. Sources: Ulander, Radiometric slope correction of
    synthetic-aperture radar images (1996); Small, Flattening gamma (2011).

    Parameters
    ----------
    elevation
        (y, x) float32, m.
    woods
        (y, x) bool.
    sensor
        Geometry and processing.

    Returns
    -------
    ndarray
        (y, x) float32, factor of power; .01 in the shadow of hills.
    """
    away = -1 if sensor.descending else 1
    slope = np.arctan(np.gradient(elevation, sensor.spacing, axis=1) * away)
    angle = np.radians(sensor.incidence_deg)
    area = np.sin(angle) / np.maximum(np.sin(angle - slope), 0.12)
    shadow = slope < -(np.pi / 2 - angle)
    if sensor.flattened:
        area = area**0.15
    before, behind = np.roll(woods, away, axis=1), np.roll(woods, -away, axis=1)
    depth = min(_TREE_M * np.tan(angle) / sensor.spacing, 1.0)
    area = np.where(woods & ~before, area * (1 + 0.8 * depth), area)
    area = np.where(~woods & before & ~behind, area * (1 - 0.6 * depth), area)
    return np.asarray(np.where(shadow, 0.01, area), np.float32)


def thermal_noise(draw: np.random.Generator, sensor: Sensor, size: int) -> Floats:
    """Return the noise-equivalent sigma0 of VV and VH, (2, y, x) float32, linear.

    It ripples along the orbit, as bursts do, and has a step where two swaths meet.
    """
    rows, cols = np.indices((size, size), dtype=np.float32)
    burst = 20e3 / sensor.spacing
    ripple = draw.uniform(0, 0.6) * np.cos(rows * 2 * np.pi / burst + draw.uniform(0, 6))
    tilt = draw.normal(0, 0.5) * (cols / size - 0.5)
    step = draw.normal(0, 1.2) * (cols > draw.uniform(0, 1) * size) * (draw.random() < 0.12)
    shape = ripple + tilt + step
    return np.stack([10 ** ((level + shape) / 10) for level in sensor.noise_db]).astype(np.float32)


def observe(
    draw: np.random.Generator, sigma0: Floats, noise: Floats, removed: float, sensor: Sensor
) -> Floats:
    """Return what a polarisation's image shows of a surface.

    Parameters
    ----------
    draw
        Source of the speckle.
    sigma0
        (y, x) float32, linear.
    noise
        (y, x) float32, noise-equivalent sigma0.
    removed
        Share of the noise that is subtracted, 0-1.
    sensor
        Geometry and processing.

    Returns
    -------
    ndarray
        (y, x) float32, linear power of the sensor's quantity, 0 or more.
    """
    size = len(sigma0)
    blurred = gaussian_filter(sigma0, _BLUR_PX * NATIVE_M / sensor.spacing)
    seen = (blurred + noise) * speckle(draw, size, sensor.spacing, sensor.turn_deg, sensor.order)
    seen = np.maximum(seen - noise * np.float32(removed), 0).astype(np.float32)
    if sensor.quantity == "gamma0":
        seen /= np.cos(np.radians(incidence_angle(sensor, size)))
    return np.asarray(lee(seen, 5, LOOKS) if sensor.filtered else seen, np.float32)


def scene_border(draw: np.random.Generator, size: int) -> tuple[Mask, Floats]:
    """Let some chips reach over the border of their scene.

    Returns
    -------
    valid, fade
        (size, size) bool, and float32 factors of power: along some borders it fades out.
    """
    fade = np.ones((size, size), np.float32)
    if draw.random() > 0.1:
        return np.ones((size, size), bool), fade
    rows, cols = np.indices((size, size), dtype=np.float32) - np.float32(size / 2)
    angle = np.radians(draw.normal(12, 3)) + draw.integers(0, 4) * np.pi / 2
    inside = size * draw.uniform(-0.3, 0.5) - np.cos(angle) * cols - np.sin(angle) * rows
    if draw.random() < 0.4:
        fade = np.clip(inside / draw.uniform(1, 4), 0.02, 1).astype(np.float32)
    return np.asarray(inside > 0), fade
