"""The radar's image of a landscape: facets summed where the radar sees them, noise, speckle, DN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.sentinel1.decibel import decibel_to_power
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.simulate.facets import illuminated_area, project_facets

LOOKS = 4.4
"""Equivalent number of looks of an IW GRDH image."""

CALIBRATION_BETA0 = 474.0
"""Calibration constant of beta0; pixel values are divided by it."""

NESZ_DB = -24.0
"""Noise-equivalent sigma0 in the middle of the swath."""


@dataclass(frozen=True)
class View:
    """How the surface lies to the radar: everything (y, x) that doesn't change between dates.

    `line`, `pixel` float64; `area` float64, illuminated area, m²; `incidence_deg` float64.
    """

    line: Doubles
    pixel: Doubles
    area: Doubles
    incidence_deg: Doubles


def view_surface(points: Doubles, geometry: ImageGeometry) -> View:
    """Look at a surface (y, x, 3), Earth-fixed m, with the geometry of an image."""
    line, pixel, _ = geometry.locate(points)
    sight = geometry.line_of_sight(points, line)
    vertical = points / np.linalg.norm(points, axis=-1, keepdims=True)
    incidence = np.degrees(np.arccos(np.clip((sight * vertical).sum(-1), -1, 1)))
    return View(line, pixel, illuminated_area(points, sight), incidence)


def incidence_of_pixels(view: View, samples: int) -> Doubles:
    """Return the incidence angle of each range sample, degrees: a smooth curve across the swath."""
    known = np.isfinite(view.pixel)
    curve = np.polynomial.Polynomial.fit(
        view.pixel[known][::97], view.incidence_deg[known][::97], 2
    )
    return np.asarray(curve(np.arange(samples)))


def noise_equivalent_sigma0(samples: int) -> Doubles:
    """Return the thermal noise across the swath as sigma0, linear: low in the beam's middle."""
    across = np.linspace(-1, 1, samples)
    return decibel_to_power(NESZ_DB + 2.5 * across**2 - 0.8 * np.cos(5 * across))


def render_sigma0(sigma0: Doubles, view: View, geometry: ImageGeometry) -> Doubles:
    """Return the speckle-free image of a surface's backscatter.

    Parameters
    ----------
    sigma0
        (y, x) float64, linear power on flat ground.
    view
        How the surface lies to the radar.
    geometry
        Geometry of the image.

    Returns
    -------
    ndarray
        (line, pixel) float64, linear power; layover adds up, slopes that face away are dark.
    """
    gamma0 = sigma0 / np.cos(np.radians(view.incidence_deg))
    shape = (geometry.lines, geometry.samples)
    power = project_facets(view.line, view.pixel, gamma0 * view.area, shape, oversampling=3)
    return np.asarray(power / (geometry.range_pixel_spacing * geometry.azimuth_pixel_spacing))


def speckled(sigma0: Doubles, noise: Doubles, seed: int) -> Doubles:
    """Return one date's image: signal and thermal noise, both speckled; linear power."""
    draw = np.random.default_rng(seed)
    return np.asarray((sigma0 + noise) * draw.gamma(LOOKS, 1 / LOOKS, sigma0.shape))


def digital_numbers(power: Doubles, calibration: Doubles) -> NDArray[np.uint16]:
    """Return round(sqrt(power · A²)) as uint16, saturating; A is (pixel,) or of power's shape."""
    dn = np.rint(np.sqrt(power) * calibration)
    return np.clip(dn, 0, 65535).astype(np.uint16)
