"""Distilling across a small shift between a radar and an optical image.

A pair is off by one and the same shift everywhere, so it is looked for once per tile: the teacher's
classes are moved over the student's until they agree best, and everything that the teacher says is
then moved alike.
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

_BETTER = 0.7  # a shift must bring the divergence below this share of the unshifted one


@torch.no_grad()
def best_shift(logits: Tensor, target: Tensor, weight: Tensor, reach: int) -> Tensor:
    """Return the shift that brings the teacher's classes onto the student's.

    Parameters
    ----------
    logits, target
        (N, class, y, x) of student and teacher.
    weight
        (N, y, x) float, of the teacher's pixels.
    reach
        Greatest shift to either side, px; 0 looks for none.

    Returns
    -------
    Tensor
        (N, 2) int64 on the CPU: pixels down and right; 0 unless another shift is clearly better.
    """
    ours = F.log_softmax(logits.float(), dim=1)
    theirs = F.softmax(target.float(), dim=1)
    entropy = -(theirs * theirs.clamp(min=1e-7).log()).sum(dim=1)
    inner = (..., slice(reach, -reach or None), slice(reach, -reach or None))
    offsets = list(product(range(-reach, reach + 1), repeat=2))
    divergence = []
    for offset in offsets:
        moved = theirs.roll(offset, dims=(-2, -1))
        share = weight.roll(offset, dims=(-2, -1))[inner]
        cross = -(moved * ours).sum(dim=1) - entropy.roll(offset, dims=(-2, -1))
        divergence.append((cross[inner] * share).sum((-2, -1)) / share.sum((-2, -1)).clamp(min=1))
    table = torch.stack(divergence)  # (offset, N)
    lowest, at = table.min(dim=0)
    none = table[offsets.index((0, 0))]
    found = torch.tensor(offsets)[at.cpu()]
    return torch.where((lowest < _BETTER * none).cpu().unsqueeze(1), found, 0)


def moved(tensor: Tensor, shift: Tensor, scale: float = 1.0) -> Tensor:
    """Move each tile of (N, ..., y, x) by its shift (N, 2) px, divided by `scale` and rounded.

    What comes in at the rim is 0.
    """
    if not bool(shift.any()):
        return tensor
    height, width = tensor.shape[-2:]
    result = torch.zeros_like(tensor)
    for tile, (down, right) in enumerate((shift / scale).round().long().tolist()):
        rows, cols = (
            slice(max(down, 0), height + min(down, 0)),
            slice(max(right, 0), width + min(right, 0)),
        )
        from_rows = slice(max(-down, 0), height - max(down, 0))
        from_cols = slice(max(-right, 0), width - max(right, 0))
        result[tile, ..., rows, cols] = tensor[tile, ..., from_rows, from_cols]
    return result
