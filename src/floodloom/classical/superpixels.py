"""Superpixels: patches of like pixels, each of which is water or land."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from floodloom.arrays import Floats
from floodloom.classical.baseline import WaterMap
from floodloom.classical.pixel_classes import ClassArguments
from floodloom.classical.region_classes import map_regions
from floodloom.classical.region_sums import Labels
from floodloom.classical.scene import BackscatterScene

Segment = Callable[[Floats], Labels]
"""From an image (y, x, band) float32, 0-1, without gaps, to superpixels (y, x)."""

_RANGE = {True: (-35.0, 0.0), False: (-3.0, 3.0)}
"""Levels that are 0 and 1 in an image: dB, or standard deviations of display values."""


def superpixels(levels: Floats, segment: Segment, *, has_power: bool) -> Labels:
    """Return the superpixels of a block, each of which is connected by sides.

    Parameters
    ----------
    levels
        (band, y, x) float32, NaN in all bands where there are no data.
    segment
        Divides an image. Superpixels that it leaves in several parts are several.
    has_power
        Whether the levels are decibel: those from -35 to 0 dB, or from -3 to 3 standard deviations,
        are the image's 0 to 1.

    Returns
    -------
    ndarray
        (y, x) int32 from 0; -1 exactly where there are no data.
    """
    from skimage.measure import label

    known = np.isfinite(levels[0])
    if not known.any():
        return np.full(known.shape, -1, np.int32)
    low, high = _RANGE[has_power]
    image = np.clip((np.where(known, levels, low) - low) / (high - low), 0, 1)
    found = segment(np.ascontiguousarray(np.moveaxis(image, 0, -1), np.float32))
    parts = label(np.where(known, found - found.min() + 1, 0), background=0, connectivity=1)
    return np.asarray(parts - 1, np.int32)


def map_superpixels(
    scene: BackscatterScene, arguments: ClassArguments, segment: Segment
) -> WaterMap:
    """Map water by superpixels, as `floodloom.classical.region_classes.map_regions` does."""
    regions = partial(superpixels, segment=segment, has_power=scene.has_power)
    return map_regions(scene, arguments, regions)
