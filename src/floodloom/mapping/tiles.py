"""Predicting tiles one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.log import track


def predict_tiles(
    tiles: xr.Dataset,
    ensemble: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    batch: int,
) -> NDArray[np.float32]:
    """Return the probability of class 1 of every tile.

    Parameters
    ----------
    tiles
        Tile store.
    ensemble
        From (n, band, y, x), NaN = no data, to class probabilities (n, class, y, x).
    batch
        Tiles predicted at once.

    Returns
    -------
    ndarray
        (tile, y, x) float32, NaN where there is no data.
    """
    starts = range(0, tiles.sizes["tile"], batch)
    parts = [
        ensemble(tiles.image[start : start + batch].values)[:, 1]
        for start in track(starts, "predicting tiles")
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0, 0), dtype=np.float32)
