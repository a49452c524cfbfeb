"""New water, by the drop of backscatter since the scene before.

The log-ratio of both dates (the difference of decibel, or of standardised display values) is split
as `hsba` splits backscatter, as Chini et al. (2017) do with changes, too. Permanent water hasn't
changed, so it isn't found.
"""

from __future__ import annotations

from floodloom.classical.baselines.hsba import fit_hierarchical
from floodloom.classical.thresholds import threshold_baseline

BASELINE = threshold_baseline(
    fit_hierarchical,
    source="Chini et al. 2017, IEEE TGRS 55(12), 6975-6988; log-ratio: Rignot and van Zyl 1993, "
    "IEEE TGRS 31(4), 896-906",
    grows=True,
    compares_dates=True,
)
