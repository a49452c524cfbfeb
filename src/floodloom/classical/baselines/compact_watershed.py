"""Superpixels of a compact watershed, each of which is water or land by its mean levels.

After Neubert and Protzel (2014), Compact watershed and preemptive SLIC: on improving trade-offs of
superpixel segmentation algorithms, ICPR, 996-1001: the gradient is flooded from seeds on a lattice,
and places far from their seed are flooded later. What differs: the gradient is that of all bands.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

from floodloom.arrays import Floats
from floodloom.classical.baseline import Baseline, WaterMap
from floodloom.classical.pixel_classes import ClassArguments
from floodloom.classical.region_sums import Labels
from floodloom.classical.scene import BackscatterScene
from floodloom.classical.superpixels import map_superpixels


class WatershedArguments(ClassArguments):
    """What superpixels are like."""

    size: int = Field(default=8, ge=3, le=64, description="Distance of the seeds, px")
    compactness: float = Field(
        default=1e-3, ge=0, description="How much the distance from the seed weighs; 0: not at all"
    )


def segment_watershed(image: Floats, size: int, compactness: float) -> Labels:
    """Return superpixels (y, x) of an image (y, x, band), 0-1."""
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    gradient = np.sqrt(sum(np.square(sobel(band)) for band in np.moveaxis(image, -1, 0)))
    seeds = np.zeros(gradient.shape, np.int32)
    rows, cols = (np.arange(min(size // 2, side - 1), side, size) for side in gradient.shape)
    seeds[np.ix_(rows, cols)] = 1 + np.arange(len(rows) * len(cols)).reshape(len(rows), -1)
    found: Labels = watershed(gradient, seeds, compactness=compactness)
    return found


def _map(scene: BackscatterScene, arguments: WatershedArguments) -> WaterMap:
    segment = partial(segment_watershed, size=arguments.size, compactness=arguments.compactness)
    return map_superpixels(scene, arguments, segment)


BASELINE = Baseline(
    _map,
    source="Neubert and Protzel 2014, ICPR, 996-1001",
    arguments=WatershedArguments,
    needs=("skimage",),
)
