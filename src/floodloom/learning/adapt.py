"""Domain adaptation: labelled tiles in the target's backscatter, and the target's batch statistics.

Nothing here reads a label of the target, and what becomes of it still has to pass the guard.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data import Samples, Tiles
from floodloom.learning.device import default_device
from floodloom.learning.guard import Guard
from floodloom.learning.relabel import out_of_limits

TARGETS = "the target's"
"""What the note `batch_statistics` says was kept, if it wasn't the network's own."""
_LEVELS = 129
_TILES = 256
_REHEARSED_FALL = 0.05
_MOVED = 2.0  # times as far as held-out tiles; a share of water moves the means less
_SURE = 0.95
_NORM = nn.BatchNorm2d
_INSIDE = 0.99  # share of a coarser place that must be land
_FEWEST = 2  # pixels that a batch's statistics need


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


@dataclass(frozen=True)
class Adapted:
    """A network for unlabelled tiles, and what became of it by the same step on labelled ones.

    Attributes
    ----------
    checkpoint
        What is used; its note `batch_statistics` says what was found and which were kept.
    rehearsed
        The same network with the statistics of the held-out tiles instead: how sure it may be, and
        whatever else held-out labels can say of it, must be asked of this one. Where nothing was
        changed, the checkpoint.
    changed
        Whether the statistics are others than before.
    untellable
        Why the tiles can't be labelled, if the sensor is another and adapting to it isn't trusted.
    """

    checkpoint: Checkpoint
    rehearsed: Checkpoint
    changed: bool = False
    untellable: str | None = None


def adapted(
    checkpoint: Checkpoint,
    target: Tiles,
    guard: Guard,
    share: float = 0.75,
    *,
    known: Checkpoint | None = None,
) -> Adapted:
    """Return a checkpoint with the batch statistics of other tiles, if that does no harm.

    Held-out labels can't judge a network with the target's statistics, but they can judge the step
    itself: it is rehearsed with the held-out tiles. It is done where

    - the sensor is another: the target's means lie twice as far from what the network knew as those
      of the held-out tiles. Otherwise re-estimation does harm, as another share of water passes for
      another sensor;
    - the IoU of the held-out tiles falls by no more than 0.05 with their own statistics;
    - the target has water: re-estimated on land alone, a network calls the darkest of it water, and
      is sure. So the share of sure water must be greater than what the same step finds on the
      held-out tiles' land with the statistics of nothing but that land.

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
    """
    step = re_estimated(checkpoint, target, guard.validation, share)
    changed, rehearsed = step.checkpoint, step.rehearsed
    was, now = guard.validation_iou(checkpoint), guard.validation_iou(rehearsed)
    shift = guard.shift(checkpoint, changed, target)
    knows = known or checkpoint
    others = step if known is None else re_estimated(known, target, guard.validation, share)
    here, there = _distances(knows, others)
    found: dict[str, Any] = {"held_out_iou": [was, now], "moved": [here, there], **shift}
    reason = untellable = None
    if not here:
        reason = "the network has no batch normalisation, or the target its very statistics"
    elif here < _MOVED * there:
        reason = (
            f"the target's means lie {here / there:.1f} times as far from the network's as those "
            "of held-out tiles, so its sensor is no other"
        )
    elif now < was - _REHEARSED_FALL:
        reason = f"re-estimated on held-out tiles, their IoU fell from {was:.4f} to {now:.4f}"
    else:
        reason = out_of_limits(shift["water_share"], None, guard.limits)
        found["sure_water"] = [
            sure_water(changed, target),
            _on_land_alone(checkpoint, guard.validation, share),
        ]
        target_has, land_has = found["sure_water"]
        if reason is None and land_has is not None and target_has <= land_has:
            reason = (
                f"{target_has:.2%} of the target is surely water, and land alone gives "
                f"{land_has:.2%}"
            )
        if reason is not None:
            reason = untellable = f"the sensor is another, and adapted to it {reason}"
    found["kept"] = TARGETS if reason is None else "own"
    if reason is not None:
        found["reason"] = reason
        step = Adapted(checkpoint, checkpoint)
    notes = {**checkpoint.notes, "batch_statistics": found}
    return replace(step, checkpoint=replace(step.checkpoint, notes=notes), untellable=untellable)


def another_sensor(checkpoint: Checkpoint, target: Tiles, held_out: Tiles) -> str | None:
    """Return by what a target shows that its sensor is another, None if it doesn't.

    Parameters
    ----------
    checkpoint
        A network that has learnt from labelled tiles alone; without batch normalisation it can't
        tell.
    target, held_out
        Tiles whose labels aren't looked at; the held-out ones are of the labelled sensor. The means
        of the target must lie twice as far from those that the network knows.
    """
    here, there = _distances(checkpoint, re_estimated(checkpoint, target, held_out, share=1.0))
    if not here or here < _MOVED * there:
        return None
    return (
        f"the target's means lie {here / max(there, 1e-6):.1f} times as far from the network's as "
        "those of held-out tiles, so its sensor is another"
    )


def _distances(known: Checkpoint, step: Adapted) -> tuple[float, float]:
    """Return how far the means of the target, and of held-out tiles, lie from the network's."""
    return moved_means(known, step.checkpoint), moved_means(known, step.rehearsed)


