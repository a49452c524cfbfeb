"""Refusing splits that share ground: what is validated on must not have been trained on."""

from __future__ import annotations

import numpy as np
import shapely
import xarray as xr

from floodloom.errors import InputError


def refuse_leaks(tiles: xr.Dataset) -> None:
    """Check that no place seen on one pass lies both in the training split and outside it.

    Parameters
    ----------
    tiles
        Tile store with the index columns split, orbit_pass, left, bottom, right, top (degrees;
        NaN for tiles without georeference, which can't be checked).

    Raises
    ------
    InputError
        Naming the first pair of tiles that overlap.
    """
    if "left" not in tiles.coords:
        return
    left, bottom, right, top = (tiles[side].values for side in ("left", "bottom", "right", "top"))
    known = np.isfinite(left)
    training = np.flatnonzero(known & (tiles.split.values == "train"))
    held_out = np.flatnonzero(known & np.isin(tiles.split.values, ["validation", "test"]))
    boxes = shapely.box(left, bottom, right, top)
    tree = shapely.STRtree(boxes[training])
    for one, other in tree.query(boxes[held_out], predicate="overlaps").T:
        first, second = training[other], held_out[one]
        if tiles.orbit_pass.values[first] == tiles.orbit_pass.values[second]:
            raise InputError(
                f"split: training tile {tiles.tile_id.values[first]} and "
                f"{tiles.split.values[second]} tile {tiles.tile_id.values[second]} show the same "
                "place on the same pass; put their events on one side"
            )
