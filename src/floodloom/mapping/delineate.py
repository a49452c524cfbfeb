"""From water to flood: what was water before, what radar can't tell, and what nobody saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from scipy.ndimage import binary_dilation

from floodloom.arrays import Bytes, Floats, Mask
from floodloom.mapping.areas import PixelAreas, pixel_areas
from floodloom.mapping.exclusion import Ground, Limits, exclusions
from floodloom.mapping.exclusion import Reason as Reason
from floodloom.mapping.refine import (
    PRESETS,
    CrfSettings,
    dense_crf,
    in_strips,
    majority,
)
from floodloom.mapping.sieve import sieve_patches
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.nodata import NODATA

_STRIP = 2048


class FloodClass(IntEnum):
    """Values of a flood map."""

    DRY = 0
    PERMANENT = 1
    FLOOD = 2
    EXCLUDED = 3
    NODATA = NODATA


@dataclass(frozen=True)
class Evidence:
    """What is known of each pixel; all (y, x).

    Attributes
    ----------
    after, before
        uint8 percent of water after and before the flood, 255 = no data; `before` may be None.
    reference
        uint8 reference water: 1 permanent water, 0 land, 255 unknown; or None.
    ground
        What may exclude a pixel.
    change
        float32 change of backscatter since before the flood, dB, NaN = unknown; or None.
    decibel, before_decibel
        float32 backscatter after and before the flood, dB, for refinements that look at it; or
        None.
    areas
        Areas of the pixels, see `Rules.minimum_area`; None: each is 1.
    """

    after: Bytes
    before: Bytes | None = None
    reference: Bytes | None = None
    ground: Ground = field(default_factory=Ground)
    change: Floats | None = None
    decibel: Floats | None = None
    before_decibel: Floats | None = None
    areas: PixelAreas | None = None

    def pixel_areas(self) -> PixelAreas:
        """Return the areas of the pixels; without a grid each is 1."""
        return self.areas or pixel_areas(pixel_geobox(*self.after.shape))


@dataclass(frozen=True)
class Rules:
    """How pixels are classified.

    Attributes
    ----------
    threshold
        Percent from which a pixel is water.
    before_threshold
        Percent from which a pixel may have been water before the flood. Between it and `threshold`
        nobody can tell, and water is excluded: as flood, the edges of rivers and lakes would be
        flooded in every scene; as permanent water, a flood would be missed.
    fringe
        Pixels around water that was there before, or may have been, which are taken for the same:
        mixed pixels, and the error of geocoding between the scenes.
    minimum_area
        Smaller patches of water or land, m² on the ground (px without a CRS), are given to their
        surroundings, and so are patches of flood within permanent water, such as the fringe of a
        lake, and the reverse.
    refine
        One of `refine.REFINEMENTS`.
    majority_window
        Side of the window of `majority`, px.
    minimum_change
        Flood whose backscatter has changed by less, dB, is excluded; None: isn't looked at.
    limits
        What excludes a pixel.
    """

    threshold: int = 50
    before_threshold: int = 20
    fringe: int = 1
    minimum_area: float = 0.0
    refine: str = "none"
    majority_window: int = 3
    minimum_change: float | None = None
    limits: Limits = field(default_factory=Limits)


def delineate_flood(evidence: Evidence, rules: Rules) -> tuple[Bytes, Bytes]:
    """Classify each pixel.

    Returns
    -------
    classes
        (y, x) uint8, see `FloodClass`.
    reasons
        (y, x) uint8, see `Reason`; 0 outside excluded pixels.
    """
    seen = evidence.after != FloodClass.NODATA.value
    areas = evidence.pixel_areas()
    water = water_extent(evidence.after, rules, areas, evidence.decibel)
    permanent, doubtful = _water_before(evidence, rules)
    flood = sieve_patches(water & ~permanent, water, rules.minimum_area, areas)
    classes = np.where(water, FloodClass.PERMANENT.value, FloodClass.DRY.value).astype(np.uint8)
    classes[flood] = FloodClass.FLOOD.value
    reasons = exclusions(evidence.ground, seen, rules.limits)
    reasons[flood & _unchanged(evidence, rules) & (reasons == 0)] = Reason.UNCHANGED.value
    reasons[flood & doubtful & (reasons == 0)] = Reason.BEFORE_UNKNOWN.value
    classes[reasons > 0] = FloodClass.EXCLUDED.value
    classes[~seen] = FloodClass.NODATA.value
    reasons[~seen] = Reason.NONE.value
    return classes, reasons


def water_extent(
    percent: Bytes, rules: Rules, areas: PixelAreas, decibel: Floats | None = None
) -> Mask:
    """Return where (y, x) there is water, refined and without small patches.

    Parameters
    ----------
    percent
        (y, x) uint8 percent of water, 255 = no data.
    rules
        Threshold and refinement.
    areas
        Areas of the pixels.
    decibel
        (y, x) float32 backscatter, dB.
    """
    seen = percent != FloodClass.NODATA.value
    water = seen & (percent >= rules.threshold)
    if rules.refine in PRESETS:
        water = seen & (_crf(percent, PRESETS[rules.refine], decibel) >= rules.threshold / 100)
    elif rules.refine == "majority":
        water = majority(water, seen, rules.majority_window)
    return sieve_patches(water, seen, rules.minimum_area, areas)


def _crf(percent: Bytes, settings: CrfSettings, decibel: Floats | None) -> Floats:
    missing = percent == FloodClass.NODATA.value
    probability = np.where(missing, np.nan, percent / np.float32(100)).astype(np.float32)
    rasters = (probability,) if decibel is None else (probability, decibel)

    def refined(part: Floats, levels: Floats | None = None) -> Floats:
        return dense_crf(part, settings, levels)

    return in_strips(refined, *rasters, reach=settings.reach, rows=_STRIP)


def _water_before(evidence: Evidence, rules: Rules) -> tuple[Mask, Mask]:
    """Where (y, x) there was water before the flood, and where nobody can tell."""
    shape = evidence.after.shape
    known, water, maybe = (np.zeros(shape, dtype=bool) for _ in range(3))
    if evidence.before is None and evidence.reference is None:
        return water, maybe
    if evidence.before is not None:
        known |= evidence.before != FloodClass.NODATA.value
        areas = evidence.pixel_areas()
        water |= water_extent(evidence.before, rules, areas, evidence.before_decibel)
        maybe |= known & (evidence.before >= rules.before_threshold)
    if evidence.reference is not None:
        known |= evidence.reference != FloodClass.NODATA.value
        water |= evidence.reference == 1
        maybe &= evidence.reference != 0
    return _grown(water, rules.fringe), _grown(maybe, rules.fringe) | ~known


def _grown(mask: Mask, pixels: int) -> Mask:
    return binary_dilation(mask, np.ones((3, 3)), iterations=pixels) if pixels else mask


def _unchanged(evidence: Evidence, rules: Rules) -> Mask:
    if evidence.change is None or rules.minimum_change is None:
        return np.zeros(evidence.after.shape, dtype=bool)
    return np.asarray(np.abs(evidence.change) < rules.minimum_change)


def flood_likelihood(evidence: Evidence) -> Bytes:
    """Return how likely a pixel is flooded.

    Returns
    -------
    ndarray
        (y, x) uint8 percent, 255 = no data: the probability of water, times that of no water
        before where it is known, and 0 on reference water.
    """
    likelihood = evidence.after.astype(np.float32)
    if evidence.before is not None:
        known = evidence.before != FloodClass.NODATA.value
        dry_before = np.where(known, 100 - evidence.before.astype(np.float32), 100)
        likelihood *= dry_before / 100
    if evidence.reference is not None:
        likelihood[evidence.reference == 1] = 0
    seen = evidence.after != FloodClass.NODATA.value
    return np.where(seen, np.rint(likelihood), FloodClass.NODATA.value).astype(np.uint8)
