"""Domain adaptation: labelled tiles in the target's backscatter, and the target's batch statistics.

Nothing here reads a label of the target, and what becomes of it still has to pass the guard.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data import Samples, Tiles
from floodloom.learning.device import default_device
from floodloom.learning.guard import Guard
from floodloom.learning.relabel import out_of_limits

_LEVELS = 129
_TILES = 256
_REHEARSED_FALL = 0.05
_MOVED = 2.0  # times as far as held-out tiles; a share of water moves the means less


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
    index = torch.linspace(0, len(tiles) - 1, min(len(tiles), _TILES)).long()
    image = tiles.take(index).image.cpu().numpy()
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


def adapted(
    checkpoint: Checkpoint,
    target: Tiles,
    guard: Guard,
    share: float = 0.75,
    *,
    known: Checkpoint | None = None,
) -> Checkpoint:
    """Return a checkpoint with the batch statistics of other tiles, if that does no harm.

    Held-out labels can't judge a network with the target's statistics, but they can judge the step
    itself: the same is done with the held-out tiles, and if their IoU falls by more than 0.05
    there, it isn't trusted on the target either. Where a sensor's offset has changed, re-estimation
    repairs most of it; where none has, or each tile has been standardised, it does harm, as another
    share of water passes for another sensor. So it isn't done unless the means of the target lie
    twice as far from what the network knew as those of the held-out tiles.

    Parameters
    ----------
    checkpoint
        A network; without batch normalisation it stays as it is.
    target
        Tiles whose labels aren't looked at.
    guard
        Held-out tiles and limits; the share of water on `target` must keep to its band.
    share
        Of the target's statistics, see `with_statistics_of`.
    known
        What knows the labelled ground alone and so can tell whether the target is from another
        sensor; a network that has learnt from the target lies between the two. The checkpoint
        itself by default.

    Returns
    -------
    Checkpoint
        Its note `batch_statistics` says what was found and which statistics were kept.
    """

    def re_estimated(one: Checkpoint) -> list[Checkpoint]:
        both = (target, guard.validation)
        return [with_statistics_of(one, tiles, share, guard.batch) for tiles in both]

    changed, rehearsed = re_estimated(checkpoint)
    was, now = guard.validation_iou(checkpoint), guard.validation_iou(rehearsed)
    shift = guard.shift(checkpoint, changed, target)
    reason = out_of_limits(shift["water_share"], None, guard.limits)
    others = (changed, rehearsed) if known is None else re_estimated(known)
    here, there = (moved_means(known or checkpoint, other) for other in others)
    if here < _MOVED * there:
        reason = (
            f"the target's means lie {here / there:.1f} times as far from the network's as those "
            "of held-out tiles, so its sensor is no other"
        )
    if now < was - _REHEARSED_FALL:
        reason = f"re-estimated on held-out tiles, their IoU fell from {was:.4f} to {now:.4f}"
    found = {
        "held_out_iou": [was, now],
        "moved": [here, there],
        **shift,
        "kept": "the target's" if reason is None else "own",
    }
    if reason is not None:
        found["reason"] = reason
    notes = {**checkpoint.notes, "batch_statistics": found}
    return replace(checkpoint if reason is not None else changed, notes=notes)


def moved_means(before: Checkpoint, after: Checkpoint) -> float:
    """Return by how many standard deviations batch normalisations' means differ, on average."""
    layers = [
        ((after.weights[name] - mean).abs() / before.weights[spread].clamp(min=1e-12).sqrt()).mean()
        for name, mean in before.weights.items()
        if name.endswith("running_mean")
        and (spread := name.replace("running_mean", "running_var")) in before.weights
    ]
    return float(torch.stack(layers).mean()) if layers else 0.0


@torch.no_grad()
def with_statistics_of(
    checkpoint: Checkpoint, target: Tiles, share: float = 1.0, batch: int = 8
) -> Checkpoint:
    """Return a checkpoint whose batch normalisations have the statistics of other tiles.

    Parameters
    ----------
    checkpoint
        Its weights stay as they are.
    target
        Tiles; their labels aren't looked at.
    share
        Weight of the other tiles' statistics; the rest are the checkpoint's own. Means are mixed,
        and variances as those of a mixture.
    batch
        Tiles at once; all batches weigh alike.

    References
    ----------
    Li et al. (2016), Revisiting batch normalization for practical domain adaptation, arXiv
    1603.04779; the mixture: Schneider et al. (2020), arXiv 2006.16971, eq. 1.

    """
    model = checkpoint.model().to(default_device())
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    for index in torch.split(torch.arange(len(target)), batch):
        model(target.take(index).image.to(default_device()))
    new = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    mixed = dict(checkpoint.weights)
    for name in (name for name in new if name.endswith("running_mean")):
        spread = name.replace("running_mean", "running_var")
        mean = torch.lerp(mixed[name], new[name], share)
        own = mixed[spread] + (mixed[name] - mean) ** 2
        others = new[spread] + (new[name] - mean) ** 2
        mixed |= {name: mean, spread: torch.lerp(own, others, share)}
    return replace(checkpoint, weights=mixed)
