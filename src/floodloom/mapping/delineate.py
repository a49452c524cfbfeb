"""From water to flood: what was water before, what radar can't tell, and what nobody saw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from rasterio.features import sieve

from floodloom.raster.flags import Flag


class FloodClass(IntEnum):
    """Values of a flood map."""

    DRY = 0
    PERMANENT = 1
    FLOOD = 2
    EXCLUDED = 3
    NODATA = 255


class Reason(IntEnum):
    """Why a pixel is excluded."""

    NONE = 0
    LAYOVER = 1
    SHADOW = 2
    BEFORE_UNKNOWN = 3


Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """What is known of each pixel; all (y, x).

    `after` uint8 percent of water, 255 = no data; `before` the same for the scene before the
    flood, or None; `permanent` bool reference water, or None; `flags` uint8 bits, or None.
    """

    after: NDArray[np.uint8]
    before: NDArray[np.uint8] | None = None
    permanent: Mask | None = None
    flags: NDArray[np.uint8] | None = None


def delineate_flood(
    evidence: Evidence, *, threshold: int, minimum_pixels: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Classify each pixel.

    Parameters
    ----------
    evidence
        What is known.
    threshold
        Percent from which a pixel is water.
    minimum_pixels
        Patches of water or land of fewer pixels are given to their surroundings, and so are
        patches of flood within permanent water, such as the fringe of a lake, and the reverse.

    Returns
    -------
    classes
        (y, x) uint8, see `FloodClass`.
    reasons
        (y, x) uint8, see `Reason`; 0 outside excluded pixels.
    """
    seen = evidence.after != FloodClass.NODATA.value
    water = _sieved(seen & (evidence.after >= threshold), seen, minimum_pixels)
    before_known, permanent = _permanent_water(evidence, threshold, minimum_pixels)
    flood = _sieved(water & ~permanent, water, minimum_pixels)
    classes = np.where(water, FloodClass.PERMANENT.value, FloodClass.DRY.value).astype(np.uint8)
    classes[flood] = FloodClass.FLOOD.value
    reasons = _reasons(evidence.flags, classes.shape)
    reasons[flood & ~before_known & (reasons == 0)] = Reason.BEFORE_UNKNOWN.value
    classes[reasons > 0] = FloodClass.EXCLUDED.value
    classes[~seen] = FloodClass.NODATA.value
    reasons[~seen] = Reason.NONE.value
    return classes, reasons


def _permanent_water(evidence: Evidence, threshold: int, minimum_pixels: int) -> tuple[Mask, Mask]:
    shape = evidence.after.shape
    known = np.ones(shape, dtype=bool)
    permanent = np.zeros(shape, dtype=bool)
    if evidence.before is not None:
        known = evidence.before != FloodClass.NODATA.value
        permanent = _sieved(known & (evidence.before >= threshold), known, minimum_pixels)
    if evidence.permanent is not None:
        permanent = permanent | evidence.permanent
        known = known | evidence.permanent
    return known, permanent


def _reasons(flags: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    reasons = np.zeros(shape, dtype=np.uint8)
    if flags is not None:
        reasons[(flags & Flag.SHADOW.value) > 0] = Reason.SHADOW.value
        reasons[(flags & Flag.LAYOVER.value) > 0] = Reason.LAYOVER.value
    return reasons


def _sieved(water: Mask, seen: Mask, minimum_pixels: int) -> Mask:
    if minimum_pixels < 2:
        return water
    patches = sieve(water.astype(np.uint8), size=minimum_pixels, mask=seen, connectivity=4)
    return np.asarray(patches == 1) & seen


def minimum_pixels(hectares: float, pixel_area: float) -> int:
    """Return how many pixels make up an area in hectares; `pixel_area` in m²."""
    return max(int(np.ceil(hectares * 10_000 / pixel_area)), 1)
