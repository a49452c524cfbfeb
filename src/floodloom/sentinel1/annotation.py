"""What an annotation file states of the image: its size, timing, orbit and range conversion."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.raster.grid import enclosing_arc
from floodloom.sentinel1.orbit import geodetic_to_earth_fixed
from floodloom.sentinel1.xml import (
    increasing,
    instant,
    number,
    numbers,
    text_of,
    whole,
    within,
)

SPEED_OF_LIGHT = 299792458.0

MOST_LINES, MOST_SAMPLES = 200_000, 50_000
"""More than any image has: stripmap at full resolution has 30 000 samples, a minute of it 75 000
lines."""
_MOST_PIXELS = 2_500_000_000

_INTERVAL_S = (1e-5, 0.1)
_SPACING_M = (1.0, 500.0)
_SLANT_RANGE_M = (3e5, 3e6)
_GROUND_PER_SLANT = (0.5, 50.0)  # at incidence angles of 90 and 1 degrees: 1 and 57
_TIE_POINT = {
    "slantRangeTime": (1e-3, 0.1),
    "line": (-1e6, 1e6),
    "pixel": (-1e6, 1e6),
    "latitude": (-90.0, 90.0),
    "longitude": (-360.0, 360.0),
    "height": (-500.0, 9000.0),
    "incidenceAngle": (0.0, 90.0),
}
"""Limits of a tie point's numbers, s, px, degrees, m."""
_EXTENT, _MARGIN_M = 2.0, 50_000.0


@dataclass(frozen=True)
class RangeConversion:
    """Slant range to ground range, at azimuth times (s after the first line).

    `coefficients` (time, power) are those of the polynomial in (slant range - `origin`), m.
    """

    times: Doubles
    origins: Doubles
    coefficients: Doubles


@dataclass(frozen=True)
class GeolocationGrid:
    """Tie points (point,): seconds after the first line, slant range time (s), place, angle."""

    azimuth_time: Doubles
    slant_range_time: Doubles
    line: Doubles
    pixel: Doubles
    latitude: Doubles
    longitude: Doubles
    height: Doubles
    incidence_angle: Doubles

    @property
    def footprint(self) -> list[float]:
        """West, south, east and north of the tie points, degrees.

        East is over 180 where the image crosses the antimeridian.
        """
        west, east = enclosing_arc(self.longitude, self.longitude)
        return [west, float(self.latitude.min()), east, float(self.latitude.max())]


@dataclass(frozen=True)
class Annotation:
    """Image information of one polarisation.

    Times are in seconds after `first_line_time`; orbit positions (m) are (state, 3) in the
    Earth-fixed frame. `orbit_time_rounded`: the state vectors are stamped in whole
    milliseconds, which processors before IPF 2.9 rounded them to.
    """

    lines: int
    samples: int
    first_line_time: np.datetime64
    azimuth_time_interval: float
    range_pixel_spacing: float
    azimuth_pixel_spacing: float
    orbit_time: Doubles
    orbit_position: Doubles
    orbit_time_rounded: bool
    conversion: RangeConversion
    grid: GeolocationGrid

    @property
    def duration(self) -> float:
        """Seconds from the first line to the last."""
        return (self.lines - 1) * self.azimuth_time_interval

    @property
    def last_line_time(self) -> np.datetime64:
        """When the last line was taken, UTC."""
        return self.first_line_time + np.timedelta64(round(self.duration * 1e9), "ns")


def parse_annotation(root: ET.Element, source: str) -> Annotation:
    """Read an annotation.

    Parameters
    ----------
    root
        Root of the XML file.
    source
        Its name, for messages.

    Returns
    -------
    Annotation

    Raises
    ------
    InputError
        If an element is missing or isn't a number, or no image of Sentinel-1 has such a one.
    """
    try:
        return _annotation(root)
    except ValueError as error:
        raise InputError(
            f"{source}: annotation is incomplete or damaged ({error}); fetch it again"
        ) from error


