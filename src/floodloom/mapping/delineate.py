"""From water to flood: the rule, and the minimum mapping unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from floodloom.arrays import Bytes, Doubles, Floats, Mask
from floodloom.mapping.exclusion import Ground, exclusions
from floodloom.mapping.exclusion import Reason as Reason
from floodloom.mapping.refine import (
    PRESETS,
    CrfSettings,
    dense_crf,
    in_strips,
    majority,
)
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.areas import PixelAreas, pixel_areas
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.product import FloodClass

Numbers = NDArray[np.int32]

_ALMOST = 0.998
"""Share of the minimum that is enough: the scale of UTM makes .2 % of difference within a zone, and
thirty pixels of 10 m are meant to be .3 ha in all of it."""


def sieve_patches(water: Mask, seen: Mask, minimum: float, areas: PixelAreas) -> Mask:
    """Give patches of water or land smaller than a minimum to their surroundings.

    A patch becomes what its largest neighbour is; where that is too small itself, what the largest
    neighbour of that one is, and so on, as GDAL's sieve does with patches counted in pixels.

    Parameters
    ----------
    water, seen
        (y, x) bool; patches are joined by their edges and end where nothing is seen.
    minimum
        Smallest area of a patch, in the unit of `areas`.
    areas
        Areas of the pixels.

    Returns
    -------
    ndarray
        (y, x) bool: water; a patch without neighbours stays as it is, however small.
    """
    patches, waters, count = _patches(water & seen, ~water & seen)
    sizes = areas.by_value(patches, count)
    small = sizes < _ALMOST * minimum
    small[0] = False
    if not small.any():
        return water & seen
    wet = np.arange(count + 1) <= waters
    wet[0] = False
    end = _followed(_largest_neighbours(patches, sizes, small), small)
    return np.asarray(np.where(small[end], wet, wet[end])[patches])


def _patches(water: Mask, land: Mask) -> tuple[Numbers, int, int]:
    """Number patches from 1 on, those of water first; 0 is neither."""
    patches, lands = (np.zeros(water.shape, dtype=np.int32) for _ in range(2))
    waters, more = label(water, output=patches), label(land, output=lands)
    np.add(lands, waters, out=patches, where=land)
    return patches, int(waters), int(waters + more)


def _largest_neighbours(patches: Numbers, sizes: Doubles, small: Mask) -> Numbers:
    """Return the largest neighbour of each small patch, 0 where it has none."""
    pairs = []
    for one, other in ((patches[:, :-1], patches[:, 1:]), (patches[:-1], patches[1:])):
        border = np.nonzero((one != other) & (one > 0) & (other > 0))
        both = one[border], other[border]
        for patch, neighbour in (both, both[::-1]):
            pairs.append((patch[small[patch]], neighbour[small[patch]]))
    patch, neighbour = (np.concatenate(side) for side in zip(*pairs, strict=True))
    order = np.lexsort((-neighbour, sizes[neighbour]))  # of equal ones the first counts
    largest = np.zeros(len(sizes), dtype=np.int32)
    largest[patch[order]] = neighbour[order]
    return largest


def _followed(largest: Numbers, small: Mask) -> Numbers:
    """Return the first patch that is large enough on the way over largest neighbours.

    Where there is none, because two small patches are all there is, a small one comes back.
    """
    numbers = np.arange(len(largest), dtype=np.int32)
    end = np.where(small & (largest > 0), largest, numbers)
    for _ in range(len(largest).bit_length()):  # each step doubles the way
        end = end[end]
    return end


_STRIP = 2048
_MAJORITY_WINDOW = 3  # px


@dataclass(frozen=True)
class Evidence:
    """What is known of each pixel; all (y, x).

    Attributes
    ----------
    after, before
        uint8 percent of water after and before the flood, 255 = no data; `before` may be None. Of
        several dates before, their mean.
    occurrence
        float32 percent of the dates before on which there was water, NaN = unknown, see
        `water_occurrence`; None of one date.
    dates
        When these dates were, ISO 8601; empty of one date.
    reference
        uint8 reference water: 1 permanent water, 0 land, 255 unknown; or None.
    ground
        What may exclude a pixel.
    change
        float32 change of backscatter since before the flood, dB, NaN = unknown; or None.
    z_score
        float32 the same in standard deviations of the dates before, NaN = unknown; or None.
    decibel, before_decibel
        float32 backscatter after and before the flood, dB, for refinements that look at it; or
        None.
    areas
        Areas of the pixels, m²; None: each is 1.
    """

    after: Bytes
    before: Bytes | None = None
    reference: Bytes | None = None
    ground: Ground = field(default_factory=Ground)
    change: Floats | None = None
    decibel: Floats | None = None
    before_decibel: Floats | None = None
    areas: PixelAreas | None = None
    occurrence: Floats | None = None
    dates: tuple[str, ...] = ()
    z_score: Floats | None = None

    def pixel_areas(self) -> PixelAreas:
        """Return the areas of the pixels; without a grid each is 1."""
        return self.areas or pixel_areas(pixel_geobox(*self.after.shape))


def delineate_flood(evidence: Evidence, settings: DelineateSettings) -> tuple[Bytes, Bytes]:
    """Classify each pixel.

    Between `before_threshold` and `threshold` neither is certain, and water is excluded: as flood,
    the edges of rivers and lakes would be flooded in every scene; as permanent water, a flood would
    be missed. The shore buffer takes in mixed pixels, and the error of geocoding between scenes.

    Of several dates before, water on `permanent_occurrence` percent of them or more is permanent.
    On fewer it is seasonal, and from `before_threshold` percent on excluded: nobody can tell
    whether it would be there without the flood.

    Patches of flood within permanent water are given to it where they are too small, and the
    reverse.

    Parameters
    ----------
    evidence
        What is known of each pixel.
    settings
        How they are classified.

    Returns
    -------
    classes
        (y, x) uint8, see `FloodClass`.
    reasons
        (y, x) uint8, see `Reason`; 0 outside excluded pixels.
    """
    seen = evidence.after != FloodClass.NODATA.value
    areas = evidence.pixel_areas()
    water = water_extent(evidence.after, settings, areas, evidence.decibel)
    permanent, seasonal, doubtful = _water_before(evidence, settings)
    flood = sieve_patches(water & ~permanent, water, minimum_area(settings, areas), areas)
    classes = np.where(water, FloodClass.PERMANENT.value, FloodClass.DRY.value).astype(np.uint8)
    classes[flood] = FloodClass.FLOOD.value
    reasons = exclusions(evidence.ground, seen, settings)
    reasons[flood & _unchanged(evidence, settings) & (reasons == 0)] = Reason.UNCHANGED.value
    reasons[flood & seasonal & (reasons == 0)] = Reason.SEASONAL.value
    reasons[flood & doubtful & (reasons == 0)] = Reason.BEFORE_UNKNOWN.value
    classes[reasons > 0] = FloodClass.EXCLUDED.value
    classes[~seen] = FloodClass.NODATA.value
    reasons[~seen] = Reason.NONE.value
    return classes, reasons


def water_extent(
    percent: Bytes, settings: DelineateSettings, areas: PixelAreas, decibel: Floats | None = None
) -> Mask:
    """Return where (y, x) there is water, refined and without small patches.

    Parameters
    ----------
    percent
        (y, x) uint8 percent of water, 255 = no data.
    settings
        Threshold and refinement.
    areas
        Areas of the pixels.
    decibel
        (y, x) float32 backscatter, dB.
    """
    seen = percent != FloodClass.NODATA.value
    water = seen & (percent >= settings.threshold)
    if settings.refine in PRESETS:
        refined = _crf(percent, PRESETS[settings.refine], decibel)
        water = seen & (refined >= settings.threshold / 100)
    elif settings.refine == "majority":
        water = majority(water, seen, _MAJORITY_WINDOW)
    return sieve_patches(water, seen, minimum_area(settings, areas), areas)


def minimum_area(settings: DelineateSettings, areas: PixelAreas) -> float:
    """Return the area of the smallest patch in the unit of the pixels' areas."""
    return settings.minimum_mapping_unit * areas.hectare


