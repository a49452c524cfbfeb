"""One threshold for the whole scene, by Otsu.

It needs two classes of like size: where water is a small part of the scene, the threshold lies
within the land.
"""

from __future__ import annotations

import numpy as np

from floodloom.classical.histograms import TileCounts
from floodloom.classical.thresholds import threshold_baseline
from floodloom.classical.two_classes import (
    LEAST_D,
    LogOdds,
    classes_of,
    fit_two_classes,
    otsu_classes,
)


def fit_otsu(tiles: TileCounts) -> LogOdds | None:
    """Return the log-odds by two Gaussians of equal size and width, at whose middle Otsu's is.

    None where the two classes of the whole scene, fitted as they are, aren't apart by Ashman's
    D of 2, or the darker part is too bright for water.
    """
    counts, bins = tiles.whole, tiles.scale.bins
    if np.count_nonzero(counts) < 2:
        return None
    threshold, classes = otsu_classes(counts, bins)
    fitted = classes_of(fit_two_classes(counts[np.newaxis], bins)[0])
    if fitted.ashman_d <= LEAST_D or classes.means[0] > tiles.scale.greatest_mean:
        return None
    return LogOdds.of(classes, bins, threshold)


BASELINE = threshold_baseline(fit_otsu, source="Otsu 1979, IEEE Trans. SMC 9(1), 62-66")
