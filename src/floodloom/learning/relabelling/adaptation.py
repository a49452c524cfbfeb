"""Adaptation to another sensor: statistics of batch normalisation, and limits of their shift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.arrays import IGNORE
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Samples, Tiles, evenly_spaced
from floodloom.learning.network import default_device
from floodloom.learning.relabelling.acceptance import Acceptance, limit_exceeded

_NORM = nn.BatchNorm2d
_FEWEST = 2  # pixels that a batch's statistics need


def distance_of_means(before: Checkpoint, after: Checkpoint) -> float:
    """Return by how many standard deviations batch normalisations' means differ, on average."""
    layers = [
        ((after.weights[name] - mean).abs() / before.weights[spread].clamp(min=1e-12).sqrt()).mean()
        for name, mean in before.weights.items()
        if name.endswith("running_mean")
        and (spread := name.replace("running_mean", "running_var")) in before.weights
    ]
    return float(torch.stack(layers).mean()) if layers else 0.0


@torch.no_grad()
def replace_statistics(
    checkpoint: Checkpoint,
    target: Tiles,
    share: float = 1.0,
    batch: int = 8,
    *,
    weights: tuple[float, float] | None = None,
    least: float = 0.0,
) -> Checkpoint:
    """Return a checkpoint whose batch normalisations have the statistics of other tiles.

    Parameters
    ----------
    checkpoint
        Its weights stay as they are.
    target
        Tiles. Each batch holds some from all over them, as in training: neighbours are alike, and
        don't have the spread of all.
    share
        Weight of the other tiles' statistics; the rest are the checkpoint's own. Means are mixed,
        and variances as those of a mixture.
    batch
        Tiles at once; all batches weigh alike.
    weights
        How much each pixel labelled as class 0, and as any other, counts, the unlabelled not at
        all; in coarser levels, a place counts as its pixels do on average. By default all count
        alike, and labels aren't looked at.
    least
        Below which a place doesn't count at all.

    References
    ----------
    Li et al. (2016), Revisiting batch normalization for practical domain adaptation, arXiv
    1603.04779; the mixture: Schneider et al. (2020), arXiv 2006.16971, eq. 1.
    """
    model = checkpoint.model().to(default_device()).eval()
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    batches = torch.split(order, batch)
    norms = {
        name: _Statistics(len(batches), least)
        for name, part in model.named_modules()
        if isinstance(part, _NORM)
    }

    # Each batch passes with its own statistics, which the hooks keep.
    hooks = [model.get_submodule(name).register_forward_hook(one) for name, one in norms.items()]
    for index in batches:
        taken = target.take(index)
        weight = None if weights is None else _pixel_weights(taken, *weights)
        for one in norms.values():
            one.weight = weight
        model(taken.image.to(default_device()))
    for hook in hooks:
        hook.remove()

    mixed = dict(checkpoint.weights)
    for name, one in norms.items():
        if not one.count:
            continue
        average, spread = f"{name}.running_mean", f"{name}.running_var"
        new_mean, new_spread = one.averages()
        mean = torch.lerp(mixed[average], new_mean, share)
        own = mixed[spread] + (mixed[average] - mean) ** 2
        others = new_spread + (new_mean - mean) ** 2
        mixed |= {average: mean, spread: torch.lerp(own, others, share)}
    return replace(checkpoint, weights=mixed)


def _pixel_weights(tiles: Samples, land: float, other: float) -> Tensor:
    """Return (tile, 1, y, x) float32 weights of labelled pixels."""
    weight = torch.full(tiles.label.shape, other).masked_fill(tiles.label.cpu() == 0, land)
    return weight.masked_fill(tiles.label.cpu() == IGNORE, 0).unsqueeze(1).to(default_device())


