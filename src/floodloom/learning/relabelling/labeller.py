"""Networks and a tile's own word together: what gives pseudo labels, and how much each counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from floodloom.learning.calibration import (
    fit_temperature,
    held_out_pixels,
    reliability_at,
    seen_pixels,
    temperature_of_accuracy,
)
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import rotate_and_flip, undo
from floodloom.learning.data.samples import Tiles
from floodloom.learning.inference import Ensemble, ensemble_of
from floodloom.learning.metrics.pixels import confusion_matrix, foreground_scores
from floodloom.learning.relabelling.adaptation import Adapted
from floodloom.learning.relabelling.agreement import accuracy_elsewhere, agreement_shift
from floodloom.learning.relabelling.local_likelihood import local_likelihood

_SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
_QUARTER = 1  # which of the eight symmetries of the square turns by 90 degrees
BEARABLE = 0.05
"""By how much of itself what the foreground IoU lacks on held-out labels may grow."""


@dataclass(frozen=True)
class Labeller:
    """What gives pseudo labels: an ensemble, and what each tile says of itself.

    Attributes
    ----------
    ensemble
        Calibrated networks.
    tta
        Average over the eight symmetries of the square.
    likelihood
        Weight of `local_likelihood` against the networks' mean logits; 0 leaves it out.
    temperature
        What the sum of both is divided by.
    averaged
        Whether what the tiles say is averaged over neighbours: in maps it is, in pseudo labels not.
    calibration
        Its reliability on held-out labels, and the foreground IoU there of each weight tried.
    """

    ensemble: Ensemble
    tta: bool = True
    likelihood: float = 0.0
    temperature: float = 1.0
    averaged: bool = False
    calibration: dict[str, Any] = field(default_factory=dict)

    def evidence(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the networks and what the tiles themselves say of the classes.

        Parameters
        ----------
        image
            (tile, band, y, x) float32, 0 = no data in that band.

        Returns
        -------
        logits, likelihood
            (tile, class, y, x) float32 each; the latter is 0 where its weight is.
        """
        logits = self.ensemble.logits(image, tta=self.tta)
        if not self.likelihood:
            return logits, torch.zeros_like(logits)
        valid = (image != 0).all(dim=1).numpy()
        said = local_likelihood(image.numpy(), valid, logits.numpy(), averaged=self.averaged)
        return logits, torch.from_numpy(said)

    def predict(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return confidence (tile, y, x), NaN = no data, and predicted class (tile, y, x)."""
        valid = np.isfinite(image).all(axis=1)
        filled = torch.from_numpy(np.where(np.isfinite(image), image, np.float32(0)))
        logits, said = self.evidence(filled)
        weighed = (logits + self.likelihood * said) / self.temperature
        confidence, prediction = weighed.softmax(dim=1).max(dim=1)
        sure = np.where(valid, confidence.numpy(), np.float32(np.nan))
        return sure, prediction.numpy().astype(np.uint8)


def calibrated(
    labeller: Labeller,
    held_out: Tiles,
    *,
    scale: bool = True,
    rehearsed: Ensemble | None = None,
) -> Labeller:
    """Find the weight of the tiles' own word and the temperature on held-out labelled tiles.

    Held-out labels are few and of other ground, so they can't choose the best weight; they can tell
    where networks know the ground better than a tile's own distributions, which do harm then. What
    is taken is the greatest weight with which the error, 1 - foreground IoU, grows by a twentieth
    at most: half a point where the IoU is .9, three where it is .4 and strange ground gains more.

    Parameters
    ----------
    labeller
        Its `likelihood` is the greatest weight that is tried, besides shares of it and none.
    held_out
        Labelled tiles that the networks weren't trained on.
    scale
        Without it the temperature stays 1.
    rehearsed
        What predicts the held-out tiles instead of the labeller's own networks, where these were
        adapted to other ground than that: see `floodloom.learning.relabelling.adaptation.Adapted`.
    """
    asked = labeller if rehearsed is None else replace(labeller, ensemble=rehearsed)
    evidence, label = held_out_pixels(
        lambda image: torch.cat(asked.evidence(image), dim=1), held_out
    )
    logits, said = evidence.chunk(2, dim=1)
    tried = [share * labeller.likelihood for share in (_SHARES if labeller.likelihood else (0.0,))]
    scores = {weight: _foreground_iou(logits + weight * said, label) for weight in tried}
    least = 1 - (1 - scores[0.0]) * (1 + BEARABLE)
    weight = max(one for one in tried if scores[one] >= least)
    weighed = logits + weight * said
    temperature = fit_temperature(weighed, label) if scale else 1.0
    calibration = {
        "temperature": temperature,
        "likelihood": {f"{one:g}": score for one, score in scores.items()},
        "pixels": len(label),
        "before": reliability_at(weighed, label, 1.0).as_dict(),
        "after": reliability_at(weighed, label, temperature).as_dict(),
    }
    return replace(labeller, likelihood=weight, temperature=temperature, calibration=calibration)


def _foreground_iou(logits: Tensor, label: Tensor) -> float:
    prediction = logits.argmax(dim=1).numpy()
    matrix = confusion_matrix(prediction, label.numpy(), logits.shape[1])
    return foreground_scores(matrix)["iou"]


@dataclass(frozen=True)
class Elsewhere:
    """Ground without labels that a network has learnt from, and the network before it did.

    Attributes
    ----------
    tiles
        Their labels aren't looked at.
    before
        With the statistics of these tiles and of held-out ones, if what is calibrated has them.
    """

    tiles: Tiles
    before: Adapted


def with_voice(
    checkpoint: Checkpoint,
    held_out: Tiles,
    greatest: float,
    *,
    rehearsed: Checkpoint | None = None,
    elsewhere: Elsewhere | None = None,
) -> Checkpoint:
    """Note in a checkpoint what a scene's own word is to weigh when it predicts.

    Parameters
    ----------
    checkpoint
        Of two classes; others stay as they are.
    held_out
        Labelled tiles that it wasn't trained on.
    greatest
        Weight that is tried at most; see `calibrated`.
    rehearsed
        What predicts the held-out tiles instead, as in `calibrated`.
    elsewhere
        Where the temperature shall hold, if not on the ground of the held-out tiles: confidences
        are as great there, on average, as the accuracy on held-out labels, moved by as much as an
        agreement moves: of this network with the one before, with itself on tiles turned by a
        quarter, or with the tiles' own word, whichever falls most
        (`floodloom.learning.relabelling.agreement`).

    Returns
    -------
    Checkpoint
        Its note `likelihood` holds weight, temperature, the foreground IoU of each weight, and what
        was found elsewhere. Where the word weighs nothing, the temperature goes into the network's.
    """
    if not greatest or len(checkpoint.classes) > 2:
        return checkpoint
    stand_in = ensemble_of([rehearsed or checkpoint])
    network = ensemble_of([checkpoint])
    labeller = Labeller(network, tta=False, likelihood=greatest, averaged=True)
    weighed = calibrated(labeller, held_out, rehearsed=stand_in)
    found = {
        "weight": weighed.likelihood,
        "temperature": weighed.temperature,
        "tried": weighed.calibration["likelihood"],
    }
    if elsewhere is not None:
        known = replace(labeller, ensemble=stand_in)
        found |= _calibrated_elsewhere(labeller, known, held_out, elsewhere, weighed)
    if not found["weight"]:  # then it is the network's own temperature
        own = checkpoint.temperature * found["temperature"]
        checkpoint = replace(checkpoint, temperature=own)
        found["temperature"] = 1.0
    return replace(checkpoint, notes={**checkpoint.notes, "likelihood": found})


def _calibrated_elsewhere(
    labeller: Labeller, known: Labeller, held_out: Tiles, elsewhere: Elsewhere, found: Labeller
) -> dict[str, float]:
    """Return the temperature that holds elsewhere, and the accuracies that it comes from.

    It is never lower than that of the held-out labels: networks that find no water at all agree,
    too.
    """

    def voters(before: Checkpoint, asked: Labeller) -> Callable[[Tensor], Tensor]:
        first = ensemble_of([before])

        def say(image: Tensor) -> Tensor:
            turned = asked.ensemble.logits(rotate_and_flip(image, _QUARTER))
            own, word = asked.evidence(image)
            return torch.cat([own, word, first.logits(image), undo(turned, _QUARTER)], dim=1)

        return say

    here, label = held_out_pixels(voters(elsewhere.before.rehearsed, known), held_out)
    there = seen_pixels(voters(elsewhere.before.checkpoint, labeller), elsewhere.tiles)
    parts = [evidence.chunk(4, dim=1) for evidence in (here, there)]
    votes = [torch.stack([said.argmax(dim=1) for said in four]) for four in parts]
    weighed = [logits + found.likelihood * word for logits, word, *_ in parts]
    accuracy = float((weighed[0].argmax(dim=1) == label).float().mean())
    expected = accuracy_elsewhere(accuracy, agreement_shift(*votes))
    return {
        "temperature": max(found.temperature, temperature_of_accuracy(weighed[1], expected)),
        "held_out_accuracy": accuracy,
        "expected_accuracy": expected,
    }
