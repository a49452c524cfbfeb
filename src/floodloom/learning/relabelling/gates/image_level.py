"""Labels of whole tiles, then the prediction where a tile is known to hold water."""

from __future__ import annotations

import numpy as np

from floodloom.arrays import IGNORE
from floodloom.errors import ConfigError
from floodloom.learning.relabelling.gate import Gate, Labels, Predictions
from floodloom.learning.relabelling.settings import GateSettings


def select_by_tile(predictions: Predictions, settings: GateSettings) -> Labels:
    """Label pixels by what is known of whole tiles.

    In the first round every pixel takes its tile's label; later those of tiles with class 1 take
    the prediction.

    Returns
    -------
    ndarray
        (tile, y, x) uint8; 255 in unknown tiles and where there are no data.

    Raises
    ------
    ConfigError
        If nothing is known of whole tiles.
    """
    tile_label = predictions.tile_label
    if tile_label is None:
        raise ConfigError(
            "gate image-level: the tiles have no label as a whole; give a labels.csv beside the "
            "data, or choose another gate"
        )
    known = np.broadcast_to(tile_label[:, np.newaxis, np.newaxis], predictions.label.shape)
    label = known if predictions.first else np.where(known == 1, predictions.label, known)
    return np.where(predictions.valid, label, np.uint8(IGNORE)).astype(np.uint8)


gate = Gate(select_by_tile)
