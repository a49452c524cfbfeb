"""A Sentinel-1-like orbit that images a place, and the ground range image it makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from floodloom.arrays import Doubles
from floodloom.sentinel1.annotation import RangeConversion
from floodloom.sentinel1.geometry import ImageGeometry, zero_doppler
from floodloom.sentinel1.orbit import fit_orbit, geodetic_to_earth_fixed

ORBIT_RADIUS_M = 7_071_000.0
INCLINATION_RAD = np.radians(98.18)
EARTH_ROTATION = 7.2921159e-5
EARTH_GRAVITY = 3.986004418e14
GROUND_SPEED_M_S = 6_800.0
_STATES = 17
_STATE_STEP_S = 10.0


@dataclass(frozen=True)
class Acquisition:
    """State vectors, s after the first line and Earth-fixed m and m/s, and the image's geometry."""

    time: Doubles
    position: Doubles
    velocity: Doubles
    geometry: ImageGeometry


def plan_acquisition(
    longitude: float,
    latitude: float,
    height: float,
    *,
    lines: int,
    samples: int,
    spacing: float,
    slant_range: float = 880_000.0,
) -> Acquisition:
    """Find an ascending, right-looking pass whose image is centred on a place.

    Parameters
    ----------
    longitude, latitude, height
        The place, degrees and m above the ellipsoid.
    lines, samples
        Size of the image, px.
    spacing
        Pixel spacing along and across, m.
    slant_range
        Distance to the place, m; 880 km looks at about 38° incidence.

    Returns
    -------
    Acquisition
    """
    target = geodetic_to_earth_fixed(np.array(longitude), np.array(latitude), np.array(height))
    interval = spacing / GROUND_SPEED_M_S
    node, argument = _aim(target, latitude, longitude, slant_range)
    middle = (lines - 1) / 2 * interval
    time = (np.arange(_STATES) - _STATES // 2) * _STATE_STEP_S + np.floor(middle)
    position, velocity = _path(node, argument, time - middle)
    orbit = fit_orbit(time, position, 0.0, (lines - 1) * interval)
    _, distance = zero_doppler(target[np.newaxis], orbit)
    radius = float(np.linalg.norm(target))
    conversion = _conversion(float(distance[0]), radius, samples, spacing, lines * interval)
    geometry = ImageGeometry(
        orbit=orbit,
        conversion=conversion,
        lines=lines,
        samples=samples,
        azimuth_time_interval=interval,
        range_pixel_spacing=spacing,
        azimuth_pixel_spacing=spacing,
    )
    return Acquisition(time, position, velocity, geometry)


def _path(node: float, argument: float, time: Doubles) -> tuple[Doubles, Doubles]:
    """Circular orbit in the Earth-fixed frame: ascending node (rad), argument of latitude at 0."""
    rate = np.sqrt(EARTH_GRAVITY / ORBIT_RADIUS_M**3)
    u = argument + rate * time
    around = node - EARTH_ROTATION * time
    ci, si = np.cos(INCLINATION_RAD), np.sin(INCLINATION_RAD)
    plane = np.stack([np.cos(u), np.sin(u) * ci, np.sin(u) * si], axis=-1)
    moving = rate * np.stack([-np.sin(u), np.cos(u) * ci, np.cos(u) * si], axis=-1)
    position = ORBIT_RADIUS_M * _turned(plane, around)
    inertial = ORBIT_RADIUS_M * _turned(moving, around)
    spin = EARTH_ROTATION * np.stack(
        [-position[..., 1], position[..., 0], np.zeros_like(time)], axis=-1
    )
    return position, inertial - spin


def _turned(vectors: Doubles, angle: Doubles) -> Doubles:
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([cosine * x - sine * y, sine * x + cosine * y, z], axis=-1)


def _aim(
    target: Doubles, latitude: float, longitude: float, slant_range: float
) -> tuple[float, float]:
    def miss(unknowns: Doubles) -> Doubles:
        position, velocity = _path(unknowns[0], unknowns[1], np.zeros(1))
        sight = target - position[0]
        doppler = sight @ velocity[0] / 1e10
        return np.array([doppler, (np.linalg.norm(sight) - slant_range) / 1e6])

    argument = np.arcsin(np.sin(np.radians(latitude)) / np.sin(INCLINATION_RAD))
    east = np.arctan2(np.cos(INCLINATION_RAD) * np.sin(argument), np.cos(argument))
    offset = 550e3 / (6371e3 * np.cos(np.radians(latitude)))
    guess = np.array([np.radians(longitude) - east - offset, argument])
    found = least_squares(miss, guess, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return float(found.x[0]), float(found.x[1])


def _conversion(
    slant_range: float, radius: float, samples: int, spacing: float, duration: float
) -> RangeConversion:
    """Polynomials from slant to ground range on the sphere of the place, centred on it."""

    def ground(distance: Doubles) -> Doubles:
        cosine = (ORBIT_RADIUS_M**2 + radius**2 - distance**2) / (2 * ORBIT_RADIUS_M * radius)
        return np.asarray(radius * np.arccos(cosine))

    reach = (samples / 2 + 200) * spacing
    near = slant_range - reach
    distances = np.linspace(near, slant_range + reach, 200)
    first = ground(np.array(slant_range)) - (samples - 1) / 2 * spacing
    fitted = np.polynomial.Polynomial.fit(distances - near, ground(distances) - first, 5)
    coefficients = fitted.convert().coef
    times = np.array([-1.0, duration + 1.0])
    return RangeConversion(times, np.array([near, near]), np.array([coefficients] * 2))
