"""Regions that grow from sure water as far as their levels are like those of water.

After Matgen et al. (2011), Towards an automated SAR-based flood monitoring system: Lessons learned
from two case studies, Physics and Chemistry of the Earth 36(7-8), 241-252, and the criterion of
Adams and Bischof (1994), Seeded region growing, IEEE TPAMI 16(6), 641-647: the distance of a pixel
from the mean of the region. What differs: the mean and the deviation are those of the darker of two
Gaussians that `hsba` finds, of several bands the mean of the distances counts, and what is darker
than the mean of water has no distance. The whole scene is one block.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field, model_validator

from floodloom.arrays import NODATA, Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.histograms import TileCounts
from floodloom.classical.regions import WATER, keep_grown
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.thresholds import NO_WATER
from floodloom.classical.tiles import hierarchical_split
from floodloom.classical.two_classes import classes_of, fit_two_classes
from floodloom.settings import Settings

WaterClass = tuple[float, float]
"""Mean and deviation of the levels of water."""


class GrowingArguments(Settings):
    """From where to where regions grow, in standard deviations above the mean of water."""

    seed: float = Field(default=0.5, ge=0, description="Greatest distance of a seed, deviations")
    tolerance: float = Field(
        default=1.5, gt=0, le=20, description="Greatest distance of a region's pixels, deviations"
    )

    @model_validator(mode="after")
    def _in_order(self) -> GrowingArguments:
        if self.seed >= self.tolerance:
            raise ValueError(f"seed {self.seed:g} must be below tolerance {self.tolerance:g}")
        return self


def fit_water(tiles: TileCounts) -> WaterClass | None:
    """Return the darker Gaussian of all bimodal tiles together; None without any."""
    counts, chosen = hierarchical_split(tiles)
    if not chosen:
        return None
    classes = classes_of(fit_two_classes(counts[np.newaxis], tiles.scale.bins)[0])
    return classes.means[0], classes.deviations[0]


def distance(levels: Mapping[str, Floats], water: Mapping[str, WaterClass]) -> Floats:
    """Return by how many deviations levels of one shape exceed the mean of water.

    The mean over the bands of `water`, float32, 0 or more; NaN where a band has no data.
    """
    found = [
        np.maximum(levels[band] - np.float32(mean), 0) / np.float32(deviation)
        for band, (mean, deviation) in water.items()
    ]
    return np.asarray(sum(found) / np.float32(len(found)))


def _map(scene: BackscatterScene, arguments: GrowingArguments) -> WaterMap:
    fitted = {band: fit_water(scene.count(band, False)) for band in scene.bands}
    water = {band: one for band, one in fitted.items() if one is not None}
    percent = np.empty(scene.shape, np.uint8)
    for row, levels, low in scene.strips(False):
        known = np.logical_and.reduce([np.isfinite(band) for band in levels.values()])
        here = percent[row : row + low.shape[0]]
        here[:] = np.where(known, 0, NODATA)
        if water:
            inside = known & low
            here[inside] = _likeness(distance(levels, water)[inside], arguments.tolerance)
    if not water:
        return WaterMap(percent, found=NO_WATER)
    seed = int(_likeness(np.array([arguments.seed], np.float32), arguments.tolerance)[0])
    keep_grown(percent, seed)
    limits = {band: mean + arguments.tolerance * spread for band, (mean, spread) in water.items()}
    named = ", ".join(f"{band} {limit:.1f}" for band, limit in limits.items())
    return WaterMap(percent, limits, f"regions grow up to {named} {scene.unit}")


def _likeness(distances: Floats, tolerance: float) -> Floats:
    """Percent: 100 at the mean of water, 50 at the tolerance, 0 at twice that and beyond."""
    scaled = np.clip(2 - distances / np.float32(tolerance), 0, 2)
    percent = np.where(scaled >= 1, np.rint(WATER * scaled), np.minimum(WATER * scaled, WATER - 1))
    return np.asarray(percent, np.float32)


BASELINE = Baseline(
    _map,
    source="Matgen et al. 2011, Physics and Chemistry of the Earth 36(7-8), 241-252; "
    "Adams and Bischof 1994, IEEE TPAMI 16(6), 641-647",
    arguments=GrowingArguments,
)