def _crf(percent: Bytes, settings: CrfSettings, decibel: Floats | None) -> Floats:
    missing = percent == FloodClass.NODATA.value
    probability = np.where(missing, np.nan, percent / np.float32(100)).astype(np.float32)
    rasters = (probability,) if decibel is None else (probability, decibel)

    def refined(part: Floats, levels: Floats | None = None) -> Floats:
        return dense_crf(part, settings, levels)

    return in_strips(refined, *rasters, reach=settings.reach, rows=_STRIP)


def water_occurrence(
    dates: Sequence[tuple[Bytes, Floats | None]], settings: DelineateSettings, areas: PixelAreas
) -> Floats:
    """Return the percent of the dates before a flood on which there was water.

    Source: the occurrence of water of Pekel et al., High-resolution mapping of global surface water
    and its long-term changes, Nature 540 (2016) 418-422.

    Parameters
    ----------
    dates
        Of each date percent of water, (y, x) uint8, 255 = no data, and its backscatter, (y, x)
        float32, dB, or None; one date or more.
    settings, areas
        How water is told from land on each, as after the flood.

    Returns
    -------
    ndarray
        (y, x) float32, 0-100: of the dates that saw a pixel; NaN where none did.
    """
    wet, known = (np.zeros(dates[0][0].shape, dtype=np.uint16) for _ in range(2))
    for percent, decibel in dates:
        wet += water_extent(percent, settings, areas, decibel)
        known += percent != FloodClass.NODATA.value
    share = np.float32(100) * wet / np.maximum(known, 1)
    return np.where(known > 0, share, np.nan).astype(np.float32)


