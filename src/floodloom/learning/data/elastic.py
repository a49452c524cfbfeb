"""Tiles turned by any angle and bent, as Paul and Ganju (2021) augment them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.learning.data.samples import Samples

if TYPE_CHECKING:
    from floodloom.learning.data.augmentation import Draws

# The authors' numbers, px on tiles of 256 px.
ALPHA, SIGMA, AFFINE = 120.0, 6.0, 3.6
_TURNED = 0.5
_TURN = math.radians(270)
_WHOLE = 0.999  # of what a pixel is interpolated from must have data


def bend(batch: Samples, draws: Draws, probability: float) -> Samples:
    """Turn half of the tiles by any angle, and bend some.

    Parameters
    ----------
    batch
        Tiles; what lies on the ground moves alike. Beyond their borders they are mirrored. Numbers
        are interpolated linearly, labels are those of the nearest pixel.
    draws
        Random numbers of the tiles.
    probability
        That a tile is bent.

    Returns
    -------
    Samples
        What has no data of its own after that, or is interpolated from such, has none.

    References
    ----------
    Simard, Steinkraus and Platt (2003), Best practices for convolutional neural networks, section
    2; size and frequency as in the code of Paul and Ganju (2021), arXiv 2107.08369.
    """
    height, width = batch.label.shape[-2:]
    bent, turned, angle = draws.uniform(3).T
    corners = draws.uniform(3, 2) * 2 - 1
    noise = draws.uniform(2, height, width) * 2 - 1

    bent, turned = bent < probability, turned < _TURNED
    moved = torch.nonzero(bent | turned).flatten()
    if not len(moved):
        return batch
    angle = torch.where(turned, _TURN * (2 * angle - 1), 0.0)[moved]
    amount = bent.float()[moved].view(-1, 1, 1)
    affine = _affine(AFFINE * amount * corners[moved], height, width)
    shift = ALPHA * amount.unsqueeze(-1) * _smoothed(noise[moved])
    return _resampled(batch, moved, _places(shift, _rotation(angle) @ affine))


def _rotation(angle: Tensor) -> Tensor:
    """Return (tile, 2, 2); places count from the middle."""
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)


def _affine(moves: Tensor, height: int, width: int) -> Tensor:
    """Return the maps (tile, 2, 3) that move three points about the middle by `moves` (y, x) px."""
    side = min(height, width) // 3
    points = torch.tensor([[side, side], [side, -side], [-side, -side]], dtype=torch.float32)
    known = torch.cat([points, torch.ones(3, 1)], dim=1)
    maps: Tensor = torch.linalg.solve(known, points + moves).transpose(1, 2)
    return maps


def _smoothed(noise: Tensor) -> Tensor:
    reach = round(4 * SIGMA)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    count, axes, height, width = noise.shape
    padded = F.pad(noise.view(-1, 1, height, width), (reach,) * 4, mode="replicate")
    smooth = F.conv2d(F.conv2d(padded, kernel), kernel.transpose(2, 3))
    return smooth.view(count, axes, height, width)


def _places(shift: Tensor, affine: Tensor) -> Tensor:
    """Return where (tile, y, x, 2) pixels come from, x first, in -1..1 from border to border."""
    height, width = shift.shape[-2:]
    rows = torch.arange(height) - (height - 1) / 2
    cols = torch.arange(width) - (width - 1) / 2
    straight = torch.stack(torch.meshgrid(rows, cols, indexing="ij"))
    known = torch.cat([straight + shift, torch.ones_like(shift[:, :1])], dim=1)
    place = torch.einsum("tij,tjyx->tyxi", affine, known).flip(-1)
    return place * torch.tensor([2 / width, 2 / height])


def _resampled(batch: Samples, moved: Tensor, places: Tensor) -> Samples:
    """Return the batch with the tiles `moved` taken from their `places`."""
    grid = places.to(batch.image.device)

    def taken(tensor: Tensor) -> Tensor:
        part = tensor[moved.to(tensor.device)]
        values = part.float() if part.ndim == 4 else part.float().unsqueeze(1)
        mode = "nearest" if part.dtype == torch.uint8 else "bilinear"
        found = F.grid_sample(values, grid, mode, "reflection", align_corners=False)
        found = found if part.ndim == 4 else found[:, 0]
        return found > _WHOLE if part.dtype == torch.bool else found.to(part.dtype)

    changed = batch.map_rasters(taken)
    valid = changed.valid
    image = torch.where(valid, changed.image, 0.0)
    label = torch.where(valid.all(dim=1), changed.label, IGNORE)
    changed = replace(changed, image=image, label=label)

    def put(ours: Tensor, theirs: Tensor) -> Tensor:
        together = ours.clone()
        together[moved.to(ours.device)] = theirs.to(ours.dtype)
        return together

    return batch.map_rasters(put, changed)
