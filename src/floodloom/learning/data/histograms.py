"""Labelled tiles in the backscatter histogram of a target whose labels aren't known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from floodloom.learning.data.samples import Samples, Tiles, spread_out

_LEVELS = 129
_TILES = 256


@dataclass(frozen=True)
class HistogramMatching:
    """A monotone map of each band that turns one histogram into another.

    `source`, `target` (band, level) float32: the same quantiles of both.
    """

    source: Tensor
    target: Tensor

    def __call__(self, image: Tensor) -> Tensor:
        """Return (tile, band, y, x) images in the target's histogram; no data stays 0."""
        bands = [
            np.interp(image[:, band].cpu().numpy(), self.source[band], self.target[band])
            for band in range(image.shape[1])
        ]
        matched = torch.from_numpy(np.stack(bands, axis=1)).to(image)
        return torch.where(image != 0, matched, image)


def histogram_matching(source: Tiles, target: Tiles) -> HistogramMatching:
    """Return the map from the backscatter of one set of tiles to that of another.

    Parameters
    ----------
    source, target
        Tiles; of many, 256 are looked at, evenly spread. Pixels without data don't count.

    References
    ----------
    Gonzalez and Woods, Digital image processing, histogram specification; as augmentation for
    domain adaptation: Ma (2020), arXiv 2012.13871.
    """
    return HistogramMatching(_quantiles(source), _quantiles(target))


def _quantiles(tiles: Tiles) -> Tensor:
    image = spread_out(tiles, _TILES).image.cpu().numpy()
    levels = np.linspace(0, 1, _LEVELS)
    bands = [
        np.quantile(band[band != 0] if (band != 0).any() else np.zeros(1), levels)
        for band in np.moveaxis(image, 1, 0)
    ]
    return torch.from_numpy(np.stack(bands).astype(np.float32))


@dataclass(frozen=True)
class WithMatched:
    """Tiles, and behind them the first `count` of them once more in another histogram."""

    tiles: Tiles
    count: int
    matching: HistogramMatching

    def __len__(self) -> int:
        return len(self.tiles) + self.count

    def take(self, index: Tensor) -> Samples:
        """Return the tiles of `index` in its order."""
        own = len(self.tiles)
        taken = self.tiles.take(torch.where(index < own, index, index - own))
        again = (index >= own).view(-1, 1, 1, 1).to(taken.image.device)
        image = torch.where(again, self.matching(taken.image), taken.image)
        return replace(taken, image=image)

    def identity(self) -> str:
        """Return a digest of the tiles and of the histograms."""
        digest = hashlib.sha256(self.tiles.identity().encode())
        digest.update(f"{self.count}{self.matching.source}{self.matching.target}".encode())
        return digest.hexdigest()
