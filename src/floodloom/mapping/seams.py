"""How much the windows of a prediction show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Bytes
from floodloom.raster.nodata import NODATA

_NEAR = 16  # px on both sides of a border that stand for the interior: the same ground, no border


class SeamMeter:
    """Compares the gradient of a probability across borders with that beside them.

    Rows come in parts, from top to bottom, so that a mosaic is measured while it is written; the
    result doesn't depend on the parts.

    Parameters
    ----------
    rows, cols
        First rows and columns after a border.
    """

    def __init__(self, rows: Iterable[int], cols: Iterable[int]) -> None:
        self._waiting, self._cols = sorted(rows), sorted(cols)
        self._across, self._beside = np.zeros(2), np.zeros(2)
        self._kept: Bytes | None = None
        self._seen = 0

    def add(self, percent: Bytes) -> None:
        """Take the next rows, (y, x) uint8 percent, 255 = no data."""
        self._measure(percent.T, self._cols)
        self._kept = percent if self._kept is None else np.concatenate([self._kept, percent])
        self._seen += len(percent)
        self._measure_rows(self._seen - _NEAR)
        self._kept = self._kept[-2 * _NEAR - 2 :].copy()

    def ratio(self) -> float | None:
        """Return the ratio once all rows have come.

        Returns
        -------
        float or None
            Mean absolute difference of the pixels on both sides of a border, over the mean absolute
            difference of neighbours on the 16 lines before and after it. 1 means that nothing
            shows; None where there are no borders, or neither has a gradient.
        """
        self._measure_rows(self._seen)
        if not self._across[1] or not self._beside[0]:
            return None
        across, beside = (sums[0] / sums[1] for sums in (self._across, self._beside))
        return float(across / beside)

    def _measure_rows(self, end: int) -> None:
        ready = [border for border in self._waiting if border < end]
        self._waiting = self._waiting[len(ready) :]
        if self._kept is not None:
            top = self._seen - len(self._kept)
            self._measure(self._kept, [border - top for border in ready])

    def _measure(self, values: Bytes, borders: Iterable[int]) -> None:
        for border in borders:
            first, last = max(border - _NEAR, 1), min(border + _NEAR, len(values) - 1)
            step = _steps(values[first - 1 : last + 1])
            at = border - first
            if 0 <= at < len(step):
                self._across += _sums(step[at : at + 1])
                self._beside += _sums(np.delete(step, at, axis=0))


def seam_ratio(percent: Bytes, rows: Iterable[int], cols: Iterable[int]) -> float | None:
    """Return the ratio that a `SeamMeter` gives for a whole mosaic, (y, x) uint8 percent."""
    meter = SeamMeter(rows, cols)
    meter.add(percent)
    return meter.ratio()


def _steps(values: Bytes) -> NDArray[np.float64]:
    known = values != NODATA
    steps = np.abs(np.diff(values.astype(np.float64), axis=0))
    return np.where(known[1:] & known[:-1], steps, np.nan)


def _sums(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.nansum(steps), np.isfinite(steps).sum()])


def window_borders(windows: Mapping[str, Any]) -> tuple[set[int], set[int]]:
    """Return the rows and columns at which windows, and what is used of them, begin and end.

    Parameters
    ----------
    windows
        `WindowPlan.as_dict`.
    """
    found = []
    for starts, size in zip((windows["rows"], windows["cols"]), windows["size"], strict=True):
        rim, end = windows["rim"], starts[-1] + size
        edges = {edge for s in starts for edge in (s, s + rim, s + size - rim, s + size)}
        found.append({edge for edge in edges if rim < edge < end - rim})
    return found[0], found[1]
