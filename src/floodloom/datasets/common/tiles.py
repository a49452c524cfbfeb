"""Chips of a data set as tiles."""

from __future__ import annotations

import xarray as xr

from floodloom.datasets.common.adapter import Chips
from floodloom.tiles.store import tile_dataset


def chip_tiles(chips: Chips) -> xr.Dataset:
    """Return chips, which have no place on a grid, as tiles."""
    count = len(chips.names)
    index: dict[str, list[object]] = {
        "tile_id": list(chips.names),
        "event": list(chips.events),
        "scene": list(chips.names),
        "split": list(chips.splits),
        "row": [0] * count,
        "col": [0] * count,
    }
    return tile_dataset(
        chips.image, chips.label, index, chips.recipe, chips.classes, chips.optical, chips.channels
    )
