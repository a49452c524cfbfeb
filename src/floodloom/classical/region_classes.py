"""Water by regions: each is what its mean levels say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from floodloom.arrays import Floats
from floodloom.classical.baseline import WaterMap
from floodloom.classical.blocks import map_blocks, no_water
from floodloom.classical.pixel_classes import ClassArguments
from floodloom.classical.region_sums import Labels, RegionSums, spread
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.thresholds import WaterOdds, percent_of

Regions = Callable[[Floats], Labels]
"""From levels (band, y, x) float32, NaN = no data, to the regions of a block."""


def region_odds(labels: Labels, levels: Floats, bands: list[str], odds: WaterOdds) -> Floats:
    """Return the log-odds of water of regions, (region,) float32, by their mean levels."""
    means = RegionSums.of(labels, levels).means.astype(np.float32)
    return odds.at(dict(zip(bands, means.T, strict=True)))


def map_regions(scene: BackscatterScene, arguments: ClassArguments, regions: Regions) -> WaterMap:
    """Map water by regions of each block.

    Parameters
    ----------
    scene
        The scene.
    arguments
        Its blocks, and what separates water from land.
    regions
        Divides a block.
    """
    odds = arguments.odds(scene)
    if not odds.by_band:
        return WaterMap(no_water(scene), found=odds.found)
    bands = list(scene.bands)

    def work(levels: Floats) -> Floats:
        labels = regions(levels)
        return spread(percent_of(region_odds(labels, levels, bands, odds)), labels)

    percent = map_blocks(scene, arguments.block, arguments.overlap, work)
    return WaterMap(percent, odds.thresholds, odds.found)
