"""Where radar can't show whether there is a flood, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.recipe import Flag
from floodloom.raster.windows import box_sum

_NEIGHBOURHOOD = 65  # px, about what a network looks at


class Reason(IntEnum):
    """Why a pixel is excluded."""

    NONE = 0
    LAYOVER = 1
    SHADOW = 2
    BEFORE_UNKNOWN = 3
    URBAN = 4
    DENSE_VEGETATION = 5
    STEEP = 6
    ABOVE_DRAINAGE = 7
    LOW_COVERAGE = 8
    UNCHANGED = 9
    SEASONAL = 10


REASON_NAMES = {
    Reason.LAYOVER.value: "layover",
    Reason.SHADOW.value: "radar shadow",
    Reason.BEFORE_UNKNOWN.value: "water, and perhaps so before the flood",
    Reason.URBAN.value: "built-up land",
    Reason.DENSE_VEGETATION.value: "dense vegetation",
    Reason.STEEP.value: "steep slope",
    Reason.ABOVE_DRAINAGE.value: "high above the drainage",
    Reason.LOW_COVERAGE.value: "too little data around",
    Reason.UNCHANGED.value: "water, but backscatter as before the flood",
    Reason.SEASONAL.value: "water, and on some dates before the flood, too",
}
"""What the reasons mean."""


@dataclass(frozen=True)
class Ground:
    """What is known of the ground; all (y, x) or None.

    `flags` uint8 bits of the scene store, `land_cover` int32, `slope` float32 degrees, `height`
    float32 m above the nearest drainage; NaN excludes nothing.
    """

    flags: Bytes | None = None
    land_cover: NDArray[np.integer] | None = None
    slope: Floats | None = None
    height: Floats | None = None


def exclusions(ground: Ground, seen: Mask, settings: DelineateSettings) -> Bytes:
    """Return why each pixel is excluded.

    Parameters
    ----------
    ground
        What is known of the ground.
    seen
        (y, x) bool: where there is data.
    settings
        From where on a pixel is excluded.

    Returns
    -------
    ndarray
        (y, x) uint8, see `Reason`; of several reasons the one that distorts the image most.
    """
    reasons = np.zeros(seen.shape, dtype=np.uint8)
    for reason, mask in _masks(ground, seen, settings):
        reasons[mask & seen] = reason.value
    return reasons


def _masks(ground: Ground, seen: Mask, settings: DelineateSettings) -> list[tuple[Reason, Mask]]:
    """Masks in the order in which they are painted over one another."""
    found: list[tuple[Reason, Mask]] = []
    if settings.minimum_coverage > 0:
        found.append((Reason.LOW_COVERAGE, coverage(seen) < settings.minimum_coverage))
    if ground.height is not None and settings.maximum_height is not None:
        found.append((Reason.ABOVE_DRAINAGE, ground.height > settings.maximum_height))
    if ground.land_cover is not None:
        found.append((Reason.DENSE_VEGETATION, np.isin(ground.land_cover, settings.vegetation)))
        found.append((Reason.URBAN, np.isin(ground.land_cover, settings.urban)))
    if ground.slope is not None and settings.maximum_slope is not None:
        found.append((Reason.STEEP, ground.slope > settings.maximum_slope))
    if ground.flags is not None:
        found.append((Reason.SHADOW, (ground.flags & Flag.SHADOW.value) > 0))
        found.append((Reason.LAYOVER, (ground.flags & Flag.LAYOVER.value) > 0))
    return found


def coverage(seen: Mask) -> Floats:
    """Return the share of pixels with data around each, beyond the raster there being none."""
    count = box_sum(seen.astype(np.int32), _NEIGHBOURHOOD)
    return np.asarray(count / _NEIGHBOURHOOD**2, dtype=np.float32)
