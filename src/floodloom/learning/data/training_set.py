"""What a training sees: labelled tiles, and maybe others, with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import xarray as xr

from floodloom.learning.data.samples import Tiles
from floodloom.learning.data.zarr_tiles import radar_tiles
from floodloom.tiles.store import concatenate_tiles


@dataclass(frozen=True)
class Material:
    """What is trained on, which of it has no true label, and that part alone."""

    tiles: Tiles
    pseudo: torch.Tensor | None = None
    target: Tiles | None = None


def gather(training: xr.Dataset, extra: xr.Dataset | None, memory_gib: float) -> Material:
    """Put labelled and pseudo-labelled tiles together.

    Parameters
    ----------
    training, extra
        Selections from what `zarr_tiles.located` returned; the latter may be None.
    memory_gib
        Tiles that take more are read from disk, GiB.
    """
    if extra is None:
        return Material(radar_tiles(training, memory_gib))
    tiles = radar_tiles(concatenate_tiles([training, extra]), memory_gib)
    pseudo = torch.arange(len(tiles)) >= training.sizes["tile"]
    return Material(tiles, pseudo, radar_tiles(extra, memory_gib))
