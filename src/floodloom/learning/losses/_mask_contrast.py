"""MaskContrast: a loss that needs no labels, but the salient objects of each tile."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mask_contrast(
    query: Tensor,
    key: Tensor,
    mask: Tensor,
    key_mask: Tensor | None = None,
    memory: Tensor | None = None,
    temperature: float = 0.5,
) -> Tensor:
    """Return InfoNCE between object pixels and the objects' prototypes.

    Parameters
    ----------
    query
        (N, D, y, x) embeddings of one view of each tile.
    key
        (N, D, y, x) embeddings of another view, usually by a slowly following copy of the network;
        no gradient flows into them.
    mask, key_mask
        (N, y, x): 1 = salient object, 0 = background, 255 = ignored, of the query's and of the
        key's view; the same where `key_mask` isn't given. Tiles without an object take no part.
    memory
        (M, D) unit vectors of earlier prototypes, further negatives.
    temperature
        T.

    Returns
    -------
    Tensor
        Mean over object pixels of -log softmax of their similarity with their own tile's prototype
        among all prototypes; 0 if there is no object pixel.

    References
    ----------
    Van Gansbeke et al. (2021), arXiv 2102.06191, eq. 3.
    """
    prototype, there = prototypes(key, mask if key_mask is None else key_mask)
    chosen = (mask == 1) & there.view(-1, 1, 1)
    own = torch.nonzero(chosen)[:, 0]
    if not len(own):
        return query.sum() * 0
    pixels = F.normalize(query.float(), dim=1).movedim(1, -1)[chosen]
    known = prototype if memory is None else torch.cat([prototype, memory])
    logits = pixels @ known.T / temperature
    absent = torch.nonzero(~there).squeeze(1)
    logits = logits.index_fill(1, absent, -torch.inf)
    return F.cross_entropy(logits, own)


@torch.no_grad()
def prototypes(key: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean direction (N, D) of each tile's object pixels, and where there are any."""
    inside = (mask == 1).unsqueeze(1)
    summed = (F.normalize(key.float(), dim=1) * inside).sum(dim=(2, 3))
    return F.normalize(summed, dim=1), inside.any(dim=(1, 2, 3))
