"""What an annotation file says about the image: its size, timing, orbit and range conversion."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.raster.places import enclosing_arc

SPEED_OF_LIGHT = 299792458.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RangeConversion:
    """Slant range to ground range, at azimuth times (s after the first line).

    `coefficients` (time, power) are those of the polynomial in (slant range - `origin`), m.
    """

    times: Floats
    origins: Floats
    coefficients: Floats


@dataclass(frozen=True)
class GeolocationGrid:
    """Tie points (point,): seconds after the first line, slant range time (s), place, angle."""

    azimuth_time: Floats
    slant_range_time: Floats
    line: Floats
    pixel: Floats
    latitude: Floats
    longitude: Floats
    height: Floats
    incidence_angle: Floats

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
    Earth-fixed frame. `orbit_time_rounded` says that the state vectors are stamped in whole
    milliseconds, which processors before IPF 2.9 rounded them to.
    """

    lines: int
    samples: int
    first_line_time: np.datetime64
    azimuth_time_interval: float
    range_pixel_spacing: float
    azimuth_pixel_spacing: float
    orbit_time: Floats
    orbit_position: Floats
    orbit_time_rounded: bool
    conversion: RangeConversion
    grid: GeolocationGrid


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
        If an element is missing or isn't a number.
    """
    try:
        return _annotation(root)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{source}: annotation is incomplete ({error}); fetch it again") from error


def _annotation(root: ET.Element) -> Annotation:
    image = root.find("imageAnnotation/imageInformation")
    if image is None:
        raise ValueError("no imageInformation")
    start = np.datetime64(_text(image, "productFirstLineUtcTime"), "ns")
    orbits = root.findall("generalAnnotation/orbitList/orbit")
    return Annotation(
        lines=int(_text(image, "numberOfLines")),
        samples=int(_text(image, "numberOfSamples")),
        first_line_time=start,
        azimuth_time_interval=float(_text(image, "azimuthTimeInterval")),
        range_pixel_spacing=float(_text(image, "rangePixelSpacing")),
        azimuth_pixel_spacing=float(_text(image, "azimuthPixelSpacing")),
        orbit_time=np.array([_seconds(orbit, "time", start) for orbit in orbits]),
        orbit_position=np.array([_vector(orbit, "position") for orbit in orbits]),
        orbit_time_rounded=all(
            _text(orbit, "time").ljust(26, "0")[23:] == "000" for orbit in orbits
        ),
        conversion=_conversion(root, start),
        grid=_grid(root, start),
    )


def _text(element: ET.Element, name: str) -> str:
    text = element.findtext(name)
    if text is None:
        raise ValueError(f"no {name}")
    return text.strip()


def _seconds(element: ET.Element, name: str, start: np.datetime64) -> float:
    elapsed = np.datetime64(_text(element, name), "ns") - start
    return float(elapsed / np.timedelta64(1, "ns")) * 1e-9


def _vector(orbit: ET.Element, name: str) -> list[float]:
    return [float(_text(orbit, f"{name}/{axis}")) for axis in "xyz"]


def _conversion(root: ET.Element, start: np.datetime64) -> RangeConversion:
    entries = root.findall("coordinateConversion/coordinateConversionList/coordinateConversion")
    if not entries:
        raise ValueError("no coordinateConversion; only ground range products are supported")
    coefficients = [[float(c) for c in _text(e, "srgrCoefficients").split()] for e in entries]
    return RangeConversion(
        times=np.array([_seconds(entry, "azimuthTime", start) for entry in entries]),
        origins=np.array([float(_text(entry, "sr0")) for entry in entries]),
        coefficients=np.array(coefficients),
    )


def _grid(root: ET.Element, start: np.datetime64) -> GeolocationGrid:
    points = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
    names = ("slantRangeTime", "line", "pixel", "latitude", "longitude", "height", "incidenceAngle")
    columns = [np.array([float(_text(point, name)) for point in points]) for name in names]
    return GeolocationGrid(
        np.array([_seconds(point, "azimuthTime", start) for point in points]), *columns
    )
