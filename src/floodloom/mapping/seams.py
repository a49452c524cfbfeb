"""How much the windows of a prediction show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.mapping.predict import PERCENT_NODATA
from floodloom.raster.grid import quiet_about_georeference

_NEAR = 16  # px on both sides of a border that stand for the interior: the same ground, no border


def seam_ratio(
    percent: NDArray[np.uint8], rows: Iterable[int], cols: Iterable[int]
) -> float | None:
    """Return the gradient of a probability across borders over that beside them.

    Parameters
    ----------
    percent
        (y, x) uint8 percent, 255 = no data.
    rows, cols
        First rows and columns after a border.

    Returns
    -------
    float or None
        Mean absolute difference of the pixels on both sides of a border, over the mean absolute
        difference of neighbours on the 16 lines before and after it. 1 means that nothing shows;
        None where there are no borders, or neither has a gradient.
    """
    across, beside = np.zeros(2), np.zeros(2)
    for values, borders in ((percent, rows), (percent.T, cols)):
        for border in borders:
            first, last = max(border - _NEAR, 1), min(border + _NEAR, len(values) - 1)
            step = _steps(values[first - 1 : last + 1])
            at = border - first
            if not 0 <= at < len(step):
                continue
            across += _sums(step[at : at + 1])
            beside += _sums(np.delete(step, at, axis=0))
    if not across[1] or not beside[0]:
        return None
    return float((across[0] / across[1]) / (beside[0] / beside[1]))


def _steps(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    known = values != PERCENT_NODATA
    steps = np.abs(np.diff(values.astype(np.float64), axis=0))
    return np.where(known[1:] & known[:-1], steps, np.nan)


def _sums(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.nansum(steps), np.isfinite(steps).sum()])


def window_borders(windows: Mapping[str, Any]) -> tuple[set[int], set[int]]:
    """Return the rows and columns at which windows, and what is used of them, begin and end.

    Parameters
    ----------
    windows
        `WindowPlan.as_dict`, which the tag FLOODLOOM_WINDOWS of a mosaic holds.
    """
    found = []
    for starts, size in zip((windows["rows"], windows["cols"]), windows["size"], strict=True):
        rim, end = windows["rim"], starts[-1] + size
        edges = {edge for s in starts for edge in (s, s + rim, s + size - rim, s + size)}
        found.append({edge for edge in edges if rim < edge < end - rim})
    return found[0], found[1]


def mosaic_seams(path: str | Path) -> float | None:
    """Return the seam ratio of a probability mosaic, from the windows that its tags name.

    Raises
    ------
    InputError
        If the file can't be read or doesn't say which windows it was made from.
    """
    try:
        with quiet_about_georeference(), rasterio.open(path) as raster:
            percent, tags = raster.read(1), raster.tags()
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable probability mosaic ({error})") from error
    if "FLOODLOOM_WINDOWS" not in tags:
        raise InputError(f"{path}: doesn't say its windows; predict it again")
    return seam_ratio(percent, *window_borders(json.loads(tags["FLOODLOOM_WINDOWS"])))
