"""What was there on the dates before a flood: water, and backscatter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from floodloom.arrays import Floats
from floodloom.dates import group_by_pass, read_date
from floodloom.errors import InputError
from floodloom.mapping.sources import Probability, open_percent, read_decibel
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.placing import mean_rows, require_orbits
from floodloom.raster.rows import ReadRows, RememberedRows, Rows
from floodloom.raster.store import open_store
from floodloom.texts import brief

SECONDS = 19
"""Characters of a time up to its seconds."""


@dataclass(frozen=True)
class Dated:
    """Files of one date: `acquired` is its time, ISO 8601, UTC; "" isn't known."""

    paths: tuple[Path, ...]
    acquired: str


def by_date(paths: Sequence[Path], times: Sequence[str]) -> list[Dated]:
    """Put files of one pass together.

    Parameters
    ----------
    paths
        The files; without any there is no date.
    times
        When each was acquired, ISO 8601, "" where it isn't known. That of a single file isn't read.

    Returns
    -------
    list of Dated
        In the order of their first files.

    Raises
    ------
    InputError
        If a time can't be read, or that of a file isn't known and the others are of several dates.
    """
    if len(paths) <= 1:
        return [Dated((path,), time) for path, time in zip(paths, times, strict=True)]
    taken = [_taken(path, time) for path, time in zip(paths, times, strict=True)]
    try:
        passes = group_by_pass(taken)
    except LookupError as error:
        raise InputError(
            f"{paths[error.args[0]]}: doesn't state when it was acquired, and the others before "
            "the flood are of several dates; state it "
            f"(gdal_edit -mo {ACQUIRED}=2023-05-14T16:58:21)"
        ) from None
    return [
        Dated(
            tuple(paths[number] for number in members),
            next((times[number] for number in members if times[number]), ""),
        )
        for members in passes
    ]


def _taken(path: Path, time: str) -> date | None:
    try:
        return read_date(time) if time else None
    except ValueError as error:
        raise InputError(
            f"{path}: was acquired at {brief(time)}, but such a time is like 2023-05-14T16:58:21; "
            "correct it, or take it away"
        ) from error


@dataclass(frozen=True)
class WaterBefore:
    """Percent of water on one date, (y, x) uint8, 255 = no data."""

    date: Dated
    percent: Rows


def read_before(
    paths: Sequence[Path], after: Probability, *, mixed_orbits: bool
) -> list[WaterBefore]:
    """Read the probability mosaics before the flood onto the grid of the one after it.

    Returns
    -------
    list of WaterBefore
        Of each date: the mean where several of its mosaics have data.

    Raises
    ------
    InputError
        If one can't be read or placed, was taken in the other orbit direction, or its date isn't
        known beside others.
    """
    on_grid: dict[Path, Rows] = {}
    times = []
    for path in paths:
        before = open_percent(path)
        require_orbits(
            _orbit(before.tags), _orbit(after.tags), name=str(path), mixed_orbits=mixed_orbits
        )
        times.append(before.tags.get(ACQUIRED, ""))
        on_grid[path] = before.on(after.grid)
    return [
        WaterBefore(date, RememberedRows(mean_rows([on_grid[path] for path in date.paths])))
        for date in by_date(paths, times)
    ]


def _orbit(tags: Mapping[str, str]) -> dict[str, object]:
    return {name: tags.get(name.upper(), "") for name in ("orbit_direction", "relative_orbit")}


def scenes_by_date(paths: Sequence[Path]) -> list[Dated]:
    """Put the scene stores of one pass together, as `by_date` does."""
    times = (str(open_store(path).attrs.get("acquisition_time", "")) for path in paths)
    return by_date(paths, list(times) if len(paths) > 1 else [""] * len(paths))


def read_decibels(
    dates: Sequence[Dated], scenes: Sequence[Dated], grid: GeoBox
) -> list[Rows | None]:
    """Read the backscatter of each date onto the grid of a map, (y, x) float32, dB.

    Parameters
    ----------
    dates
        Dates of probability mosaics.
    scenes
        Scene stores by date; without any there is no backscatter.
    grid
        Grid of the map.

    Raises
    ------
    InputError
        If a date has no scene.
    """
    if not scenes:
        return [None] * len(dates)
    found = [_scene_of(date, scenes, alone=len(dates) == 1) for date in dates]
    return [first_known([read_decibel(path, grid) for path in date.paths]) for date in found]


def _scene_of(date: Dated, scenes: Sequence[Dated], *, alone: bool) -> Dated:
    """Return the scenes of a mosaic's date; a single date and its scene need no time."""
    if alone and len(scenes) == 1:
        return scenes[0]
    for scene in scenes:
        times = [_taken(one.paths[0], one.acquired) for one in (date, scene)]
        if None not in times and len(group_by_pass(times)) == 1:
            return scene
    raise InputError(
        f"{date.paths[0]}: no before_scene is of its date ({date.acquired or 'not stated'}); give "
        "the scenes of all dates"
    )


def first_known(layers: Sequence[Rows]) -> Rows:
    """Return the first layer, (y, x), filled with the next ones where it has no data."""
    if len(layers) == 1:
        return layers[0]

    def read(start: int, stop: int) -> Floats:
        filled: Floats = layers[0][start:stop]
        for layer in layers[1:]:
            filled = np.where(np.isfinite(filled), filled, layer[start:stop])
        return filled

    height, width = layers[0].shape
    return ReadRows((height, width), read)
