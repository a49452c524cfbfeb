"""Salient dark regions: the objects of radar images, known without any label.

Where the backscatter of a tile falls into two levels, as over water and land, what is at the lower
one stands out. It is the tile's own contrast that decides, no level in decibel: fields, roads and
shadow that are dark among bright surroundings are salient, too, and a tile of water alone is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.sentinel1.bands import POLARISATIONS

_WINDOW = 5  # px, of the mean against speckle
_BINS = 64
SEPARABLE = 0.75
"""Least share of the variance that is between both levels, Otsu's measure of separability: of one
normal distribution, cut in the middle, it is 2/pi = .64, of two that hardly overlap .8 and more."""


def polarised(bands: Sequence[str]) -> list[int]:
    """Return which bands are backscatter of the date itself; all if none is named so."""
    return [at for at, band in enumerate(bands) if band in POLARISATIONS] or list(range(len(bands)))


def dark_regions(image: Tensor, valid: Tensor, bands: Sequence[int]) -> Tensor:
    """Return which pixels belong to salient dark regions.

    Parameters
    ----------
    image
        (tile, band, y, x) float32, backscatter in dB or standardised, in any linear scaling.
    valid
        (tile, band, y, x) bool, where there are data.
    bands
        Those of backscatter.

    Returns
    -------
    Tensor
        (tile, y, x) uint8: 1 = dark, 0 = not, 255 = a band has no data. A tile of one level has no
        dark region.

    References
    ----------
    Otsu (1979), IEEE Transactions on Systems, Man, and Cybernetics 9(1), 62-66.
    """
    inside = valid[:, list(bands)].all(dim=1)
    level = _smooth_level(image[:, list(bands)].float(), inside)
    found = torch.zeros_like(inside, dtype=torch.uint8)
    for tile, (values, known) in enumerate(zip(level, inside, strict=True)):
        limit = _split(values[known])
        if limit is not None:
            found[tile] = (values <= limit).to(torch.uint8)
    return found.masked_fill(~inside, IGNORE)


def _smooth_level(image: Tensor, inside: Tensor) -> Tensor:
    """Return the mean of the bands, each standardised by its tile, over windows with data."""
    weight = inside.unsqueeze(1).float()
    count = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    middle = (image * weight).sum(dim=(2, 3), keepdim=True) / count
    centred = (image - middle) * weight
    spread = (centred.square().sum(dim=(2, 3), keepdim=True) / count).sqrt().clamp(min=1e-6)
    level = (centred / spread).mean(dim=1, keepdim=True)
    total = F.avg_pool2d(level, _WINDOW, 1, _WINDOW // 2)
    share = F.avg_pool2d(weight, _WINDOW, 1, _WINDOW // 2).clamp(min=1e-6)
    return (total / share)[:, 0]


def _split(values: Tensor) -> float | None:
    """Return the upper end of the lower of two levels; None if there is one level alone."""
    if len(values) < 2 or float(values.max() - values.min()) <= 0:
        return None
    low, high = float(values.min()), float(values.max())
    counts = torch.histc(values.cpu(), _BINS, low, high).double()
    edges = torch.linspace(low, high, _BINS + 1, dtype=torch.float64)
    centres = (edges[1:] + edges[:-1]) / 2
    share = counts.cumsum(0) / counts.sum()
    moment = (counts * centres).cumsum(0) / counts.sum()
    mean, below = moment[-1], share[:-1]
    between = (mean * below - moment[:-1]).square() / (below * (1 - below)).clamp(min=1e-12)
    variance = (counts * (centres - mean).square()).sum() / counts.sum()
    best = int(between.argmax())
    if float(between[best]) < SEPARABLE * float(variance):
        return None
    return float(edges[best + 1])
