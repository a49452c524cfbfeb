"""Which labelled tiles are trained on and which are validated on."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.metrics import IGNORE
from floodloom.log import get_logger
from floodloom.tiles.leaks import refuse_leaks

_log = get_logger(__name__)
_ENOUGH_BLOCKS = 8


def select(tiles: xr.Dataset, keep: NDArray[np.bool_]) -> xr.Dataset:
    """Return the tiles where `keep` (tile,) is True."""
    return tiles.isel(tile=np.flatnonzero(keep))


def labelled(tiles: xr.Dataset) -> NDArray[np.bool_]:
    """Return for each tile whether any of its pixels is labelled."""
    return np.asarray((tiles["label"].values != IGNORE).any(axis=(1, 2)))


def training_and_validation(
    tiles: xr.Dataset, validation_share: float
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the labelled tiles of the training and of the validation split.

    Parameters
    ----------
    tiles
        Tile store; tiles of other splits are left alone.
    validation_share
        Share of the training tiles held out, by blocks of ground, if no tile is in the validation
        split. The choice depends on the tiles alone, so all members of an ensemble and all rounds
        make the same.

    Raises
    ------
    InputError
        If there is no labelled training tile, or only one and none to validate on, or if training
        and held-out tiles show the same place on the same pass.
    """
    refuse_leaks(tiles)
    split, known = tiles["split"].values, labelled(tiles)
    training = select(tiles, known & (split == "train"))
    validation = select(tiles, known & (split == "validation"))
    if not training.sizes["tile"]:
        raise InputError("tiles: no labelled tile is in the training split; give labelled tiles")
    if validation.sizes["tile"]:
        return training, validation
    held = hold_out(training, validation_share)
    _log.warning(
        "no tile is in the validation split: %d of %d training tiles are held out instead",
        held.sum(),
        len(held),
    )
    return select(training, ~held), select(training, held)


def hold_out(tiles: xr.Dataset, share: float, block: int = 4) -> NDArray[np.bool_]:
    """Choose tiles for validation by blocks of ground, so that neighbours stay together.

    Parameters
    ----------
    tiles
        Tile store with the index columns event, scene, row and col.
    share
        Share of the tiles to hold out, 0-1; at least one block is, and at least one is not.
    block
        Side of a block in tiles. Where that makes fewer than 8 blocks, the scenes, then the tiles
        themselves are the blocks.

    Returns
    -------
    ndarray
        (tile,) bool, True = held out.

    Raises
    ------
    InputError
        If there are fewer than two tiles.
    """
    if tiles.sizes["tile"] < 2:
        raise InputError("tiles: fewer than two labelled training tiles; cut more of them")
    groups = _blocks(tiles, block)
    names = np.unique(groups)
    order = np.random.default_rng(0).permutation(names)
    sizes = np.cumsum([np.count_nonzero(groups == name) for name in order])
    count = int(np.searchsorted(sizes, share * len(groups))) + 1
    return np.isin(groups, order[: min(count, len(names) - 1)])


def _blocks(tiles: xr.Dataset, block: int) -> NDArray[Any]:
    side = block * tiles.sizes["y"]
    rows, cols = tiles["row"].values // side, tiles["col"].values // side
    places = zip(tiles["event"].values, rows, cols, strict=True)
    candidates = [
        np.array([f"{event}|{row}|{col}" for event, row, col in places]),
        np.asarray(tiles["scene"].values).astype(str),
    ]
    for candidate in candidates:
        if len(np.unique(candidate)) >= _ENOUGH_BLOCKS:
            return candidate
    return np.arange(tiles.sizes["tile"])
