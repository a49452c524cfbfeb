"""Which labelled tiles are trained on and which are validated on."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.errors import InputError
from floodloom.learning.data.zarr_tiles import iterate_blocks
from floodloom.log import get_logger
from floodloom.raster.nodata import IGNORE
from floodloom.tiles.leaks import refuse_leaks

_log = get_logger(__name__)
_ENOUGH_BLOCKS = 8


def select(tiles: xr.Dataset, keep: NDArray[np.bool_]) -> xr.Dataset:
    """Return the tiles where `keep` (tile,) is True."""
    return tiles.isel(tile=np.flatnonzero(keep))


def has_labels(tiles: xr.Dataset) -> NDArray[np.bool_]:
    """Return for each tile whether any of its pixels is labelled."""
    known = [(label != IGNORE).any(axis=(1, 2)) for label in iterate_blocks(tiles, "label")]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *known])


def training_and_validation(
    tiles: xr.Dataset, validation_share: float, folds: int | None = None, fold: int = 0
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
    folds, fold
        Validate on the events of this fold of so many instead, and train on those of the others,
        whether they are in the training or the validation split.

    Raises
    ------
    InputError
        If there are fewer events than folds or no such fold, if there is no labelled training
        tile, or only one and none to validate on, or if training and held-out tiles show the same
        place on the same pass.
    """
    if folds is not None:
        tiles = tiles.assign_coords(split=("tile", split_by_fold(tiles, folds, fold)))
    refuse_leaks(tiles)
    split, known = tiles["split"].values, has_labels(tiles)
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


def split_by_fold(tiles: xr.Dataset, folds: int, fold: int) -> NDArray[np.str_]:
    """Put the events of one fold into the validation split and those of the others into training.

    Parameters
    ----------
    tiles
        Tile store with the index columns event and split.
    folds
        Number of folds, at least 2. Events go, the greatest first, to the fold that has the fewest
        labelled tiles so far; the choice depends on the tiles alone.
    fold
        The fold to validate on, from 0.

    Returns
    -------
    ndarray
        (tile,) str splits; tiles that aren't in the training or validation split keep theirs.

    Raises
    ------
    InputError
        If there are fewer events than folds, or no such fold.
    """
    split, event = tiles["split"].values.copy(), tiles["event"].values.astype(str)
    pooled = np.isin(split, ("train", "validation"))
    names, counts = np.unique(event[pooled & has_labels(tiles)], return_counts=True)
    if not 2 <= folds <= len(names) or not 0 <= fold < folds:
        raise InputError(
            f"folds {folds}, fold {fold}: there are {len(names)} labelled events; choose 2 to "
            f"{max(len(names), 2)} folds and a fold from 0 to one less"
        )
    sizes = np.zeros(folds, dtype=np.int64)
    held: set[str] = set()
    for index in np.lexsort((names, -counts)):
        smallest = int(sizes.argmin())
        sizes[smallest] += counts[index]
        if smallest == fold:
            held.add(str(names[index]))
    _log.info("fold %d of %d: validated on %s", fold, folds, ", ".join(sorted(held)))
    changed = np.where(np.isin(event, list(held)), "validation", "train")
    return np.where(pooled, changed, split)


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
    candidates = [
        np.array(ground_blocks(tiles, block)),
        np.asarray(tiles["scene"].values).astype(str),
    ]
    for candidate in candidates:
        if len(np.unique(candidate)) >= _ENOUGH_BLOCKS:
            return candidate
    return np.arange(tiles.sizes["tile"])


def ground_blocks(tiles: xr.Dataset, block: int = 4) -> list[str]:
    """Return for each tile the block of ground that it lies in, `block` tiles wide."""
    side = block * tiles.sizes["y"]
    rows, cols = tiles["row"].values // side, tiles["col"].values // side
    found = zip(tiles["event"].values, rows, cols, strict=True)
    return [f"{event}|{row}|{col}" for event, row, col in found]
