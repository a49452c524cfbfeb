"""What a training sees: labelled tiles, and maybe others, with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import xarray as xr

from floodloom.learning.data.histograms import WithMatched, histogram_matching
from floodloom.learning.data.samples import Tiles
from floodloom.learning.data.splits import places
from floodloom.learning.data.zarr_tiles import radar_tiles
from floodloom.tiles.store import concatenate_tiles


@dataclass(frozen=True)
class Material:
    """What is trained on, where it lies, which of it has no true label, and that part alone."""

    tiles: Tiles
    places: list[str]
    pseudo: torch.Tensor | None = None
    target: Tiles | None = None


def gather(
    training: xr.Dataset, extra: xr.Dataset | None, memory_gib: float, *, match: bool = False
) -> Material:
    """Put labelled and pseudo-labelled tiles together.

    Parameters
    ----------
    training, extra
        Selections from what `zarr_tiles.located` returned; the latter may be None.
    memory_gib
        Tiles that take more are read from disk, GiB.
    match
        Add the labelled tiles once more in the histogram of the pseudo-labelled ones.
    """
    if extra is None:
        return Material(radar_tiles(training, memory_gib), places(training))
    together = concatenate_tiles([training, extra])
    tiles, where = radar_tiles(together, memory_gib), places(together)
    target = radar_tiles(extra, memory_gib)
    known = training.sizes["tile"]
    pseudo = torch.arange(len(tiles)) >= known
    if not match:
        return Material(tiles, where, pseudo, target)
    matching = histogram_matching(radar_tiles(training, memory_gib), target)
    again = torch.zeros(known, dtype=torch.bool)
    matched = WithMatched(tiles, known, matching)
    return Material(matched, [*where, *where[:known]], torch.cat([pseudo, again]), target)
