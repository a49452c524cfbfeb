"""Scores of maps: counts summed over everything and divided once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from floodloom.learning.metrics.pixels import Counts, count, ratio
from floodloom.raster.nodata import IGNORE, NODATA
from floodloom.raster.product import FloodClass


@dataclass(frozen=True)
class PairScores:
    """What comparing maps with truths gives; the scores of several pairs add up.

    `flood` and `water` are counts; `known` is the number of pixels with truth, `excluded` and
    `nodata` that of those among them that the map excludes or has no data for; `permanent` is the
    number of pixels of true permanent water that the map has data for, `called_flood` that of those
    among them that it calls flood.
    """

    flood: Counts = field(default_factory=Counts)
    water: Counts = field(default_factory=Counts)
    known: int = 0
    excluded: int = 0
    nodata: int = 0
    permanent: int = 0
    called_flood: int = 0

    def __add__(self, other: PairScores) -> PairScores:
        return PairScores(
            self.flood + other.flood,
            self.water + other.water,
            self.known + other.known,
            self.excluded + other.excluded,
            self.nodata + other.nodata,
            self.permanent + other.permanent,
            self.called_flood + other.called_flood,
        )

    @property
    def scored(self) -> int:
        """Pixels with truth that the map has data for."""
        return self.known - self.nodata

    def as_dict(self) -> dict[str, object]:
        """Return both classes' scores, the shares of the known ground that are undecided, and the
        share of permanent water that is called flood; None where there isn't any.
        """
        mistaken = round(ratio(self.called_flood, self.permanent), 6) if self.permanent else None
        return {
            "flood": self.flood.scores(),
            "water": self.water.scores(),
            "undecided": {
                "excluded": round(ratio(self.excluded, self.known), 6),
                "nodata": round(ratio(self.nodata, self.known), 6),
            },
            "permanent_water": {"pixels": self.permanent, "called_flood": mistaken},
        }


def score_map(classes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> PairScores:
    """Compare a flood map with the truth.

    Parameters
    ----------
    classes
        (y, x) uint8 flood map, see `FloodClass`.
    truth
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown.

    Returns
    -------
    PairScores
        Of `flood` (class 2) and `water` (1 or 2). Pixels without data or truth aren't counted.
        Excluded pixels are counted as "no water": flood that the map leaves out is missed, whatever
        the reason.
    """
    known = truth != IGNORE
    missing = classes == FloodClass.NODATA.value
    excluded = classes == FloodClass.EXCLUDED.value
    permanent = (truth == FloodClass.PERMANENT.value) & ~missing
    wet = (FloodClass.PERMANENT.value, FloodClass.FLOOD.value)
    return PairScores(
        flood=count(classes == FloodClass.FLOOD.value, truth == 2, known & ~missing),
        water=count(np.isin(classes, wet), np.isin(truth, wet), known & ~missing),
        known=int(known.sum()),
        excluded=int((excluded & known).sum()),
        nodata=int((missing & known).sum()),
        permanent=int(permanent.sum()),
        called_flood=int((permanent & (classes == FloodClass.FLOOD.value)).sum()),
    )


def score_probability(percent: NDArray[np.uint8], truth: NDArray[np.uint8]) -> PairScores:
    """Compare a probability mosaic with the truth; a pixel is water from 50 %.

    Parameters
    ----------
    percent
        (y, x) uint8 percent of water, 255 = no data.
    truth
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown; or 0 and 1 alone.

    Returns
    -------
    PairScores
        `water` against 1 or 2. `flood` against 2, with permanent water not counted, because a
        probability of water can't separate the two; where the truth has no 2, it is `water`.
    """
    known, missing = truth != IGNORE, percent == NODATA
    wet, scored = (percent >= 50) & ~missing, known & ~missing
    water = count(wet, (truth == 1) | (truth == 2), scored)
    separate = bool((truth == 2).any())
    return PairScores(
        flood=count(wet, truth == 2, scored & (truth != 1)) if separate else water,
        water=water,
        known=int(known.sum()),
        nodata=int((missing & known).sum()),
    )
