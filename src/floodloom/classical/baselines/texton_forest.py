"""A semantic texton forest, trained on simulated chips: trees that compare pixels.

After Shotton, Johnson and Cipolla (2008), Semantic texton forests for image categorization and
segmentation, CVPR, section 2: extremely randomised trees (Geurts, Ernst and Wehenkel 2006, Machine
Learning 63(1), 3-42) whose nodes look at one pixel of a patch, or at the sum, the difference or the
absolute difference of two; no filters, no descriptors. What differs: levels of backscatter, of
single pixels and not filtered against speckle, stand for colours; trees draw from one set of tests;
the map is that of the leaves' shares of water, without the second forest of section 4 that looks at
the textons of the surroundings; it is trained on floods that are simulated and has seen no label
of any scene.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from pydantic import Field

from floodloom.arrays import Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.blocks import SIDE, map_blocks
from floodloom.classical.forests import Forest, ForestArguments
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.simulated_training import Chip, Seen, draw_pixels, training_chips
from floodloom.classical.textons import PixelTests


class TextonArguments(ForestArguments):
    """What a tree looks at."""

    trees: int = Field(default=20, ge=1, le=1000, description="How many trees there are")
    patch: int = Field(default=15, ge=3, le=63, description="Side of the patch around a pixel, px")
    tests: int = Field(default=400, ge=1, le=10_000, description="Comparisons that are drawn")


@lru_cache(maxsize=4)
def trained(seen: Seen, arguments: TextonArguments) -> tuple[PixelTests, Forest]:
    """Return what is grown on simulated chips, once for all scenes that are seen alike."""
    return grow(training_chips(seen, arguments.chips, arguments.seed), arguments)


def grow(chips: Iterable[Chip], arguments: TextonArguments) -> tuple[PixelTests, Forest]:
    """Return the tests and the forest grown on chips."""
    from sklearn.ensemble import ExtraTreesClassifier

    draw = np.random.default_rng(arguments.seed)
    chips = list(chips)
    tests = PixelTests.drawn(arguments.tests, len(chips[0][0]), arguments.patch, draw)
    values, water = [], []
    for levels, wet, known in chips:
        rows, cols = draw_pixels(known, arguments.pixels, draw)
        values.append(tests.values(levels, rows, cols))
        water.append(wet[rows, cols])
    forest = ExtraTreesClassifier(**arguments.of_scikit_learn())
    return tests, Forest.of(forest.fit(np.concatenate(values), np.concatenate(water)))


def _map(scene: BackscatterScene, arguments: TextonArguments) -> WaterMap:
    pixels = replace(scene, is_filtered=True)  # no mean of 3 x 3 px, which is a filter
    tests, forest = trained(Seen.of(pixels), arguments)

    def work(levels: Floats) -> Floats:
        return np.asarray(100 * tests.follow(levels, forest), np.float32)

    percent = map_blocks(pixels, SIDE, arguments.patch // 2, work)
    return WaterMap(percent, found=arguments.described)


BASELINE = Baseline(
    _map,
    source="Shotton, Johnson and Cipolla 2008, CVPR",
    arguments=TextonArguments,
    needs=("sklearn",),
)
