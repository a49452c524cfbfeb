"""Orbits over the ellipsoid: state vectors of a product or of an orbit file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.polynomial import Polynomial

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.files import regular_file
from floodloom.sentinel1.archive import BROKEN
from floodloom.sentinel1.xml import increasing, instant, number, text_of
from floodloom.xml import LARGEST, parse

SEMI_MAJOR_M = 6378137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY = _FLATTENING * (2 - _FLATTENING)


def geodetic_to_earth_fixed(longitude: Doubles, latitude: Doubles, height: Doubles) -> Doubles:
    """Convert degrees and metres above WGS 84 to Earth-fixed coordinates (..., 3), m."""
    sine, cosine = np.sin(np.radians(latitude)), np.cos(np.radians(latitude))
    curvature = SEMI_MAJOR_M / np.sqrt(1 - _ECCENTRICITY * sine**2)
    around = np.radians(longitude)
    return np.stack(
        [
            (curvature + height) * cosine * np.cos(around),
            (curvature + height) * cosine * np.sin(around),
            (curvature * (1 - _ECCENTRICITY) + height) * sine,
        ],
        axis=-1,
    )


def ellipsoid_radius(latitude: float) -> float:
    """Return the ellipsoid's distance from the Earth's centre at a geocentric latitude (rad), m."""
    semi_minor = SEMI_MAJOR_M * (1 - _FLATTENING)
    return (
        SEMI_MAJOR_M
        * semi_minor
        / float(np.hypot(semi_minor * np.cos(latitude), SEMI_MAJOR_M * np.sin(latitude)))
    )


_REACH_S = 40.0
_DEGREE = 5
_RADIUS_M = (6.9e6, 7.3e6)


@dataclass(frozen=True)
class Orbit:
    """Position of the satellite as polynomials of time over the scene.

    `coefficients` is (axis, power) float64 in the scaled time (t − `middle`) / `half`, t in
    seconds after the first line; positions are in metres in the Earth-fixed frame.
    """

    coefficients: Doubles
    middle: float
    half: float

    def position(self, time: Doubles) -> Doubles:
        """Positions (..., 3), m."""
        return self._evaluate(time, 0)

    def velocity(self, time: Doubles) -> Doubles:
        """Velocities (..., 3), m/s."""
        return self._evaluate(time, 1)

    def delay(self, seconds: float) -> Orbit:
        """Return the same path, flown `seconds` later."""
        return replace(self, middle=self.middle + seconds)

    def _evaluate(self, time: Doubles, derivative: int) -> Doubles:
        scaled = (np.asarray(time) - self.middle) / self.half
        axes = [Polynomial(c).deriv(derivative)(scaled) for c in self.coefficients]
        return np.stack(axes, axis=-1) / self.half**derivative


def fit_orbit(time: Doubles, position: Doubles, start: float, stop: float) -> Orbit:
    """Fit the path over an image to its state vectors.

    Only the positions are fitted: the velocities that products before IPF 2.9 annotate differ from
    the slope of their own positions by up to 5 cm/s, which is a tenth of a line at zero Doppler.

    Parameters
    ----------
    time
        (state,) float64, s.
    position
        (state, 3) float64, m, Earth-fixed.
    start, stop
        First and last time of the image, s; the path holds for a few seconds beyond.

    Returns
    -------
    Orbit
        Polynomials of degree 5, least squares of the positions within 40 s of the image.

    Raises
    ------
    InputError
        If the state vectors don't cover the times.
    """
    if len(time) <= _DEGREE or start < time[0] or stop > time[-1]:
        covered = f"{time[0]:.1f}..{time[-1]:.1f} s" if len(time) else "nothing"
        raise InputError(
            f"orbit: {len(time)} state vectors cover {covered} of {start:.1f}..{stop:.1f} s after "
            "the first line; use a product or orbit file whose state vectors cover the scene"
        )

    near = (time > start - _REACH_S) & (time < stop + _REACH_S)
    if near.sum() <= _DEGREE:
        raise InputError(
            f"orbit: {near.sum()} state vectors within {_REACH_S:.0f} s of the image, too few for "
            "its path; use another orbit file, or fetch the product again"
        )

    radius = np.linalg.norm(position[near], axis=-1)
    low, high = _RADIUS_M
    if not ((radius > low) & (radius < high)).all():
        raise InputError(
            f"orbit: a state vector {radius.min() / 1e3:,.0f} to {radius.max() / 1e3:,.0f} km from "
            "the Earth's centre; Sentinel-1 flies at 7,070: fetch the orbit or the product again"
        )

    # Times in -1..1 keep the powers of one size.
    middle = (time[near][0] + time[near][-1]) / 2
    half = (time[near][-1] - time[near][0]) / 2
    powers = np.vander((time[near] - middle) / half, _DEGREE + 1, increasing=True)
    coefficients, *_ = np.linalg.lstsq(powers, position[near], rcond=None)
    return Orbit(np.ascontiguousarray(coefficients.T), float(middle), float(half))


_NAME = re.compile(
    r"^(?P<mission>S1[A-Z])_OPER_AUX_(?P<kind>POE|RES)ORB_.*"
    r"V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})\.EOF(\.zip)?$",
    re.IGNORECASE,
)


def read_orbit_file(path: Path, origin: np.datetime64) -> tuple[Doubles, Doubles]:
    """Read the state vectors of an orbit file.

    Parameters
    ----------
    path
        EOF file, or a zip with one in it.
    origin
        Time of the image's first line (UTC).

    Returns
    -------
    time
        (state,) float64, s after `origin`.
    position
        (state, 3) float64, m, Earth-fixed.

    Raises
    ------
    InputError
        If the file is damaged, holds no state vector or isn't in the Earth-fixed frame.
    """
    regular_file(path, "orbit file")
    try:
        root = parse(_content(path), str(path))
        frame = root.findtext(".//Ref_Frame", "EARTH_FIXED")
        states = root.findall(".//List_of_OSVs/OSV")
        times = [instant(text_of(state, "UTC").removeprefix("UTC=")) for state in states]
        position = [[number(state, axis) for axis in "XYZ"] for state in states]
        elapsed = (np.array(times, "datetime64[ns]") - origin) / np.timedelta64(1, "ns")
        seconds = increasing(elapsed.astype(np.float64) * 1e-9, "UTC of state vectors")
    except BROKEN as error:
        raise InputError(f"{path}: not a readable orbit file ({error}); fetch it again") from error
    if not states:
        raise InputError(f"{path}: no state vector inside; fetch the orbit file again")
    if frame != "EARTH_FIXED":
        raise InputError(f"{path}: orbit frame is {frame[:40]!r}; give an Earth-fixed orbit file")
    return seconds, np.array(position)


def _content(path: Path) -> bytes:
    if path.suffix.lower() != ".zip":
        if path.stat().st_size > LARGEST:
            raise ValueError("too large for one")
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        inside = [name for name in archive.namelist() if name.upper().endswith(".EOF")]
        if len(inside) != 1:
            raise ValueError(f"{len(inside)} .EOF files inside")
        if archive.getinfo(inside[0]).file_size > LARGEST:
            raise ValueError("too large for one")
        return archive.read(inside[0])


def find_orbit_file(source: Path, mission: str, start: np.datetime64, stop: np.datetime64) -> Path:
    """Find the orbit file that covers an image.

    Parameters
    ----------
    source
        An EOF file, also zipped, or a folder of them with its subfolders.
    mission
        Such as S1A.
    start, stop
        First and last line (UTC).

    Returns
    -------
    Path
        The file; of several in a folder a precise one, else the one produced last.

    Raises
    ------
    InputError
        If no file covers the image, or none is named as ESA names them.
    """
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    named = [file for file in files if _NAME.match(file.name) and file.is_file()]
    if not named:
        raise InputError(
            f"{source}: no orbit file named as ESA names them (S1A_OPER_AUX_POEORB_…_V…_….EOF or "
            ".EOF.zip); keep the names under which they were fetched"
        )
    best = best_orbit([file.name for file in named], mission, start, stop)
    if best is None:
        raise InputError(
            f"{source}: no orbit file of {mission} covers {start}..{stop} among {len(named)}; "
            "fetch that day's, or leave `orbit` out to use the product's own state vectors"
        )
    return next(file for file in named if file.name == best)


def best_orbit(
    names: Iterable[str], mission: str, start: np.datetime64, stop: np.datetime64
) -> str | None:
    """Return the name of the orbit file that covers an image best.

    Parameters
    ----------
    names
        Of orbit files.
    mission, start, stop
        As for `find_orbit_file`.

    Returns
    -------
    str or None
        Of several a precise one, else the one produced last; None if none covers the image.
    """
    fitting = [name for name in names if _covers(name, mission, start, stop)]
    return max(fitting, key=lambda name: ("POEORB" in name.upper(), name), default=None)


def _covers(name: str, mission: str, start: np.datetime64, stop: np.datetime64) -> bool:
    match = _NAME.match(name)
    if match is None or match["mission"].upper() != mission:
        return False
    try:
        return bool(_time(match["start"]) <= start and stop <= _time(match["stop"]))
    except ValueError:  # no day of the calendar
        return False


def _time(text: str) -> np.datetime64:
    date, clock = text.split("T")
    iso = f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"
    return np.datetime64(iso, "ns")
