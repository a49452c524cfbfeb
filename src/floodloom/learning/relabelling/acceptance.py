"""Acceptance of a round, and of its model: what may be learnt from, and which weights are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from floodloom.arrays import IGNORE
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Tiles
from floodloom.learning.loss import LogitLoss
from floodloom.learning.network import Execution, default_device
from floodloom.learning.relabelling.gate import Labels, Predictions
from floodloom.learning.relabelling.priors import EstimatedShare
from floodloom.learning.training.validation import scores_of
from floodloom.log import get_logger

_log = get_logger(__name__)
LEARNED, BEFORE = "new weights", "initial weights"
"""Values of a checkpoint's note `kept`."""
LEAST_IOU = 0.3
"""IoU on held-out labels below which most water is missed, or most that is found is land."""
MOST_IOU_FALL = 0.02
"""Fall of the IoU on held-out labels in a round that may be chance."""
LEAST_WATER, MOST_WATER = 0.001, 0.9
"""Shares of water beyond which a network has collapsed to one class, or nearly so."""
MOST_FLIPS = 0.2
"""Share of the labels that a round may change: if more do, rounds don't converge."""


@dataclass(frozen=True)
class Acceptance:
    """Chooses between the model before a round and what the round has learned.

    Attributes
    ----------
    validation
        Held-out labelled tiles: their foreground IoU must not fall by more than the limit.
    loss, batch
        As in training.
    target
        Tiles without true labels: the share of class 1 in what is predicted of them must stay in
        its limits, and not too many of their pixels may change their class (see
        `prediction_shift`).
    limited
        Whether networks that leave their limits are refused.
    estimated
        The share of class 1 on `target`, away from which what is called there may not move.
    """

    validation: Tiles
    loss: LogitLoss
    batch: int = 8
    target: Tiles | None = None
    limited: bool = True
    estimated: EstimatedShare | None = None

    def choose(self, before: Checkpoint, learned: Checkpoint) -> Checkpoint:
        """Return what was learned, or the model before it if that leaves the limits.

        Its notes hold initial_iou, learned_iou, water_share, flips, kept and, where it was
        refused, the reason; initial_water_share where the target's share is estimated.
        """
        was, now = (self.validation_iou(one) for one in (before, learned))
        shift = self.prediction_shift(before, learned, self.target)
        notes: dict[str, Any] = {"initial_iou": was, "learned_iou": now, **shift}
        reason = limit_exceeded(notes["water_share"], notes["flips"])
        if now < was - MOST_IOU_FALL:
            reason = f"validation IoU fell from {was:.4f} to {now:.4f}"
        seen = notes["water_share"] is not None
        if self.estimated is not None and self.target is not None and seen:
            called = notes["initial_water_share"] = self._water_called(before, self.target)
            reason = reason or self.estimated.moves_away(called, notes["water_share"])
        if reason is None:
            return replace(learned, notes={**notes, "kept": LEARNED})
        _log.warning("initial weights are kept: %s", reason)
        notes |= {"kept": BEFORE, "reason": reason}
        return replace(before, history=learned.history, notes=notes)

    def _water_called(self, checkpoint: Checkpoint, target: Tiles) -> float:
        """Return the share of class 1 in what a network predicts of tiles."""
        found = _predicted_classes(checkpoint, target, self.batch)[0]
        return float((found[found >= 0] == 1).mean())

    def inaccuracy(self, checkpoint: Checkpoint) -> str | None:
        """Return why a model is too inaccurate to label anything, or None if it isn't.

        Held-out tiles without any foreground can't show it.
        """
        if not self.limited or not self._any_foreground():
            return None
        found = self.validation_iou(checkpoint)
        if found >= LEAST_IOU:
            return None
        return f"the IoU on held-out labels is {found:.4f}, below {LEAST_IOU:g}"

    def _any_foreground(self) -> bool:
        parts = torch.split(torch.arange(len(self.validation)), self.batch)
        labels = (self.validation.take(index).label for index in parts)
        return any(bool(((label > 0) & (label != IGNORE)).any()) for label in labels)

    def validation_iou(self, checkpoint: Checkpoint) -> float:
        """Return the foreground IoU in float32, whatever number format training ran in."""
        return scores_of(checkpoint, self.validation, self.loss, self.batch)["iou"]

    def prediction_shift(
        self, before: Checkpoint, learned: Checkpoint, target: Tiles | None
    ) -> dict[str, float | None]:
        """Return the share of class 1 among the new predictions, and of those that changed.

        Changed against the round's pseudo labels, which may come from an adapted ensemble, or
        where the tiles have none, against the predictions of the model before.
        """
        if target is None or not len(target):
            return {"water_share": None, "flips": None}
        new, label = _predicted_classes(learned, target, self.batch)
        seen, labelled = new >= 0, (label != IGNORE) & (new >= 0)
        if not seen.any():
            return {"water_share": None, "flips": None}
        water = (new[seen] == 1).mean()
        if labelled.any():
            changed = label[labelled] != new[labelled]
        else:
            changed = _predicted_classes(before, target, self.batch)[0][seen] != new[seen]
        return {"water_share": float(water), "flips": float(changed.mean())}