@dataclass
class _Statistics:
    """Hook of a batch normalisation that normalises by the batch itself, and keeps its moments.

    `weight` (tile, 1, y, x) float32 is how much each pixel counts; none: all alike. Places that
    weigh less than `least` don't. `moments` (2, batch, channel) are the means and variances of
    `count` batches so far, of `batches` at most: in one tensor, as many small ones would keep the
    memory between them from being used again.
    """

    batches: int
    least: float = 0.0
    weight: Tensor | None = None
    moments: Tensor | None = None
    count: int = 0

    def averages(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance (channel,) float32 over all batches."""
        if self.moments is None:
            raise RuntimeError("no batch has passed")
        mean, variance = (one[: self.count].mean(0).cpu() for one in self.moments)
        return mean, variance

    def __call__(self, norm: nn.BatchNorm2d, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        (features,) = inputs
        weight = torch.ones_like(features[:, :1])
        if self.weight is not None:
            height, width = features.shape[-2:]
            weight = F.adaptive_avg_pool2d(self.weight, (height, width))
            weight = torch.where(weight > self.least, weight, 0)
        pixels = weight.sum()
        if pixels < _FEWEST:
            return output
        mean = (features * weight).sum((0, 2, 3)) / pixels
        squared = (features - mean.view(1, -1, 1, 1)).square() * weight
        variance = squared.sum((0, 2, 3)) / pixels
        if self.moments is None:
            self.moments = features.new_empty((2, self.batches, len(mean)))
        self.moments[0, self.count] = mean
        self.moments[1, self.count] = variance * pixels / (pixels - 1)
        self.count += 1
        return F.batch_norm(features, mean, variance, norm.weight, norm.bias, eps=norm.eps)


TARGETS = "the target's"
"""Value of the note `batch_statistics` where the network's own weren't kept."""
_GREATEST_FALL = 0.05
_MOVED = 2.0  # times as far as held-out tiles
_SAMPLED = 64  # tiles whose means show their sensor
_SHARES = (0.2, 0.35, 0.5, 0.65)  # of water, with which the target's means are computed
_HEAVIEST = 10.0  # weight of a pixel, where its class is given another share
_SURE = 0.95
_INSIDE = 0.99  # share of a coarser place that must be land


@dataclass(frozen=True)
class AdaptedNetwork:
    """A network for unlabelled tiles, and its reference after the same step on labelled ones.

    Attributes
    ----------
    checkpoint
        What is used; its note `batch_statistics` holds what was found and which were kept.
    reference
        The same network with the statistics of the held-out tiles instead: its confidence, and
        whatever else held-out labels can show, must be measured with this one. Where nothing was
        changed, the checkpoint.
    changed
        Whether the statistics are others than before.
    refusal
        Why the tiles can't be labelled, if the sensor is another and adapting to it isn't trusted.
    """

    checkpoint: Checkpoint
    reference: Checkpoint
    changed: bool = False
    refusal: str | None = None


def adapt_statistics(
    checkpoint: Checkpoint,
    target: Tiles,
    acceptance: Acceptance,
    share: float = 0.75,
    *,
    known: Checkpoint | None = None,
) -> AdaptedNetwork:
    """Return a checkpoint with the batch statistics of other tiles, if that does no harm.

    Held-out labels can't score a network with the target's statistics, but they can score the step
    itself, done with the held-out tiles. It is taken where

    - the sensor is another: the target's means lie twice as far from the network's own as those
      of the held-out tiles, whatever share of water is taken for them. Otherwise re-estimation does
      harm;
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
    acceptance
        Held-out tiles and limits, which the share of water on `target` must keep to.
    share
        Of the target's statistics, see `replace_statistics`.
    known
        A network of the labelled ground alone, which shows whether the target is from another
        sensor; one that was trained on the target, too, lies between the two. The checkpoint itself
        by default.
    """
    here, there = _distances(known or checkpoint, target, acceptance.validation)
    found: dict[str, Any] = {"moved": [here, there]}
    if not here:
        reason = "the network has no batch normalisation, or the target its very statistics"
        return _own(checkpoint, found, reason)
    if here < _MOVED * there:
        reason = (
            f"the target's means lie {here / there:.1f} times as far from the network's as those "
            "of held-out tiles, so its sensor is no other"
        )
        return _own(checkpoint, found, reason)

    # The step must do no harm where its result can be scored.
    step = re_estimate_statistics(checkpoint, target, acceptance.validation, share)
    was, now = (acceptance.validation_iou(one) for one in (checkpoint, step.reference))
    found |= {
        "held_out_iou": [was, now],
        **acceptance.prediction_shift(checkpoint, step.checkpoint, target),
    }
    if now < was - _GREATEST_FALL:
        reason = f"re-estimated on held-out tiles, their IoU fell from {was:.4f} to {now:.4f}"
        return _own(checkpoint, found, reason)

    # Statistics of land alone would make the darkest of it water.
    target_has = sure_water(step.checkpoint, target)
    land_has = _on_land_alone(checkpoint, acceptance.validation, share)
    found["sure_water"] = [target_has, land_has]
    implausible = limit_exceeded(found["water_share"], None) if acceptance.limited else None
    if implausible is None and land_has is not None and (target_has or 0) <= land_has:
        implausible = (
            f"{target_has or 0:.2%} of the target is surely water, and land alone gives "
            f"{land_has:.2%}"
        )
    if implausible is not None:
        refusal = f"the sensor is another, and adapted to it {implausible}"
        return _own(checkpoint, found, refusal, refusal)
    return replace(step, checkpoint=_noted(step.checkpoint, {**found, "kept": TARGETS}))


def _own(
    checkpoint: Checkpoint, found: dict[str, Any], reason: str, refusal: str | None = None
) -> AdaptedNetwork:
    noted = _noted(checkpoint, {**found, "kept": "own", "reason": reason})
    return AdaptedNetwork(noted, checkpoint, refusal=refusal)


def _noted(checkpoint: Checkpoint, found: dict[str, Any]) -> Checkpoint:
    return replace(checkpoint, notes={**checkpoint.notes, "batch_statistics": found})


def sensor_difference(checkpoint: Checkpoint, target: Tiles, held_out: Tiles) -> str | None:
    """Return why the sensor of a target is another, None if it isn't.

    Parameters
    ----------
    checkpoint
        A network that has learnt from labelled tiles alone; without batch normalisation it shows
        no difference.
    target, held_out
        Tiles whose labels aren't looked at; the held-out ones are of the labelled sensor. The means
        of the target must lie twice as far from the network's own.
    """
    here, there = _distances(checkpoint, target, held_out)
    if not here or here < _MOVED * there:
        return None
    return (
        f"the target's means lie {here / max(there, 1e-6):.1f} times as far from the network's as "
        "those of held-out tiles, so its sensor is another"
    )


def _distances(known: Checkpoint, target: Tiles, held_out: Tiles) -> tuple[float, float]:
    """Return how far the means of the target, and of held-out tiles, lie from the network's.

    Means depend on the share of water, which may be another on the same sensor: a scene that is cut
    from edge to edge holds less of it than tiles that are drawn for their water. So those of the
    target are taken with several shares, as if it held more or less of what the network takes for
    water, and the nearest count.
    """
    predicted = _labelled_by(known, evenly_spaced(target, _SAMPLED))

    def distance(tiles: Tiles, weights: tuple[float, float]) -> float:
        return distance_of_means(known, replace_statistics(known, tiles, weights=weights))

    there = distance(evenly_spaced(held_out, _SAMPLED), (1.0, 1.0))
    return min(distance(predicted, weights) for weights in _weights(predicted.label)), there


def _weights(label: Tensor) -> list[tuple[float, float]]:
    """Return weights of land and of all else that give them their own and other shares.

    Only weights below ten, as few pixels may be wrong ones.
    """
    land, other = int((label == 0).sum()), int(((label > 0) & (label != IGNORE)).sum())
    found = [(1.0, 1.0)]
    if land and other:
        found += [((1 - s) * (land + other) / land, s * (land + other) / other) for s in _SHARES]
    return [weights for weights in found if max(weights) < _HEAVIEST]


@torch.inference_mode()
def _labelled_by(checkpoint: Checkpoint, tiles: Samples, batch: int = 8) -> Samples:
    """Return tiles with the classes that a network predicts for them as their labels."""
    model = checkpoint.model().to(default_device()).eval()
    labels = []
    for part in tiles.split(batch):
        label = model(part.image.to(default_device())).argmax(dim=1).to(tiles.label)
        labels.append(label.masked_fill(~part.any_valid, IGNORE))
    return replace(tiles, label=torch.cat(labels))


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
            counts = taken.any_valid.to(default_device())
            if on_land:
                counts &= taken.label.to(default_device()) == 0
            sure += int(((land <= 1 - _SURE) & counts).sum())
            counted += int(counts.sum())
    return sure / counted if counted else None


def _on_land_alone(checkpoint: Checkpoint, tiles: Tiles, share: float) -> float | None:
    """Return what `sure_water` finds on land with the statistics of nothing but land."""
    return sure_water(
        replace_statistics(checkpoint, tiles, share, weights=(1.0, 0.0), least=_INSIDE),
        tiles,
        on_land=True,
    )


def re_estimate_statistics(
    checkpoint: Checkpoint, target: Tiles, held_out: Tiles, share: float
) -> AdaptedNetwork:
    """Return a checkpoint with the statistics of the target, and of held-out tiles."""
    changed, reference = (
        replace_statistics(checkpoint, tiles, share) for tiles in (target, held_out)
    )
    return AdaptedNetwork(changed, reference, changed=True)
