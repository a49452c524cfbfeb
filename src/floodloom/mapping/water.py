"""Water on a date, and on several: threshold, refinement and the minimum mapping unit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.mapping.refine import PRESETS, CrfSettings, dense_crf, in_strips, majority
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.areas import PixelAreas
from floodloom.raster.rows import STRIP, ReadRows, Rows, StoredMask, around, by_strips
from floodloom.raster.sieve import Sieve

_MAJORITY_WINDOW = 3  # px
_CRF_SIDE = 2048


@dataclass(frozen=True)
class Pace:
    """How a map is worked through, which changes nothing of it.

    `rows` of a strip, and `threads` that work on strips: as many are in memory, so few are used.
    """

    rows: int = STRIP
    threads: int = 1


USUAL = Pace()


def water_extent(
    percent: Rows,
    settings: DelineateSettings,
    areas: PixelAreas,
    decibel: Rows | None = None,
    pace: Pace = USUAL,
) -> StoredMask:
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
    pace
        How it is worked through.
    """
    sieve = Sieve(areas, minimum_area(settings, areas))
    crf = PRESETS.get(settings.refine)
    rows = pace.rows if crf is None else max(pace.rows, _CRF_SIDE)

    def part(start: int, stop: int) -> Bytes:
        further = _MAJORITY_WINDOW // 2 if settings.refine == "majority" else 0
        values, inner = around(percent, start, stop, further if crf is None else crf.reach)
        seen = values != NODATA
        water = seen & (values >= settings.threshold)
        if crf is not None:
            levels = None if decibel is None else around(decibel, start, stop, crf.reach)[0]
            water = seen & (_refined(values, crf, levels) >= settings.threshold / 100)
        elif settings.refine == "majority":
            water = majority(water, seen, _MAJORITY_WINDOW)
        return np.asarray(np.add(water[inner], seen[inner], dtype=np.uint8))  # land 1, water 2

    for _, values in by_strips(part, percent.shape[0], rows=rows, threads=1):
        sieve.add(values)
    return sieve.finish()


def minimum_area(settings: DelineateSettings, areas: PixelAreas) -> float:
    """Return the area of the smallest patch in the unit of the pixels' areas."""
    return settings.minimum_mapping_unit * areas.hectare


def _refined(percent: Bytes, settings: CrfSettings, decibel: Floats | None) -> Floats:
    missing = percent == NODATA
    probability = np.where(missing, np.nan, percent / np.float32(100)).astype(np.float32)
    rasters = (probability,) if decibel is None else (probability, decibel)

    def refined(part: Floats, levels: Floats | None = None) -> Floats:
        return dense_crf(part, settings, levels)

    return in_strips(refined, *rasters, reach=settings.reach, side=_CRF_SIDE)


def water_occurrence(
    dates: Sequence[tuple[Rows, Rows | None]],
    settings: DelineateSettings,
    areas: PixelAreas,
    pace: Pace = USUAL,
) -> Rows:
    """Return the percent of the dates before a flood on which there was water.

    Source: the occurrence of water of Pekel et al., High-resolution mapping of global surface water
    and its long-term changes, Nature 540 (2016) 418-422.

    Parameters
    ----------
    dates
        Of each date percent of water, (y, x) uint8, 255 = no data, and its backscatter, (y, x)
        float32, dB, or None; one date or more.
    settings, areas, pace
        How water is separated from land on each, as after the flood.

    Returns
    -------
    Rows
        (y, x) float32, 0-100: of the dates that saw a pixel; NaN where none did.
    """
    height, width = dates[0][0].shape

    def extent(date: tuple[Rows, Rows | None]) -> tuple[StoredMask, StoredMask]:
        return water_extent(date[0], settings, areas, date[1], pace), _seen(date[0], pace)

    with ThreadPoolExecutor(pace.threads) as pool:
        found = list(pool.map(extent, dates))

    def read(start: int, stop: int) -> Floats:
        wet, known = (np.zeros((stop - start, width), dtype=np.uint16) for _ in range(2))
        for water, seen in found:
            wet += water[start:stop]
            known += seen[start:stop]
        share = np.float32(100) * wet / np.maximum(known, 1)
        return np.where(known > 0, share, np.nan).astype(np.float32)

    return ReadRows((height, width), read)


def _seen(percent: Rows, pace: Pace) -> StoredMask:
    height, width = percent.shape
    found = StoredMask(width)
    for _, part in by_strips(lambda a, b: percent[a:b], height, rows=pace.rows):
        found.append(part != NODATA)
    return found
