"""Range-Doppler geometry: where on the image a point on the ground lies.

A point is imaged when its Doppler frequency is zero: (P − S(t)) · V(t) = 0, with P the point and
S, V the satellite's position and velocity.

Source: Small and Schubert (2008), Guide to ASAR geocoding, RSL-ASAR-GC-AD, sections 3 and 4.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.sentinel1.annotation import (
    MOST_LINES,
    MOST_SAMPLES,
    Annotation,
    RangeConversion,
)
from floodloom.sentinel1.orbit import Orbit, ellipsoid_radius, fit_orbit, geodetic_to_earth_fixed

_ITERATIONS = 12
_TOLERANCE_S = 1e-10
_LARGEST_ROUNDING_S = 0.52e-3
_SPACINGS = ("azimuth_time_interval", "range_pixel_spacing", "azimuth_pixel_spacing")


@dataclass(frozen=True)
class ImageGeometry:
    """All that places ground points on a ground range image."""

    orbit: Orbit
    conversion: RangeConversion
    lines: int
    samples: int
    azimuth_time_interval: float
    range_pixel_spacing: float
    azimuth_pixel_spacing: float

    def to_json(self) -> str:
        """Return the geometry as JSON text, to travel in a store."""
        return json.dumps(asdict(self), default=lambda array: array.tolist())

    @classmethod
    def from_json(cls, text: str) -> ImageGeometry:
        """Return the geometry that `to_json` wrote.

        Raises
        ------
        ValueError
            If it wrote another text.
        """
        try:
            facts: dict[str, Any] = json.loads(text)
            orbit, conversion = facts.pop("orbit"), facts.pop("conversion")
            sides = [int(facts[side]) for side in ("lines", "samples")]
            if not (0 < sides[0] <= MOST_LINES and 0 < sides[1] <= MOST_SAMPLES):
                raise ValueError(f"{sides[0]:,} x {sides[1]:,} px are no image's")
            spacings = [float(facts[name]) for name in _SPACINGS]
            if not all(0 < spacing < np.inf for spacing in (*spacings, float(orbit["half"]))):
                raise ValueError("spacings that aren't above 0")
            return cls(
                orbit=Orbit(
                    _finite(orbit["coefficients"], 2), float(orbit["middle"]), float(orbit["half"])
                ),
                conversion=RangeConversion(
                    _finite(conversion["times"], 1),
                    _finite(conversion["origins"], 1),
                    _finite(conversion["coefficients"], 2),
                ),
                **facts,
            )
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def locate(self, points: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """Return where points are imaged.

        Parameters
        ----------
        points
            (..., 3) float64, Earth-fixed, m.

        Returns
        -------
        line, pixel, slant_range
            Each (...) float64; line and pixel may lie outside the image; m.
        """
        time, slant_range = zero_doppler(points, self.orbit)
        ground_range = ground_range_of(slant_range, time, self.conversion)
        return (
            time / self.azimuth_time_interval,
            ground_range / self.range_pixel_spacing,
            slant_range,
        )

    def slant_ranges(self) -> Doubles:
        """Return the slant range of every sample in the middle of the image, (sample,), m."""
        time = np.full(self.samples, (self.lines - 1) / 2 * self.azimuth_time_interval)
        wanted = np.arange(self.samples) * self.range_pixel_spacing
        distance = self.conversion.origins.mean() + wanted / 2
        for _ in range(_ITERATIONS):
            reached = ground_range_of(distance, time, self.conversion)
            slope = ground_range_of(distance + 1.0, time, self.conversion) - reached
            distance = distance + (wanted - reached) / slope
        return np.asarray(distance)

    def incidence_angles(self) -> Doubles:
        """Return the incidence angle of every sample on a sphere, (sample,), degrees.

        The sphere has the radius of the ellipsoid below the satellite; the angles are good to
        about 0.2 degrees.
        """
        satellite = self.orbit.position(np.array((self.lines - 1) / 2 * self.azimuth_time_interval))
        height = float(np.linalg.norm(satellite))
        radius = ellipsoid_radius(float(np.arcsin(satellite[2] / height)))
        distance = self.slant_ranges()
        cosine = (height**2 - distance**2 - radius**2) / (2 * distance * radius)
        return np.asarray(np.degrees(np.arccos(cosine)))

    def line_of_sight(self, points: Doubles, line: Doubles) -> Doubles:
        """Return unit vectors (..., 3) from the points to the satellite at their lines."""
        sight = self.orbit.position(line * self.azimuth_time_interval) - points
        return np.asarray(sight / np.linalg.norm(sight, axis=-1, keepdims=True))


def _finite(values: Any, dimensions: int) -> Doubles:
    found = np.array(values, dtype=np.float64)
    if found.ndim != dimensions or found.size == 0 or not np.isfinite(found).all():
        raise ValueError(f"no {dimensions}-dimensional table of finite numbers")
    return found


def image_geometry(annotation: Annotation, orbit: Orbit | None = None) -> ImageGeometry:
    """Return the geometry that an annotation describes.

    Parameters
    ----------
    annotation
        Of the image.
    orbit
        A better path than that of the annotation's own state vectors.

    Raises
    ------
    InputError
        If the state vectors don't cover the image.
    """
    orbit = annotated_orbit(annotation) if orbit is None else orbit
    return ImageGeometry(
        orbit=orbit,
        conversion=annotation.conversion,
        lines=annotation.lines,
        samples=annotation.samples,
        azimuth_time_interval=annotation.azimuth_time_interval,
        range_pixel_spacing=annotation.range_pixel_spacing,
        azimuth_pixel_spacing=annotation.azimuth_pixel_spacing,
    )


def annotated_orbit(annotation: Annotation) -> Orbit:
    """Return the path that the annotation's state vectors describe.

    Processors before IPF 2.9 stamped the state vectors in whole milliseconds, up to 0.5 ms (3.8 m
    along the track) off the times they hold for, but placed the geolocation grid with the exact
    times. The grid therefore gives the common shift of the stamps, which is taken back.

    Raises
    ------
    InputError
        If the state vectors don't cover the image.
    """
    stop = (annotation.lines - 1) * annotation.azimuth_time_interval
    orbit = fit_orbit(annotation.orbit_time, annotation.orbit_position, 0.0, stop)
    if not annotation.orbit_time_rounded:
        return orbit
    grid = annotation.grid
    points = geodetic_to_earth_fixed(grid.longitude, grid.latitude, grid.height)
    time, _ = zero_doppler(points, orbit)
    late = float(np.median(time - grid.azimuth_time))
    return orbit.delay(-late) if abs(late) < _LARGEST_ROUNDING_S else orbit


def zero_doppler(points: Doubles, orbit: Orbit) -> tuple[Doubles, Doubles]:
    """Solve the zero-Doppler equation for each point by Newton's method.

    Parameters
    ----------
    points
        (..., 3) float64, Earth-fixed, m.
    orbit
        Path of the satellite.

    Returns
    -------
    time, slant_range
        (...) float64, s after the first line, and m. NaN where a coordinate is NaN.
    """
    flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
    time, slant_range = _solve(flat, orbit.coefficients, orbit.middle, orbit.half)
    shape = points.shape[:-1]
    return time.reshape(shape), slant_range.reshape(shape)


@jit()
def _solve(points, coefficients, middle, half):  # type: ignore[no-untyped-def]
    count, degree = points.shape[0], coefficients.shape[1] - 1
    time, slant_range = np.empty(count), np.empty(count)
    guess = 0.0
    for i in range(count):
        t = guess
        distance = np.nan
        for _ in range(_ITERATIONS):
            miss = 0.0
            slope = 0.0
            square = 0.0

            # Horner's scheme for the position, the velocity and the acceleration at once.
            for axis in range(3):
                s = v = a = 0.0
                for k in range(degree, -1, -1):
                    a = a * t + 2.0 * v
                    v = v * t + s
                    s = s * t + coefficients[axis, k]
                d = points[i, axis] - s
                miss += d * v
                slope += d * a - v * v
                square += d * d

            distance = np.sqrt(square)
            step = miss / slope
            t -= step
            if not abs(step) * half > _TOLERANCE_S:
                break

        # Neighbouring points have neighbouring solutions.
        time[i] = t * half + middle
        slant_range[i] = distance
        guess = t if abs(t) < 10.0 else 0.0
    return time, slant_range


def ground_range_of(slant_range: Doubles, time: Doubles, conversion: RangeConversion) -> Doubles:
    """Convert slant range to ground range, interpolating linearly between azimuth times.

    Parameters
    ----------
    slant_range
        float64, m.
    time
        Of the same shape, s after the first line.
    conversion
        Polynomials of the product.

    Returns
    -------
    ndarray
        Ground range, m, measured from the first sample.
    """
    last = len(conversion.times) - 1
    position = np.interp(time, conversion.times, np.arange(last + 1))
    lower = np.minimum(np.nan_to_num(position).astype(int), max(last - 1, 0))
    upper = np.minimum(lower + 1, last)
    weight = position - lower
    below = _polynomial(slant_range, lower, conversion)
    above = _polynomial(slant_range, upper, conversion)
    return np.asarray(below * (1 - weight) + above * weight)


def _polynomial(
    slant_range: Doubles, entry: NDArray[np.int_], conversion: RangeConversion
) -> Doubles:
    result = np.zeros_like(slant_range)
    for index in np.unique(entry):
        here = entry == index
        offset = slant_range[here] - conversion.origins[index]
        result[here] = np.polynomial.polynomial.polyval(offset, conversion.coefficients[index])
    return result
