"""One threshold for the whole scene, by Kittler and Illingworth, from tiles that hold two classes.

Tiles of one size make a histogram with a valley where water is a small part of the scene (Martinis,
Twele and Voigt 2009, NHESS 9, 303-314).
"""

from __future__ import annotations

import numpy as np

from floodloom.classical.histograms import TILE, TileCounts
from floodloom.classical.thresholds import threshold_baseline
from floodloom.classical.tiles import bimodal_tiles
from floodloom.classical.two_classes import (
    LogOdds,
    classes_of,
    fit_two_classes,
    minimum_error_classes,
)

_SIDE = 256  # px


def fit_minimum_error(tiles: TileCounts) -> LogOdds | None:
    """Return the log-odds by the two sides of the threshold of the least error.

    It is found in the histogram of all bimodal tiles of 256 px together; None without any.
    """
    larger = tiles.merged(_SIDE // TILE)
    found = bimodal_tiles(larger)
    if not found.any():
        return None
    counts = larger.counts[found].sum(axis=0, dtype=np.uint32)
    bins = tiles.scale.bins
    between = classes_of(fit_two_classes(counts[np.newaxis], bins)[0]).means
    threshold, classes = minimum_error_classes(counts, bins, between)
    return LogOdds.of(classes, bins, threshold)


BASELINE = threshold_baseline(
    fit_minimum_error, source="Kittler and Illingworth 1986, Pattern Recognition 19(1), 41-47"
)
