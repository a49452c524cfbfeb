"""Domain adaptation: the target's batch statistics, where it comes from another sensor.

Nothing here reads a label of the target, and what becomes of it still has to be accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Samples, Tiles, evenly_spaced
from floodloom.learning.device import default_device
from floodloom.learning.relabelling.acceptance import Acceptance, limit_exceeded
from floodloom.learning.relabelling.batch_statistics import distance_of_means, replace_statistics
from floodloom.raster.nodata import IGNORE

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
        Held-out tiles and limits; the share of water on `target` must keep to its band.
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
    implausible = limit_exceeded(found["water_share"], None, acceptance.limits)
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
