"""No labels at all, for tiles that are learnt from by consistency alone."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import IGNORE
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.settings import GateSettings


def select_none(predictions: Predictions, settings: GateSettings) -> Labels:
    """Return (tile, y, x) uint8 that is 255 everywhere."""
    return np.full(predictions.label.shape, IGNORE, dtype=np.uint8)


gate = Gate(select_none, by_consistency=True)
