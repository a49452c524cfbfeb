"""Maps by thresholds: what the level of a pixel says about water, in every band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.classical.baseline import Baseline, NoArguments, WaterMap
from floodloom.classical.histograms import TileCounts
from floodloom.classical.regions import keep_grown
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.two_classes import LogOdds

Fit = Callable[[TileCounts], LogOdds | None]
"""From the histograms of one band to the log-odds of water; None where it finds no two classes."""

NO_WATER = "no water found, no part of the scene holds two classes; 0 percent"


@dataclass(frozen=True)
class WaterOdds:
    """Log-odds of water by the levels of the bands in which two classes were found.

    Attributes
    ----------
    by_band
        Those of each such band.
    unit
        Of the levels.
    """

    by_band: Mapping[str, LogOdds]
    unit: str

    @classmethod
    def of(cls, scene: BackscatterScene, fit: Fit, *, compared: bool = False) -> WaterOdds:
        """Fit every band of a scene, or its change since the scene before."""
        fitted = {band: fit(scene.count(band, compared)) for band in scene.bands}
        return cls({band: odds for band, odds in fitted.items() if odds is not None}, scene.unit)

    @property
    def thresholds(self) -> dict[str, float]:
        """Levels at which the odds are even, by band."""
        return {band: odds.threshold for band, odds in self.by_band.items()}

    @property
    def found(self) -> str:
        """The thresholds as a text."""
        if not self.by_band:
            return NO_WATER
        limits = ", ".join(f"{band} {limit:.1f}" for band, limit in self.thresholds.items())
        return f"water below {limits} {self.unit}"

    def at(self, levels: Mapping[str, Floats]) -> Floats:
        """Return the mean of the log-odds of the bands at levels of one shape, from -6 to 6.

        NaN where a band has none.
        """
        total = sum(one.at(levels[band]) for band, one in self.by_band.items())
        return np.asarray(total / np.float32(len(self.by_band)))


def percent_of(odds: Floats) -> Floats:
    """Return percent from log-odds of any shape."""
    return np.asarray(100 / (1 + np.exp(-odds)))


def threshold_baseline(
    fit: Fit, *, source: str, grows: bool = False, compares_dates: bool = False
) -> Baseline:
    """Return the baseline that maps by thresholds of each band.

    Parameters
    ----------
    fit
        What finds them.
    source
        The paper.
    grows
        Keep only water that is connected to sure water, see `keep_grown`.
    compares_dates
        Look at the change of backscatter since the scene before.

    Returns
    -------
    Baseline
        Its map has the probability of water by the mean of the log-odds of the bands in which two
        classes were found, each from -6 to 6; on the whole scene 0 where no band holds two classes.
    """

    def map_scene(scene: BackscatterScene, arguments: NoArguments) -> WaterMap:
        odds = WaterOdds.of(scene, fit, compared=compares_dates)
        percent = np.empty(scene.shape, dtype=np.uint8)
        for row, levels, low in scene.strips(compares_dates):
            here = percent[row : row + low.shape[0]]
            here[:] = _percent(levels, odds)
            here[~low & (here != NODATA)] = 0
        if grows and odds.by_band:
            keep_grown(percent)
        return WaterMap(percent, odds.thresholds, odds.found)

    return Baseline(map_scene, source=source, compares_dates=compares_dates)


def _percent(levels: Mapping[str, Floats], odds: WaterOdds) -> Bytes:
    """Percent (y, x) uint8 of a strip."""
    known = np.logical_and.reduce([np.isfinite(band) for band in levels.values()])
    if not odds.by_band:
        return np.where(known, 0, NODATA).astype(np.uint8)
    percent = percent_of(np.where(known, odds.at(levels), 0))
    return np.where(known, np.rint(percent), NODATA).astype(np.uint8)
