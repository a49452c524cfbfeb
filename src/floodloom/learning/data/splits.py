"""Which tiles are trained on and which are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.learning.data.zarr_tiles import iterate_blocks, replace_labels
from floodloom.log import get_logger
from floodloom.tiles.store import refuse_leaks

_log = get_logger(__name__)
_ENOUGH_BLOCKS = 8


def select(tiles: xr.Dataset, keep: NDArray[np.bool_]) -> xr.Dataset:
    """Return the tiles where `keep` (tile,) is True."""
    return tiles.isel(tile=np.flatnonzero(keep))


def has_labels(tiles: xr.Dataset) -> NDArray[np.bool_]:
    """Return for each tile whether any of its pixels is labelled."""
    known = [(label != IGNORE).any(axis=(1, 2)) for label in iterate_blocks(tiles, "label")]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *known])


_OF_IMAGES = "labels_of_images"  # attribute of tiles whose labels are those of whole tiles


def labelled_as_a_whole(tiles: xr.Dataset) -> bool:
    """Whether no pixel is labelled, so that each has the label of its tile."""
    return bool(tiles.attrs.get(_OF_IMAGES, False))


def with_labels_of_images(tiles: xr.Dataset) -> xr.Dataset:
    """Return tiles whose pixels have their tile's label, if there are no others.

    Where no pixel of any training tile is labelled, but some tiles are as a whole (the column
    `tile_label`), every pixel of these takes that label; of validation tiles only where none of
    them has labelled pixels. Else the tiles are returned as they are.
    """
    if "tile_label" not in tiles.coords:
        return tiles
    split, whole, known = tiles["split"].values, tiles["tile_label"].values, has_labels(tiles)
    if (known & (split == "train")).any() or not ((whole != IGNORE) & (split == "train")).any():
        return tiles
    taking = (whole != IGNORE) & (split == "train")
    if not (known & (split == "validation")).any():
        taking |= (whole != IGNORE) & (split == "validation")
    _log.warning("no training pixel is labelled: each takes the label of its tile")
    label = np.concatenate(list(iterate_blocks(tiles, "label")))
    label[taking] = whole[taking, np.newaxis, np.newaxis]
    return replace_labels(tiles, label).assign_attrs({_OF_IMAGES: 1})


_HELD_OUT = 0.2
"""Share of the training tiles that is held out where none is in the validation split."""


def training_and_validation(tiles: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the labelled tiles of the training and of the validation split.

    If no tile is in the validation split, a fifth of the training tiles is held out by blocks of
    ground. The choice depends on the tiles alone, so all members of an ensemble and all rounds make
    the same. Without labelled pixels tiles have the label of their image, see
    `with_labels_of_images`.

    Parameters
    ----------
    tiles
        Tile store; tiles of other splits are left alone.

    Raises
    ------
    InputError
        If there is no labelled training tile, or only one and none to validate on, or if training
        and held-out tiles show the same place on the same pass.
    """
    refuse_leaks(tiles)
    tiles = with_labels_of_images(tiles)
    split, known = tiles["split"].values, has_labels(tiles)
    training = select(tiles, known & (split == "train"))
    validation = select(tiles, known & (split == "validation"))
    if not training.sizes["tile"]:
        raise InputError("tiles: no labelled tile is in the training split; give labelled tiles")
    if validation.sizes["tile"]:
        return training, validation
    held = hold_out(training, _HELD_OUT)
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
