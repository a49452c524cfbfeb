"""Acceptance of a round, and of its model: what may be learnt from, and which weights are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from floodloom.learning.relabelling.gate import Labels
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

_TILES = 64  # whose labels are compared at once


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
        water = seen = 0
        for found, _ in _predicted_classes(checkpoint, target, self.batch):
            water += int((found == 1).sum())
            seen += int((found >= 0).sum())
        return water / seen

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
        seen = water = labelled = changed = flipped = 0
        by_network = _predicted_classes(before, target, self.batch)
        for new, label in _predicted_classes(learned, target, self.batch):
            there = new >= 0
            known = there & (label != IGNORE)
            seen += int(there.sum())
            water += int((new == 1).sum())
            labelled += int(known.sum())
            changed += int((label[known] != new[known]).sum())
            if not labelled:
                flipped += int((next(by_network)[0] != new)[there].sum())
        if not seen:
            return {"water_share": None, "flips": None}
        flips = changed / labelled if labelled else flipped / seen
        return {"water_share": water / seen, "flips": flips}


@torch.inference_mode()
def _predicted_classes(
    checkpoint: Checkpoint, tiles: Tiles, batch: int
) -> Iterator[tuple[NDArray[np.int8], NDArray[np.uint8]]]:
    """Yield the predicted classes (tile, y, x), -1 where there are no data, and the labels."""
    execution = Execution(default_device(), channels_last=True)
    model = execution.place(checkpoint.model())
    for index in torch.split(torch.arange(len(tiles)), batch):
        taken = tiles.take(index)
        predicted = model(execution.image(taken.image)).argmax(dim=1).cpu()
        found = predicted.masked_fill(~taken.any_valid.cpu(), -1).to(torch.int8).numpy()
        yield found, taken.label.cpu().numpy()


def round_refusal(
    predicted: NDArray[np.integer],
    labelled: NDArray[np.integer] | None,
    agreement: float | None,
    *,
    tiles: int = 1,
    limited: bool = True,
) -> str | None:
    """Return why a round must be refused, or None.

    Parameters
    ----------
    predicted
        (class,) pixels of the unlabelled tiles that are predicted as each class.
    labelled
        (class,) pixels with pseudo labels; None where tiles are learnt from without.
    agreement
        Share of the pixels labelled in both rounds whose label is the same; None without a
        previous round.
    tiles
        Number of the unlabelled tiles.
    limited
        Whether water and changed labels have limits.
    """
    if not tiles:
        return "no tile is in the split `target`"
    shares = {"predictions": share_of(1, predicted)}
    if labelled is not None:
        shares["pseudo labels"] = share_of(1, labelled)
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


def share_of(value: int, counts: NDArray[np.integer]) -> float | None:
    """Return the share of a class in counts (class,) of pixels; None if there are none."""
    total = int(counts.sum())
    return int(counts[value]) / total if total else None


Rows = Callable[[NDArray[np.intp]], Labels]
"""Gives the labels (tile, y, x) of some tiles by their numbers."""


def agreement_with(
    names: Sequence[str], label: Rows, previous_names: Sequence[str], previous: Rows
) -> float | None:
    """Return the share of equal labels where this and the previous round have one.

    Tiles are matched by their names, and read some at a time; None if no pixel is labelled in both.
    """
    place = {name: position for position, name in enumerate(previous_names)}
    pairs = [(i, place[name]) for i, name in enumerate(names) if name in place]
    equal = both = 0
    for first in range(0, len(pairs), _TILES):
        ours, theirs = np.array(pairs[first : first + _TILES]).T
        now, before = label(ours), previous(theirs)
        labelled = (now != IGNORE) & (before != IGNORE)
        equal += int((now[labelled] == before[labelled]).sum())
        both += int(labelled.sum())
    return equal / both if both else None
