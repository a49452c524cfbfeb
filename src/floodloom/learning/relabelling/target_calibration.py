"""Weight and temperature of a round's model, which must hold on ground without labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from floodloom.learning.calibration import held_out_pixels, seen_pixels, temperature_of_accuracy
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import rotate_and_flip, undo_rotate_and_flip
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.inference import ensemble_of
from floodloom.learning.relabelling.adaptation import AdaptedNetwork
from floodloom.learning.relabelling.labeller import Labeller, calibrate_labeller

_FEWEST = 0.01  # share of pixels on which two never agree, or never disagree: beyond it is chance
_NORMAL = NormalDist()
_QUARTER = 1  # which of the eight symmetries of the square turns by 90 degrees


def agreement_shift(known: Tensor, target: Tensor) -> float:
    """Return how much less, or more, predictions agree on a target than on known ground.

    Parameters
    ----------
    known, target
        (network, pixel) int64 classes; the first is compared with each of the others.

    Returns
    -------
    float
        Difference of the shares of equal classes, as quantiles of the normal distribution; of the
        pair whose agreement falls the most, so as not to be too sure.
    """
    here, there = (
        [_quantile(float((classes[0] == other).float().mean())) for other in classes[1:]]
        for classes in (known, target)
    )
    return min(b - a for a, b in zip(here, there, strict=True))


def expected_accuracy(accuracy: float, shift: float) -> float:
    """Return what an accuracy becomes where agreement is shifted.

    Parameters
    ----------
    accuracy
        Share of right pixels on known ground, 0-1.
    shift
        Of `agreement_shift`.

    References
    ----------
    Baek et al. (2022), Agreement-on-the-line, arXiv 2206.13089, section 3: over many networks,
    accuracy and agreement on other ground are the same linear function of those on known ground,
    both as quantiles of the normal distribution. Here its slope is taken as 1, as there are too few
    networks to find it. Deng, Gould and Zheng (2022), On the strong correlation between model
    invariance and generalization, arXiv 2207.07065: the same of a network's agreement
    with itself on turned images.
    """
    return _NORMAL.cdf(_quantile(accuracy) + shift)


def _quantile(share: float) -> float:
    return _NORMAL.inv_cdf(min(max(share, _FEWEST), 1 - _FEWEST))


@dataclass(frozen=True)
class TargetGround:
    """Ground without labels that a network has learnt from, and the network before it did.

    Attributes
    ----------
    tiles
        Their labels aren't looked at.
    before
        With the statistics of these tiles and of held-out ones, if what is calibrated has them.
    """

    tiles: Tiles
    before: AdaptedNetwork


def note_likelihood(
    checkpoint: Checkpoint,
    held_out: Tiles,
    greatest: float,
    *,
    reference: Checkpoint | None = None,
    target: TargetGround | None = None,
) -> Checkpoint:
    """Note in a checkpoint the weight of the local likelihood when it predicts.

    Parameters
    ----------
    checkpoint
        Of two classes; others stay as they are.
    held_out
        Labelled tiles that it wasn't trained on.
    greatest
        Weight that is tried at most; see `calibrate_labeller`.
    reference
        What predicts the held-out tiles instead, as in `calibrate_labeller`.
    target
        Where the temperature shall hold, if not on the ground of the held-out tiles: confidences
        are as great there, on average, as the accuracy on held-out labels, moved by as much as an
        agreement moves: of this network with the one before, with itself on tiles turned by a
        quarter, or with the local likelihood, whichever falls most.

    Returns
    -------
    Checkpoint
        Its note `likelihood` holds weight, temperature, the foreground IoU of each weight, and what
        was found on the target. With weight 0, the temperature goes into the network's own.
    """
    if not greatest or len(checkpoint.classes) > 2:
        return checkpoint
    on_known = ensemble_of([reference or checkpoint])
    network = ensemble_of([checkpoint])
    labeller = Labeller(network, tta=False, likelihood=greatest, averaged=True)
    weighed, calibration = calibrate_labeller(labeller, held_out, reference=on_known)
    found: dict[str, Any] = {
        "weight": weighed.likelihood,
        "temperature": weighed.temperature,
        "tried": calibration.likelihood,
    }
    if target is not None:
        known = replace(labeller, ensemble=on_known)
        found |= _calibrated_on_target(labeller, known, held_out, target, weighed)
    if not found["weight"]:  # then it is the network's own temperature
        own = checkpoint.temperature * found["temperature"]
        checkpoint = replace(checkpoint, temperature=own)
        found["temperature"] = 1.0
    return replace(checkpoint, notes={**checkpoint.notes, "likelihood": found})


def _calibrated_on_target(
    labeller: Labeller, known: Labeller, held_out: Tiles, target: TargetGround, weighed: Labeller
) -> dict[str, float]:
    """Return the temperature that holds on a target, and the accuracies that it comes from.

    It is never lower than that of the held-out labels: networks that find no water at all agree,
    too.
    """
    here, label = held_out_pixels(_predictors(target.before.reference, known), held_out)
    there = seen_pixels(_predictors(target.before.checkpoint, labeller), target.tiles)
    parts = [evidence.chunk(4, dim=1) for evidence in (here, there)]
    classes = [_classes(*four) for four in parts]
    sums = [logits + weighed.likelihood * likelihood for logits, likelihood, *_ in parts]
    accuracy = float((sums[0].argmax(dim=1) == label).float().mean())
    expected = expected_accuracy(accuracy, agreement_shift(*classes))
    return {
        "temperature": max(weighed.temperature, temperature_of_accuracy(sums[1], expected)),
        "held_out_accuracy": accuracy,
        "expected_accuracy": expected,
    }


def _classes(logits: Tensor, likelihood: Tensor, *others: Tensor) -> Tensor:
    """Return (prediction, pixel) classes; a likelihood of nothing is what the network predicts."""
    nothing = (likelihood == 0).all(dim=1, keepdim=True)
    evidence = (logits, torch.where(nothing, logits, likelihood), *others)
    return torch.stack([one.argmax(dim=1) for one in evidence])


def _predictors(before: Checkpoint, labeller: Labeller) -> Callable[[Samples], Tensor]:
    """Return what gives, by channels, the four predictions whose agreement counts."""
    first = ensemble_of([before])

    def predict(part: Samples) -> Tensor:
        image = part.image
        turned = labeller.ensemble.logits(rotate_and_flip(image, _QUARTER))
        logits, likelihood = labeller.evidence(image, part.all_valid)
        return torch.cat(
            [logits, likelihood, first.logits(image), undo_rotate_and_flip(turned, _QUARTER)], dim=1
        )

    return predict
