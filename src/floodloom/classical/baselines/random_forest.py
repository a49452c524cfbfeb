"""A random forest on intensity and texture, trained on simulated chips.

After Breiman (2001), Random forests, Machine Learning 45(1), 5-32. What differs: it is trained on
floods that are simulated, with their exact truth, and has seen no label of any scene. The percent
is the mean share of water in the leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from floodloom.arrays import Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.blocks import SIDE, map_blocks
from floodloom.classical.features import intensity_and_texture
from floodloom.classical.forests import Forest, ForestArguments
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.simulated_training import Chip, Seen, draw_pixels, training_chips

WINDOWS = (5, 15)
"""Sides of the squares that texture is taken in, px."""


@lru_cache(maxsize=4)
def trained(seen: Seen, arguments: ForestArguments) -> Forest:
    """Return what is grown on simulated chips, once for all scenes that are seen alike."""
    return grow(training_chips(seen, arguments.chips, arguments.seed), arguments)


def grow(chips: Iterable[Chip], arguments: ForestArguments) -> Forest:
    """Return a forest grown on chips."""
    from sklearn.ensemble import RandomForestClassifier

    draw = np.random.default_rng(arguments.seed)
    pixels, water = [], []
    for levels, wet, known in chips:
        rows, cols = draw_pixels(known, arguments.pixels, draw)
        pixels.append(intensity_and_texture(levels, WINDOWS)[:, rows, cols].T)
        water.append(wet[rows, cols])
    forest = RandomForestClassifier(**arguments.of_scikit_learn())
    return Forest.of(forest.fit(np.concatenate(pixels), np.concatenate(water)))


def _map(scene: BackscatterScene, arguments: ForestArguments) -> WaterMap:
    forest = trained(Seen.of(scene), arguments)

    def work(levels: Floats) -> Floats:
        known = np.isfinite(levels[0])
        percent = np.zeros(known.shape, np.float32)
        features = intensity_and_texture(levels, WINDOWS)[:, known].T
        percent[known] = 100 * forest.follow(features)
        return percent

    percent = map_blocks(scene, SIDE, max(WINDOWS) // 2, work)
    return WaterMap(percent, found=arguments.described)


BASELINE = Baseline(
    _map,
    source="Breiman 2001, Machine Learning 45(1), 5-32",
    arguments=ForestArguments,
    needs=("sklearn",),
)
