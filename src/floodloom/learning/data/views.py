"""Tiles as they are wanted, changed or chosen, whether they lie in memory or on disk.

On tiles in memory everything is done at once, on others when they are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from floodloom.learning.data.samples import Samples, Tiles
from floodloom.raster.nodata import IGNORE

View = Callable[[Samples], Samples]
"""A change of tiles that leaves their number and their order."""
_AT_ONCE = 64


def viewed(tiles: Tiles, view: View) -> Tiles:
    """Return tiles as `view` shows them."""
    return view(tiles) if isinstance(tiles, Samples) else _Viewed(tiles, view)


def chosen(tiles: Tiles, index: Tensor) -> Tiles:
    """Return the tiles of `index` (N,) int64 in its order."""
    return tiles.take(index) if isinstance(tiles, Samples) else _Chosen(tiles, index)


def labelled(tiles: Tiles) -> Tensor:
    """Return (N,) int64, the numbers of the tiles of which any pixel is labelled."""
    parts = torch.split(torch.arange(len(tiles)), _AT_ONCE)
    known = [(tiles.take(part).label != IGNORE).any(dim=(1, 2)) for part in parts if len(part)]
    return torch.nonzero(torch.cat([torch.zeros(0, dtype=torch.bool), *known]))[:, 0]


@dataclass(frozen=True)
class _Viewed:
    tiles: Tiles
    view: View

    def __len__(self) -> int:
        return len(self.tiles)

    def take(self, index: Tensor) -> Samples:
        return self.view(self.tiles.take(index))

    def identity(self) -> str:
        return self.tiles.identity()


@dataclass(frozen=True)
class _Chosen:
    tiles: Tiles
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: Tensor) -> Samples:
        return self.tiles.take(self.index[index])

    def identity(self) -> str:
        text = f"{self.tiles.identity()}{self.index.tolist()}"
        return hashlib.sha256(text.encode()).hexdigest()