def _annotation(root: ET.Element) -> Annotation:
    image = root.find("imageAnnotation/imageInformation")
    if image is None:
        raise ValueError("no imageInformation")
    start = instant(text_of(image, "productFirstLineUtcTime"))
    orbits = root.findall("generalAnnotation/orbitList/orbit")

    found = Annotation(
        lines=whole(image, "numberOfLines", 1, MOST_LINES),
        samples=whole(image, "numberOfSamples", 1, MOST_SAMPLES),
        first_line_time=start,
        azimuth_time_interval=number(image, "azimuthTimeInterval", *_INTERVAL_S),
        range_pixel_spacing=number(image, "rangePixelSpacing", *_SPACING_M),
        azimuth_pixel_spacing=number(image, "azimuthPixelSpacing", *_SPACING_M),
        orbit_time=_increasing(orbits, "time", start),
        orbit_position=np.array([_vector(orbit, "position") for orbit in orbits]),
        orbit_time_rounded=all(
            text_of(orbit, "time").ljust(26, "0")[23:] == "000" for orbit in orbits
        ),
        conversion=_conversion(root, start),
        grid=_grid(root, start),
    )

    if found.lines * found.samples > _MOST_PIXELS:
        raise ValueError(f"{found.lines:,} x {found.samples:,} px are more than any image has")
    _require_extent(found)
    return found


def _require_extent(annotation: Annotation) -> None:
    """Refuse tie points that lie farther apart than the image is long and wide."""
    grid = annotation.grid
    length = annotation.lines * annotation.azimuth_pixel_spacing
    across = annotation.samples * annotation.range_pixel_spacing
    most = _EXTENT * float(np.hypot(length, across)) + _MARGIN_M
    places = geodetic_to_earth_fixed(grid.longitude, grid.latitude, grid.height)
    found = float(np.linalg.norm(places - places[0], axis=-1).max())
    if found > most:
        raise ValueError(
            f"its tie points lie {found / 1e3:,.0f} km apart, but the image is {length / 1e3:,.0f} "
            f"x {across / 1e3:,.0f} km"
        )


def _increasing(elements: list[ET.Element], name: str, start: np.datetime64) -> Doubles:
    found = np.array([_seconds(element, name, start) for element in elements])
    return increasing(found, f"{name} of {elements[0].tag}") if elements else found


def _seconds(element: ET.Element, name: str, start: np.datetime64) -> float:
    elapsed = instant(text_of(element, name)) - start
    return float(elapsed / np.timedelta64(1, "ns")) * 1e-9


def _vector(orbit: ET.Element, name: str) -> list[float]:
    return [number(orbit, f"{name}/{axis}") for axis in "xyz"]


def _conversion(root: ET.Element, start: np.datetime64) -> RangeConversion:
    entries = root.findall("coordinateConversion/coordinateConversionList/coordinateConversion")
    if not entries:
        raise ValueError("no coordinateConversion; only ground range products are supported")
    coefficients = [numbers(entry, "srgrCoefficients") for entry in entries]
    if len({len(powers) for powers in coefficients}) > 1 or len(coefficients[0]) < 2:
        raise ValueError("srgrCoefficients of different numbers, or fewer than two")
    found = np.array(coefficients)
    within(found[:, 1], "second of srgrCoefficients", *_GROUND_PER_SLANT)
    return RangeConversion(
        times=_increasing(entries, "azimuthTime", start),
        origins=np.array([number(entry, "sr0", *_SLANT_RANGE_M) for entry in entries]),
        coefficients=found,
    )


def _grid(root: ET.Element, start: np.datetime64) -> GeolocationGrid:
    points = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
    if not points:
        raise ValueError("no geolocationGridPoint")
    columns = [
        np.array([number(point, name, *limits) for point in points])
        for name, limits in _TIE_POINT.items()
    ]
    return GeolocationGrid(
        np.array([_seconds(point, "azimuthTime", start) for point in points]), *columns
    )
