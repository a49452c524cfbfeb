"""From water to flood: the rule, and the minimum mapping unit.

A map is made in three passes over strips of rows: water on each date without small patches; flood,
without small patches; and the classes, as they are written. What one pass hands to the next are
masks of a bit per pixel, compressed. No pass looks further than a strip and some rows around it,
but for `floodloom.raster.sieve`, which measures patches whole wherever strips cut them, and
`floodloom.mapping.vegetation`, which adds flood under plants to that of open water.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from floodloom.arrays import NODATA, Bytes, Mask
from floodloom.mapping.brightening import Pair
from floodloom.mapping.exclusion import Ground, exclusions
from floodloom.mapping.exclusion import Reason as Reason
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.vegetation import flooded_vegetation, grown
from floodloom.mapping.water import USUAL, Pace, minimum_area, water_extent
from floodloom.raster.areas import PixelAreas, pixel_areas
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.product import FloodClass
from floodloom.raster.rows import ReadRows, Rows, StoredMask, around, by_strips
from floodloom.raster.sieve import LAND, WATER, Sieve

PERMANENT_OCCURRENCE = 50
"""Percent of the dates before the flood from which water on them is permanent."""


@dataclass(frozen=True)
class Evidence:
    """What is known of each pixel; all (y, x), by rows, as which arrays will do.

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
    pair
        Backscatter on both dates, where flood under plants is looked for; or None.
    """

    after: Rows
    before: Rows | None = None
    reference: Rows | None = None
    ground: Ground = field(default_factory=Ground)
    change: Rows | None = None
    decibel: Rows | None = None
    before_decibel: Rows | None = None
    areas: PixelAreas | None = None
    occurrence: Rows | None = None
    dates: tuple[str, ...] = ()
    z_score: Rows | None = None
    pair: Pair | None = None

    def pixel_areas(self) -> PixelAreas:
        """Return the areas of the pixels; without a grid each is 1."""
        height, width = self.after.shape
        return self.areas or pixel_areas(pixel_geobox(height, width))


@dataclass(frozen=True)
class Delineation:
    """A map whose water and flood are known, of which the classes are worked out by rows.

    Attributes
    ----------
    evidence, settings
        What it is made from.
    water, flood
        (y, x) bool: water after the flood, and the flood among it.
    seasonal, doubtful
        (y, x) bool: where there was water on some dates before, and where there may have been.
    plants
        (y, x) bool: flood under plants, which is no part of `water`; None: none.
    """

    evidence: Evidence
    settings: DelineateSettings
    water: Rows
    flood: Rows
    seasonal: Rows
    doubtful: Rows
    plants: Rows | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        height, width = self.evidence.after.shape
        return height, width

    def read(self, start: int = 0, stop: int | None = None) -> tuple[Bytes, Bytes]:
        """Return the classes and reasons of some rows, all by default.

        Returns
        -------
        classes
            (row, x) uint8, see `FloodClass`.
        reasons
            (row, x) uint8, see `Reason`; 0 outside excluded pixels and flood under plants.
        """
        rows = slice(start, self.shape[0] if stop is None else stop)
        water, flood = self.water[rows], self.flood[rows]
        seen = self.evidence.after[rows] != FloodClass.NODATA.value
        reasons = exclusions(self.evidence.ground, seen, self.settings, rows.start)
        unchanged = self._unchanged(rows)
        for reason, mask in (
            (Reason.UNCHANGED, unchanged),
            (Reason.SEASONAL, self.seasonal[rows]),
            (Reason.BEFORE_UNKNOWN, self.doubtful[rows]),
        ):
            if mask is not None:
                np.putmask(reasons, flood & mask & (reasons == 0), reason.value)
        classes = water.astype(np.uint8)  # permanent is 1, dry 0
        np.putmask(classes, flood, FloodClass.FLOOD.value)
        np.putmask(classes, reasons > 0, FloodClass.EXCLUDED.value)
        if self.plants is not None:
            self._show(self.plants[rows], classes, reasons)
        np.putmask(classes, ~seen, FloodClass.NODATA.value)
        return classes, reasons

    @staticmethod
    def _show(plants: Mask, classes: Bytes, reasons: Bytes) -> None:
        """Put flood under plants on the map: radar sees it, dense as they may be otherwise."""
        shown = plants & ((reasons == 0) | (reasons == Reason.DENSE_VEGETATION.value))
        np.putmask(classes, shown, FloodClass.FLOOD.value)
        np.putmask(reasons, shown, Reason.UNDER_PLANTS.value)

    def _unchanged(self, rows: slice) -> Mask | None:
        evidence, settings = self.evidence, self.settings
        found = None
        for layer, least in (
            (evidence.change, settings.minimum_change),
            (evidence.z_score, settings.minimum_z_score),
        ):
            if layer is not None and least is not None:
                small = np.abs(layer[rows]) < least
                found = small if found is None else found | small
        return found


def delineate_flood(
    evidence: Evidence, settings: DelineateSettings, pace: Pace = USUAL
) -> Delineation:
    """Find the flood, so that each pixel can be classified.

    Between `before_threshold` and `threshold` neither is certain, and water is excluded: as flood,
    the edges of rivers and lakes would be flooded in every scene; as permanent water, a flood would
    be missed. The shore buffer takes in mixed pixels, and the error of geocoding between scenes: a
    rim of water that is no wider belongs to what it surrounds. Where there is flood beyond the
    buffer, the water between is flood, too.

    Of several dates before, water on half of them or more is permanent.
    On fewer it is seasonal, and from `before_threshold` percent on excluded: it isn't known
    whether it would be there without the flood.

    Patches of flood within permanent water are given to it where they are too small, and the
    reverse.

    Parameters
    ----------
    evidence
        What is known of each pixel.
    settings
        How they are classified.
    pace
        How it is worked through.

    Returns
    -------
    Delineation
        Its `read` gives classes and reasons.
    """
    areas = evidence.pixel_areas()
    with ThreadPoolExecutor(pace.threads) as pool:
        after = pool.submit(water_extent, evidence.after, settings, areas, evidence.decibel, pace)
        before = pool.submit(_water_before, evidence, settings, pace)
        water, earlier = after.result(), before.result()

    def part(start: int, stop: int) -> tuple[Bytes, Mask, Mask]:
        permanent, seasonal, doubtful = _with_shores(
            water, earlier, start, stop, settings.shore_buffer
        )
        values = np.where(permanent, LAND, WATER).astype(np.uint8) * water[start:stop]
        return values, seasonal, doubtful | earlier.unknown[start:stop]

    height, width = evidence.after.shape
    sieve = Sieve(areas, minimum_area(settings, areas))
    sometimes, maybe = StoredMask(width), StoredMask(width)
    for _, (values, some, may) in by_strips(part, height, rows=pace.rows, threads=pace.threads):
        sieve.add(values)
        sometimes.append(some)
        maybe.append(may)
    flood = sieve.finish()
    plants = _under_plants(evidence, settings, water, earlier, flood, pace)
    return Delineation(evidence, settings, water, flood, sometimes, maybe, plants)


def _under_plants(
    evidence: Evidence,
    settings: DelineateSettings,
    water: Rows,
    earlier: _WaterBefore,
    flood: Rows,
    pace: Pace,
) -> Rows | None:
    """Return flood under plants, (y, x) bool, without small patches or small holes; or None."""
    if evidence.pair is None:
        return None
    areas = evidence.pixel_areas()
    least = minimum_area(settings, areas)

    def land(start: int, stop: int) -> Mask:
        low = evidence.after[start:stop] < settings.before_threshold
        return np.asarray(earlier.land(start, stop) & ~water[start:stop] & low)

    found = flooded_vegetation(evidence.pair, land, flood, least / areas.columns.mean(), pace)
    if found is None:
        return None

    def part(start: int, stop: int) -> Bytes:
        rows = slice(start, stop)
        wet = np.where(found[rows] | water[rows], WATER, LAND)
        return np.asarray(wet * (evidence.after[rows] != NODATA), np.uint8)

    sieve = Sieve(areas, least)
    height, width = evidence.after.shape
    for _, values in by_strips(part, height, rows=pace.rows, threads=pace.threads):
        sieve.add(values)
    joined = sieve.finish()

    def read(start: int, stop: int) -> Mask:
        return np.asarray(joined[start:stop] & ~water[start:stop] & earlier.land(start, stop))

    return ReadRows((height, width), read)


@dataclass(frozen=True)
class _WaterBefore:
    """Where (y, x) there was water before the flood: always, at times, perhaps, and not known."""

    permanent: Rows
    seasonal: Rows
    doubtful: Rows
    unknown: Rows

    def land(self, start: int, stop: int) -> Mask:
        """Where some rows, (row, x), are known to have been land."""
        layers = (self.permanent, self.seasonal, self.doubtful, self.unknown)
        return np.asarray(~np.logical_or.reduce([layer[start:stop] for layer in layers]))


def _water_before(evidence: Evidence, settings: DelineateSettings, pace: Pace) -> _WaterBefore:
    height, width = evidence.after.shape
    if evidence.before is None and evidence.reference is None:
        none = ReadRows((height, width), lambda a, b: np.zeros((b - a, width), dtype=bool))
        return _WaterBefore(none, none, none, none)
    extent = None
    if evidence.before is not None and evidence.occurrence is None:
        areas = evidence.pixel_areas()
        extent = water_extent(evidence.before, settings, areas, evidence.before_decibel, pace)

    def part(start: int, stop: int) -> tuple[Mask, ...]:
        return _before(evidence, settings, extent, slice(start, stop))

    found = tuple(StoredMask(width) for _ in range(4))
    for _, masks in by_strips(part, height, rows=pace.rows):
        for whole, mask in zip(found, masks, strict=True):
            whole.append(mask)
    return _WaterBefore(*found)


def _with_shores(
    water: Rows, earlier: _WaterBefore, start: int, stop: int, buffer: int
) -> Iterator[Mask]:
    """Permanent, seasonal and doubtful water of some rows, each with its shore.

    That is what lies within the buffer, but for water that is within the buffer of flood beyond it.
    """
    layers = (water, earlier.unknown, earlier.permanent, earlier.seasonal, earlier.doubtful)
    wet, unknown, *masks = (around(layer, start, stop, 2 * buffer)[0] for layer in layers)
    _, inner = around(water, start, stop, 2 * buffer)
    wider = [grown(mask, buffer) for mask in masks]
    beside_flood = grown(wet & ~np.logical_or.reduce([unknown, *wider]), buffer)
    for mask, with_buffer in zip(masks, wider, strict=True):
        yield (mask | with_buffer & ~beside_flood)[inner]


def _before(
    evidence: Evidence, settings: DelineateSettings, extent: Rows | None, rows: slice
) -> tuple[Mask, ...]:
    """Permanent, seasonal, uncertain and unknown of some rows, (row, x) bool."""
    shape = (rows.stop - rows.start, evidence.after.shape[1])
    known, water, sometimes, maybe = (np.zeros(shape, dtype=bool) for _ in range(4))
    if evidence.before is not None:
        before = evidence.before[rows]
        known |= before != FloodClass.NODATA.value
        maybe |= known & (before >= settings.before_threshold)
    if extent is not None:
        water |= extent[rows]
    if evidence.occurrence is not None:
        occurrence = evidence.occurrence[rows]
        water |= occurrence >= PERMANENT_OCCURRENCE
        sometimes |= occurrence >= settings.before_threshold
    if evidence.reference is not None:
        reference = evidence.reference[rows]
        known |= reference != FloodClass.NODATA.value
        water |= reference == 1
        maybe &= reference != 0
    return water, sometimes, maybe, ~known


def flood_likelihood(evidence: Evidence) -> Rows:
    """Return how likely a pixel is flooded.

    Returns
    -------
    Rows
        (y, x) uint8 percent, 255 = no data: the probability of water, times that of no water
        before where it is known, and 0 on reference water.
    """

    def read(start: int, stop: int) -> Bytes:
        rows = slice(start, stop)
        after, before, reference = evidence.after[rows], evidence.before, evidence.reference
        found = after if before is None else _likelihoods()[after, before[rows]]
        if reference is None:
            return found
        permanent = (reference[rows] == 1) & (after != FloodClass.NODATA.value)
        return np.where(permanent, np.uint8(0), found)

    height, width = evidence.after.shape
    return ReadRows((height, width), read)


@cache
def _likelihoods() -> Bytes:
    """Likelihood of flood by the percent of water after and before, (256, 256) uint8."""
    after, before = np.meshgrid(*(np.arange(256, dtype=np.float32),) * 2, indexing="ij")
    known = before != FloodClass.NODATA.value
    likelihood = after * (np.where(known, np.float32(100) - before, np.float32(100)) / 100)
    seen = after != FloodClass.NODATA.value
    return np.where(seen, np.rint(np.maximum(likelihood, 0)), FloodClass.NODATA.value).astype("u1")
