"""Splitting one scene into blocks of ground, where there is no second event to hold out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

BLOCK_SPLITS = ("train", "validation", "test")


def split_blocks(tiles: xr.Dataset, shares: Sequence[float]) -> xr.Dataset:
    """Split tiles from west to east: training, validation and test ground lie side by side.

    Weaker than holding out events (one storm, one sensor setting), and named so wherever it is
    reported, but no pixel is on two sides: tiles that reach over a border are left out.

    Parameters
    ----------
    tiles
        Tiles of one scene with the index column `col`.
    shares
        Shares of the tiles for training, validation and test; they sum to 1.

    Returns
    -------
    xr.Dataset
        The tiles with their `split` set, without those on a border.
    """
    if tiles.sizes["tile"] == 0:
        return tiles
    left = tiles.col.values
    right = left + tiles.sizes["x"]
    borders = np.quantile(left, [shares[0], shares[0] + shares[1]], method="lower")
    part = np.searchsorted(borders, left, side="right")
    whole = np.searchsorted(borders, right - 1, side="right") == part
    split = np.asarray(BLOCK_SPLITS)[part]
    return tiles.assign_coords(split=("tile", split)).isel(tile=np.flatnonzero(whole))
