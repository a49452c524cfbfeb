"""How backscatter differs from that on the dates before a flood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.mapping.earlier import first_known, scenes_by_date
from floodloom.mapping.sources import require_bands, rows_of
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import before_on_grid, rows_onto_grid
from floodloom.raster.rows import ReadRows, Rows, around
from floodloom.raster.store import open_store, recipe_of
from floodloom.raster.windows import box_sum
from floodloom.sentinel1.decibel import power_to_decibel

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
        (rows_of(after[b]), [first_known([rows_of(opened[p][b]) for p in d.paths]) for d in dates])
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