def _water_before(evidence: Evidence, settings: DelineateSettings) -> tuple[Mask, Mask, Mask]:
    """Where (y, x) water is permanent, where it is seasonal, and where it is uncertain."""
    shape = evidence.after.shape
    known, water, sometimes, maybe = (np.zeros(shape, dtype=bool) for _ in range(4))
    if evidence.before is None and evidence.reference is None:
        return water, sometimes, maybe
    if evidence.before is not None:
        known |= evidence.before != FloodClass.NODATA.value
        water |= _permanent(evidence, evidence.before, settings)
        maybe |= known & (evidence.before >= settings.before_threshold)
    if evidence.occurrence is not None:
        sometimes |= evidence.occurrence >= settings.before_threshold
    if evidence.reference is not None:
        known |= evidence.reference != FloodClass.NODATA.value
        water |= evidence.reference == 1
        maybe &= evidence.reference != 0
    water, sometimes, maybe = (_grown(m, settings.shore_buffer) for m in (water, sometimes, maybe))
    return water, sometimes, maybe | ~known


def _permanent(evidence: Evidence, before: Bytes, settings: DelineateSettings) -> Mask:
    """Where (y, x) there was water on one date before the flood, or on enough of several."""
    if evidence.occurrence is not None:
        return np.asarray(evidence.occurrence >= settings.permanent_occurrence)
    return water_extent(before, settings, evidence.pixel_areas(), evidence.before_decibel)


def _grown(mask: Mask, pixels: int) -> Mask:
    return binary_dilation(mask, np.ones((3, 3)), iterations=pixels) if pixels else mask


def _unchanged(evidence: Evidence, settings: DelineateSettings) -> Mask:
    unchanged = np.zeros(evidence.after.shape, dtype=bool)
    if evidence.change is not None and settings.minimum_change is not None:
        unchanged |= np.abs(evidence.change) < settings.minimum_change
    if evidence.z_score is not None and settings.minimum_z_score is not None:
        unchanged |= np.abs(evidence.z_score) < settings.minimum_z_score
    return unchanged


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