@torch.inference_mode()
def _predicted_classes(
    checkpoint: Checkpoint, tiles: Tiles, batch: int
) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Return the predicted classes (tile, y, x), -1 where there are no data, and the labels."""
    execution = Execution(default_device(), channels_last=True)
    model = execution.place(checkpoint.model())
    parts, labels = [], []
    for index in torch.split(torch.arange(len(tiles)), batch):
        taken = tiles.take(index)
        predicted = model(execution.image(taken.image)).argmax(dim=1).cpu()
        parts.append(predicted.masked_fill(~taken.any_valid.cpu(), -1).to(torch.int8).numpy())
        labels.append(taken.label.cpu().numpy())
    return np.concatenate(parts), np.concatenate(labels)


def round_refusal(
    predictions: Predictions,
    label: Labels | None,
    agreement: float | None,
    *,
    limited: bool = True,
) -> str | None:
    """Return why a round must be refused, or None.

    Parameters
    ----------
    predictions
        Of the unlabelled tiles.
    label
        (tile, y, x) uint8 pseudo labels, 255 = ignore; None where tiles are learnt from without.
    agreement
        Share of the pixels labelled in both rounds whose label is the same; None without a
        previous round.
    limited
        Whether water and changed labels have limits.
    """
    if not len(predictions.label):
        return "no tile is in the split `target`"
    shares = {"predictions": share_of(1, predictions.label, predictions.valid)}
    if label is not None:
        shares["pseudo labels"] = share_of(1, label, label != IGNORE)
        if shares["pseudo labels"] is None:
            return "no pixel passed the gate"
    if not limited:
        return None
    flips = None if agreement is None else 1 - agreement
    for what, share in shares.items():
        reason = limit_exceeded(share, None, what)
        if reason is not None:
            return reason
    return limit_exceeded(None, flips)


def limit_exceeded(
    water_share: float | None, flips: float | None, what: str = "predictions"
) -> str | None:
    """Return why a share of water or of changed labels is out of its limits, or None."""
    if water_share is not None and not LEAST_WATER <= water_share <= MOST_WATER:
        return (
            f"water is {water_share:.2%} of the {what}, outside {LEAST_WATER:.2%} to "
            f"{MOST_WATER:.2%}"
        )
    if flips is not None and flips > MOST_FLIPS:
        return (
            f"{flips:.2%} of the labels flipped since the previous round, "
            f"more than {MOST_FLIPS:.2%}"
        )
    return None


def share_of(value: int, array: Labels, among: NDArray[np.bool_]) -> float | None:
    """Return the share of `value` among the pixels where `among`; None if there are none."""
    total = int(among.sum())
    return float((among & (array == value)).sum() / total) if total else None


def agreement_with(
    names: Sequence[str],
    label: Labels,
    previous_names: Sequence[str],
    previous: Labels,
) -> float | None:
    """Return the share of equal labels where this and the previous round have one.

    Tiles are matched by their names; None if no pixel is labelled in both.
    """
    place = {name: position for position, name in enumerate(previous_names)}
    pairs = [(i, place[name]) for i, name in enumerate(names) if name in place]
    if not pairs:
        return None
    ours, theirs = (np.array(column) for column in zip(*pairs, strict=True))
    both = (label[ours] != IGNORE) & (previous[theirs] != IGNORE)
    if not both.any():
        return None
    return float((label[ours][both] == previous[theirs][both]).mean())
