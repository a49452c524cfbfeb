"""What a baseline is, and the map of water that it makes of a scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.classical.histograms import TileCounts
from floodloom.classical.regions import keep_grown
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.two_classes import LogOdds
from floodloom.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class Baseline:
    """A method without learning.

    Attributes
    ----------
    fit
        From the histograms of one band to the log-odds of water; None where it finds no two
        classes.
    source
        The paper.
    grows
        Keep only water that is connected to sure water, see `keep_grown`.
    compares_dates
        Look at the change of backscatter since the scene before: what it finds is new water.
    """

    fit: Callable[[TileCounts], LogOdds | None]
    source: str
    grows: bool = False
    compares_dates: bool = False


@dataclass(frozen=True)
class WaterMap:
    """Percent of water (y, x) uint8, 255 = no data, and the thresholds by band."""

    percent: Bytes
    thresholds: Mapping[str, float] = field(default_factory=dict)


def map_water(scene: BackscatterScene, name: str, baseline: Baseline) -> WaterMap:
    """Map water by a baseline.

    Parameters
    ----------
    scene
        The scene, with the one before where the baseline compares dates.
    name
        Name of the baseline, for the log.
    baseline
        What finds thresholds.

    Returns
    -------
    WaterMap
        The probability of water by the mean of the log-odds of the bands in which two classes were
        found, each from -6 to 6; 0 on ground too high above the drainage and, on the whole scene,
        where no band holds two classes. 255 exactly where a band has no data. It doesn't depend on
        the chunks of the scene.
    """
    compared = baseline.compares_dates
    fitted = {band: baseline.fit(scene.count(band, compared)) for band in scene.bands}
    found = {band: odds for band, odds in fitted.items() if odds is not None}
    thresholds = {band: odds.threshold for band, odds in found.items()}
    if not found:
        _log.info("%s: no water found, no part of the scene holds two classes; 0 percent", name)
    else:
        limits = ", ".join(f"{band} {limit:.1f}" for band, limit in thresholds.items())
        _log.info("%s: water below %s %s", name, limits, scene.unit)

    percent = np.empty(scene.shape, dtype=np.uint8)
    for row, levels, low in scene.strips(compared):
        percent[row : row + low.shape[0]] = _percent(levels, found)
        here = percent[row : row + low.shape[0]]
        here[~low & (here != NODATA)] = 0
    if baseline.grows and found:
        keep_grown(percent)
    return WaterMap(percent, thresholds)


def _percent(levels: Mapping[str, Floats], found: Mapping[str, LogOdds]) -> Bytes:
    """Percent (y, x) uint8 of a strip."""
    known = np.logical_and.reduce([np.isfinite(band) for band in levels.values()])
    if not found:
        return np.where(known, 0, NODATA).astype(np.uint8)
    odds = sum(one.at(levels[band]) for band, one in found.items()) / np.float32(len(found))
    probability = 1 / (1 + np.exp(-np.where(known, odds, 0)))
    return np.where(known, np.rint(100 * probability), NODATA).astype(np.uint8)