def sure_water(
    checkpoint: Checkpoint, tiles: Tiles, batch: int = 8, *, on_land: bool = False
) -> float | None:
    """Return the share of pixels that a network is sure, by 0.95, aren't of class 0.

    Of those with data, or `on_land` of those labelled as class 0; None if there are none.
    """
    sure = counted = 0
    model = checkpoint.model().to(default_device()).eval()
    with torch.inference_mode():
        for index in torch.split(torch.arange(len(tiles)), batch):
            taken = tiles.take(index)
            image = taken.image.to(default_device())
            land = (model(image).float() / checkpoint.temperature).softmax(dim=1)[:, 0]
            asked = (image != 0).any(dim=1)
            if on_land:
                asked &= taken.label.to(default_device()) == 0
            sure += int(((land <= 1 - _SURE) & asked).sum())
            counted += int(asked.sum())
    return sure / counted if counted else None


def _on_land_alone(checkpoint: Checkpoint, tiles: Tiles, share: float) -> float | None:
    """Return what `sure_water` finds on land with the statistics of nothing but land."""
    return sure_water(with_statistics_of(checkpoint, tiles, share, land=True), tiles, on_land=True)


def re_estimated(checkpoint: Checkpoint, target: Tiles, held_out: Tiles, share: float) -> Adapted:
    """Return a checkpoint with the statistics of the target, and of held-out tiles."""
    changed, rehearsed = (
        with_statistics_of(checkpoint, tiles, share) for tiles in (target, held_out)
    )
    return Adapted(changed, rehearsed, changed=True)


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
    checkpoint: Checkpoint,
    target: Tiles,
    share: float = 1.0,
    batch: int = 8,
    *,
    land: bool = False,
) -> Checkpoint:
    """Return a checkpoint whose batch normalisations have the statistics of other tiles.

    Parameters
    ----------
    checkpoint
        Its weights stay as they are.
    target
        Tiles; their labels aren't looked at without `land`.
    share
        Weight of the other tiles' statistics; the rest are the checkpoint's own. Means are mixed,
        and variances as those of a mixture.
    batch
        Tiles at once; all batches weigh alike.
    land
        Statistics of the pixels labelled as class 0 alone, as if the tiles held nothing else; in
        coarser levels, of places where nothing else is labelled.

    References
    ----------
    Li et al. (2016), Revisiting batch normalization for practical domain adaptation, arXiv
    1603.04779; the mixture: Schneider et al. (2020), arXiv 2006.16971, eq. 1.

    """
    model = checkpoint.model().to(default_device()).eval()
    norms = {name: _Statistics() for name, part in model.named_modules() if isinstance(part, _NORM)}
    hooks = [model.get_submodule(name).register_forward_hook(one) for name, one in norms.items()]
    for index in torch.split(torch.arange(len(target)), batch):
        taken = target.take(index)
        if land:
            where = (taken.label == 0).unsqueeze(1).to(default_device(), torch.float32)
            for one in norms.values():
                one.where = where
        model(taken.image.to(default_device()))
    for hook in hooks:
        hook.remove()
    mixed = dict(checkpoint.weights)
    for name, one in norms.items():
        if not one.means:
            continue
        average, spread = f"{name}.running_mean", f"{name}.running_var"
        new_mean, new_spread = one.averages()
        mean = torch.lerp(mixed[average], new_mean, share)
        own = mixed[spread] + (mixed[average] - mean) ** 2
        others = new_spread + (new_mean - mean) ** 2
        mixed |= {average: mean, spread: torch.lerp(own, others, share)}
    return replace(checkpoint, weights=mixed)


@dataclass
class _Statistics:
    """Hook of a batch normalisation: it normalises by the batch itself, and says by what.

    `where` (tile, 1, y, x) float32 is 1 at the pixels that count; none: all.
    """

    where: Tensor | None = None
    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)

    def averages(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance (channel,) float32 over all batches."""
        return torch.stack(self.means).mean(0).cpu(), torch.stack(self.variances).mean(0).cpu()

    def __call__(self, norm: nn.BatchNorm2d, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        (features,) = inputs
        counted = torch.ones_like(features[:, :1])
        if self.where is not None:
            height, width = features.shape[-2:]
            inside = F.adaptive_avg_pool2d(self.where, (height, width))
            counted = (inside > _INSIDE).to(features.dtype)
        pixels = counted.sum()
        if pixels < _FEWEST:
            return output
        mean = (features * counted).sum((0, 2, 3)) / pixels
        squared = (features - mean.view(1, -1, 1, 1)).square() * counted
        variance = squared.sum((0, 2, 3)) / pixels
        self.means.append(mean)
        self.variances.append(variance * pixels / (pixels - 1))
        return F.batch_norm(features, mean, variance, norm.weight, norm.bias, eps=norm.eps)
