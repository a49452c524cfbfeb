"""Precise and restituted orbits: the EOF files that ESA publishes beside the products.

Source: ESA, Sentinels POD Service File Format Specification, GMES-GSEG-EOPG-FS-10-0075, section 3.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np

from floodloom.arrays import Doubles
from floodloom.errors import InputError
from floodloom.inputs import regular_file
from floodloom.sentinel1.archive import BROKEN
from floodloom.sentinel1.checks import increasing, instant, number, text_of
from floodloom.sentinel1.xml import LARGEST, parse

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
    fitting = [file for file in named if _covers(file, mission, start, stop)]
    if not fitting:
        raise InputError(
            f"{source}: no orbit file of {mission} covers {start}..{stop} among {len(named)}; "
            "fetch that day's, or leave `orbit` out to use the product's own state vectors"
        )
    return max(fitting, key=lambda file: ("POEORB" in file.name.upper(), file.name))


def _covers(file: Path, mission: str, start: np.datetime64, stop: np.datetime64) -> bool:
    match = _NAME.match(file.name)
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
