"""The hierarchical split-based approach: two Gaussians from bimodal tiles of any size, then growth.

After Chini, Hostache, Giustarini and Matgen (2017), A hierarchical split-based approach for
parametric thresholding of SAR images: flood inundation as a test case, IEEE TGRS 55(12),
6975-6988. What differs: the Gaussians are fitted by expectation and maximisation, not by least
squares; regions grow by the probability of water, from 95 percent down to 50.
"""

from __future__ import annotations

import numpy as np

from floodloom.classical.histograms import TileCounts
from floodloom.classical.thresholds import threshold_baseline
from floodloom.classical.tiles import hierarchical_split
from floodloom.classical.two_classes import LogOdds, classes_of, fit_two_classes


def fit_hierarchical(tiles: TileCounts) -> LogOdds | None:
    """Return the log-odds by two Gaussians of all bimodal tiles together; None without any."""
    counts, chosen = hierarchical_split(tiles)
    if not chosen:
        return None
    bins = tiles.scale.bins
    classes = classes_of(fit_two_classes(counts[np.newaxis], bins)[0])
    return LogOdds.of(classes, bins, classes.crossing)


BASELINE = threshold_baseline(
    fit_hierarchical, source="Chini et al. 2017, IEEE TGRS 55(12), 6975-6988", grows=True
)
