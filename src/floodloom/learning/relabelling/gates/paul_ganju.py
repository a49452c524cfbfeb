"""The tile gate of Paul and Ganju (2021), arXiv 2107.08369: whole tiles that are mostly sure."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import IGNORE
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.settings import GateSettings

_CONFIDENCE = 0.95
_SHARE = 0.90


def select_tiles(predictions: Predictions, settings: GateSettings) -> Labels:
    """Label whole tiles of which more than 90 % of the pixels are more confident than 0.95.

    Returns
    -------
    ndarray
        (tile, y, x) uint8; all pixels with data of a kept tile, 255 elsewhere.
    """
    valid = predictions.valid
    sure = (np.nan_to_num(predictions.confidence) > _CONFIDENCE).sum(axis=(1, 2))
    kept = sure > _SHARE * np.maximum(valid.sum(axis=(1, 2)), 1)
    return np.where(valid & kept[:, np.newaxis, np.newaxis], predictions.label, np.uint8(IGNORE))


gate = Gate(select_tiles)
