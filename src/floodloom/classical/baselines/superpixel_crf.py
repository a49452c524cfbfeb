"""A conditional random field on superpixels, whose most probable labels are exact.

After Fulkerson, Vedaldi and Soatto (2009), Class segmentation and object localization with
superpixel neighborhoods, ICCV, 670-677: a superpixel costs -log P(class | features), and two
neighbours of different classes cost L / (1 + |difference of means|), where L is the length of their
common boundary. What differs: superpixels are SLIC's, not Quickshift's; the features are the mean
levels, and P is that of two Gaussians instead of histograms of textons; L is in sides of
superpixels, so that `smoothness` doesn't change with their size. Of two classes the labels of the
least energy are found exactly, by a maximum flow. The percent is that of the superpixel, put to 50
at least in water and to 49 at most on land.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

from floodloom.arrays import Doubles, Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.baselines.graph_cut import put_on_its_side
from floodloom.classical.baselines.slic import SlicArguments, segment_slic
from floodloom.classical.blocks import map_blocks, no_water
from floodloom.classical.graph_cuts import Nodes, least_energy
from floodloom.classical.region_classes import region_odds
from floodloom.classical.region_sums import Labels, RegionSums, neighbours, spread
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.superpixels import superpixels
from floodloom.classical.thresholds import percent_of


class FieldArguments(SlicArguments):
    """What boundaries cost."""

    smoothness: float = Field(
        default=0.3,
        ge=0,
        le=100,
        description="Cost of a boundary as long as the side of a superpixel between two equal ones",
    )


def bonds_of(labels: Labels, levels: Floats, size: int) -> tuple[Nodes, Doubles]:
    """Return the pairs (edge, 2) of neighbouring superpixels and what different labels cost."""
    edges, lengths = neighbours(labels)
    means = RegionSums.of(labels, levels).means
    apart = np.sqrt(np.square(means[edges[:, 0]] - means[edges[:, 1]]).mean(axis=1))
    return edges, lengths / size / (1 + apart)


def _map(scene: BackscatterScene, arguments: FieldArguments) -> WaterMap:
    odds = arguments.odds(scene)
    if not odds.by_band:
        return WaterMap(no_water(scene), found=odds.found)
    segment = partial(segment_slic, size=arguments.size, compactness=arguments.compactness)

    def work(levels: Floats) -> Floats:
        labels = superpixels(levels, segment, has_power=scene.has_power)
        unary = region_odds(labels, levels, list(scene.bands), odds)
        edges, bonds = bonds_of(labels, levels, arguments.size)
        water = least_energy(-unary.astype(np.float64), edges, arguments.smoothness * bonds)
        return spread(put_on_its_side(percent_of(unary), water), labels)

    percent = map_blocks(scene, arguments.block, arguments.overlap, work)
    return WaterMap(percent, odds.thresholds, odds.found)


BASELINE = Baseline(
    _map,
    source="Fulkerson, Vedaldi and Soatto 2009, ICCV, 670-677",
    arguments=FieldArguments,
    needs=("skimage",),
)
