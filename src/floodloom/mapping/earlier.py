"""What was there on the dates before a flood: water, and backscatter and its spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Floats
from floodloom.dates import group_by_pass, read_time
from floodloom.errors import InputError
from floodloom.mapping.sources import (
    Probability,
    open_percent,
    read_decibel,
    require_bands,
    rows_of,
)
from floodloom.raster.cog import ACQUIRED
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import before_on_grid, mean_rows, require_orbits, rows_onto_grid
from floodloom.raster.rows import ReadRows, Rows, around
from floodloom.raster.store import open_store, recipe_of
from floodloom.raster.windows import box_sum
from floodloom.sentinel1.bands import power_to_decibel
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


def _taken(path: Path, time: str) -> datetime | None:
    try:
        return read_time(time) if time else None
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
        WaterBefore(date, mean_rows([on_grid[path] for path in date.paths]))
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
    return [_first_known([read_decibel(path, grid) for path in date.paths]) for date in found]


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


def _first_known(layers: Sequence[Rows]) -> Rows:
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


WINDOW = 7
"""Side of the window whose mean is compared between dates, px."""

_FLOOR = 1e-6  # linear power, -60 dB
_SPACING_M = 10.0  # of scenes that don't state theirs
_LOOKS = 4.4
_CELL_M2 = 20.0 * 22.0


def backscatter_change(after: Floats, before: Floats, window: int = WINDOW) -> Floats:
    """Return the change of backscatter between means over a window.

    Parameters
    ----------
    after, before
        (y, x) float32 linear power of one polarisation, NaN = no data.
    window
        Side of the window, px; averaging 49 pixels of 4.4 looks leaves speckle of .3 dB.

    Returns
    -------
    ndarray
        (y, x) float32, dB, negative where it has become darker; NaN where either has no data
        within the window or at the pixel itself.
    """
    change = power_to_decibel(_mean(after, window) / _mean(before, window))
    seen = np.isfinite(after) & np.isfinite(before)
    return np.where(seen, change, np.nan).astype(np.float32)


def _mean(power: Floats, window: int) -> NDArray[np.float64]:
    known = np.isfinite(power)
    count = box_sum(known.astype(np.float64), window)
    summed = box_sum(np.where(known, power, 0).astype(np.float64), window)
    return np.asarray(np.maximum(summed / np.maximum(count, 1), _FLOOR))


def speckle_spread(spacing: float, window: int = WINDOW) -> float:
    """Return the standard deviation that speckle leaves in the mean over a window, dB.

    Parameters
    ----------
    spacing
        Pixel spacing, m.
    window
        Side of the window, px.

    Returns
    -------
    float
        10 / ln 10 / sqrt(N L): the window holds N resolution cells, at least one, of L looks each.
        Neighbouring pixels of an image aren't independent, its cells are. 4.4 looks, 20 m by 22 m:
        Sentinel-1 Product Definition, S1-RS-MDA-52-7440, IW GRDH.
    """
    cells = max((window * spacing) ** 2 / _CELL_M2, 1.0)
    return float(10 / np.log(10) / np.sqrt(cells * _LOOKS))


@dataclass(frozen=True)
class Change:
    """How the backscatter after a flood differs from that before; (y, x) float32, NaN = unknown.

    `decibel` against the mean of the dates before, negative where it is darker; `z_score` in
    standard deviations, None of one date.
    """

    decibel: Floats
    z_score: Floats | None = None


def change_from_dates(
    after: Floats, dates: Iterable[Floats], spread: float, window: int = WINDOW
) -> Change:
    """Compare backscatter with its mean and spread on several dates.

    Parameters
    ----------
    after
        (y, x) float32 linear power of one polarisation, NaN = no data.
    dates
        The same of each date before.
    spread
        Smallest standard deviation that is believed, dB, such as `speckle_spread`: that of a few
        dates which happen to be alike is too small.
    window
        Side of the window of the means, px.

    Returns
    -------
    Change
        z = (x - m) / max(s, `spread`), where x is the level after, dB, of a window's mean, and m
        and s are mean and standard deviation (of n - 1 degrees of freedom) of the levels before.
        z is unknown where fewer than two dates have data.

    Notes
    -----
    Sources: the z-score of DeVries et al., Rapid and robust monitoring of flood events using
    Sentinel-1 and Landsat data on the Google Earth Engine, Remote Sensing of Environment 240 (2020)
    111664. Change against what earlier scenes let expect, and their spread, as in Schlaffer et
    al., Flood detection from multi-temporal SAR data using harmonic analysis and change detection,
    Int. J. Appl. Earth Obs. 38 (2015) 15-24, and Bauer-Marschallinger et al., Satellite-based flood
    mapping through Bayesian inference from a Sentinel-1 SAR datacube, Remote Sensing 14 (2022)
    3673; both of whom know the season from years of scenes, which a few dates don't show.
    """
    count = np.zeros(after.shape, dtype=np.uint16)
    mean, squares = (np.zeros(after.shape, dtype=np.float32) for _ in range(2))
    for before in dates:
        level = power_to_decibel(_mean(before, window)).astype(np.float32)
        known = np.isfinite(before)
        count += known
        step = np.where(known, level - mean, 0)  # after Welford
        mean += step / np.maximum(count, 1)
        squares += step * np.where(known, level - mean, 0)
    difference = power_to_decibel(_mean(after, window)).astype(np.float32) - mean
    deviation = np.sqrt(squares / np.maximum(count.astype(np.float32) - 1, 1))
    score = difference / np.maximum(deviation, np.float32(spread))
    seen = np.isfinite(after)
    return Change(
        np.where(seen & (count >= 1), difference, np.nan).astype(np.float32),
        np.where(seen & (count >= 2), score, np.nan).astype(np.float32),
    )


@dataclass(frozen=True)
class ChangeRows:
    """The same as `Change`, by rows."""

    decibel: Rows
    z_score: Rows | None = None


def read_change(
    scene: Path, before: Sequence[Path], grid: GeoBox, *, mixed_orbits: bool
) -> ChangeRows:
    """Return the change of backscatter since before a flood on the grid of a map.

    Parameters
    ----------
    scene
        Scene store after the flood.
    before
        Scene stores before it, of one date or several.
    grid
        Grid of the map.
    mixed_orbits
        Accept scenes of the other orbit direction.

    Returns
    -------
    ChangeRows
        Of the polarisation that has changed most, dB and z-score each by itself.

    Raises
    ------
    InputError
        If a scene has no backscatter, they have no polarisation in common, one was taken in the
        other orbit direction, or its date isn't known beside others.
    """
    after = open_store(scene, whole_rows=True)
    dates = scenes_by_date(before)
    opened = {
        path: before_on_grid(open_store(path), after, name=str(path), mixed_orbits=mixed_orbits)
        for path in before
    }
    bands = _common_bands(after, scene, opened)
    spread = speckle_spread(recipe_of(after).spacing or _SPACING_M) if len(dates) > 1 else None
    compared = [
        (rows_of(after[b]), [_first_known([rows_of(opened[p][b]) for p in d.paths]) for d in dates])
        for b in bands
    ]
    source = geobox_of(after)
    height, width = source.shape.yx

    def placed(part: Callable[[Change], Floats | None]) -> Rows:
        def read(start: int, stop: int) -> Floats:
            changes = [_change_of(*band, spread, start, stop) for band in compared]
            return _largest([layer for c in changes if (layer := part(c)) is not None])

        return rows_onto_grid(ReadRows((height, width), read), source, grid, np.nan, str(scene))

    scores = None if spread is None else placed(lambda change: change.z_score)
    return ChangeRows(placed(lambda change: change.decibel), scores)


def _common_bands(after: xr.Dataset, scene: Path, earlier: Mapping[Path, xr.Dataset]) -> list[str]:
    bands = require_bands(after, scene)
    for path, part in earlier.items():
        bands = [band for band in bands if band in require_bands(part, path)]
        if not bands:
            raise InputError(f"{path}: no polarisation in common with {scene}; give another scene")
    return bands


def _change_of(
    after: Rows, dates: Sequence[Rows], spread: float | None, start: int, stop: int
) -> Change:
    """Compare rows of one polarisation; of one date its power, of several their levels."""
    values, inner = around(after, start, stop, WINDOW // 2)
    levels = (around(date, start, stop, WINDOW // 2)[0] for date in dates)
    if spread is None:
        return Change(backscatter_change(values, next(levels))[inner])
    change = change_from_dates(values, levels, spread)
    score = None if change.z_score is None else change.z_score[inner]
    return Change(change.decibel[inner], score)


def _largest(layers: Sequence[Floats]) -> Floats:
    """Return of each pixel the value, of all layers, that is farthest from 0."""
    stacked = np.stack(layers)
    largest = np.abs(np.nan_to_num(stacked)).argmax(axis=0)
    return np.asarray(np.take_along_axis(stacked, largest[np.newaxis], axis=0)[0])
