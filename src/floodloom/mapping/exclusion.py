"""Where radar can't show whether there is a flood, and why; and where it shows one otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from floodloom.arrays import Bytes, Mask
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.recipe import Flag
from floodloom.raster.rows import Rows


class Reason(IntEnum):
    """Why a pixel is excluded; `UNDER_PLANTS` is no exclusion but how flood was seen."""

    NONE = 0
    LAYOVER = 1
    SHADOW = 2
    BEFORE_UNKNOWN = 3
    URBAN = 4
    DENSE_VEGETATION = 5
    STEEP = 6
    ABOVE_DRAINAGE = 7
    UNCHANGED = 9
    SEASONAL = 10
    UNDER_PLANTS = 11


REASON_NAMES = {
    Reason.LAYOVER.value: "layover",
    Reason.SHADOW.value: "radar shadow",
    Reason.BEFORE_UNKNOWN.value: "water, and perhaps so before the flood",
    Reason.URBAN.value: "built-up land",
    Reason.DENSE_VEGETATION.value: "dense vegetation",
    Reason.STEEP.value: "steep slope",
    Reason.ABOVE_DRAINAGE.value: "high above the drainage",
    Reason.UNCHANGED.value: "water, but backscatter as before the flood",
    Reason.SEASONAL.value: "water, and on some dates before the flood, too",
}
"""What the reasons of exclusion mean."""

UNDER_PLANTS = {Reason.UNDER_PLANTS.value: "flooded vegetation: brighter than before"}
"""What the value of flood means that was seen under plants; other flood was seen as open water."""


@dataclass(frozen=True)
class Ground:
    """What is known of the ground; all (y, x), by rows, or None.

    `flags` uint8 bits of the scene store, `land_cover` int32, `slope` float32 degrees, `height`
    float32 m above the nearest drainage; NaN excludes nothing.
    """

    flags: Rows | None = None
    land_cover: Rows | None = None
    slope: Rows | None = None
    height: Rows | None = None


def exclusions(
    ground: Ground,
    seen: Mask,
    settings: DelineateSettings,
    start: int = 0,
) -> Bytes:
    """Return why each pixel of some rows is excluded.

    Parameters
    ----------
    ground
        What is known of the ground.
    seen
        (row, x) bool: where there is data.
    settings
        From where on a pixel is excluded.
    start
        The first of the rows.

    Returns
    -------
    ndarray
        (row, x) uint8, see `Reason`; of several reasons the one that distorts the image most.
    """
    reasons = np.zeros(seen.shape, dtype=np.uint8)
    for reason, mask in _masks(ground, settings, slice(start, start + len(seen))):
        np.putmask(reasons, mask, reason.value)
    return reasons * seen


def _masks(
    ground: Ground, settings: DelineateSettings, rows: slice
) -> Iterator[tuple[Reason, Mask]]:
    """Masks in the order in which they are painted over one another."""
    if ground.height is not None and settings.maximum_height is not None:
        yield Reason.ABOVE_DRAINAGE, ground.height[rows] > settings.maximum_height
    if ground.land_cover is not None:
        land_cover = ground.land_cover[rows]
        yield Reason.DENSE_VEGETATION, np.isin(land_cover, settings.vegetation)
        yield Reason.URBAN, np.isin(land_cover, settings.urban)
    if ground.slope is not None and settings.maximum_slope is not None:
        yield Reason.STEEP, ground.slope[rows] > settings.maximum_slope
    if ground.flags is not None:
        flags = ground.flags[rows]
        yield Reason.SHADOW, (flags & Flag.SHADOW.value) > 0
        yield Reason.LAYOVER, (flags & Flag.LAYOVER.value) > 0
