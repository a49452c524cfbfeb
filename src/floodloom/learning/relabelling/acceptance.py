"""The guard of a round: its model is kept only if it is no worse where that can be measured."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.samples import Tiles
from floodloom.learning.device import Execution, default_device
from floodloom.learning.losses.pixels import Loss
from floodloom.learning.relabelling.gates import Limits, out_of_limits
from floodloom.learning.training.validation import scores_of
from floodloom.log import get_logger
from floodloom.raster.nodata import IGNORE

_log = get_logger(__name__)
LEARNED, BEFORE = "new weights", "initial weights"
"""What a checkpoint's note `kept` says."""


@dataclass(frozen=True)
class Guard:
    """Decides between the model before a round and what the round has learned.

    Attributes
    ----------
    validation
        Held-out labelled tiles: their foreground IoU must not fall by more than the limit.
    loss, batch
        As in training.
    target
        Tiles without true labels: the share of class 1 in what is predicted of them must stay in
        its band, and not too many of their pixels may change their class (see `shift`).
    limits
        What the model and its predictions of `target` must keep to.
    """

    validation: Tiles
    loss: Loss
    batch: int = 8
    target: Tiles | None = None
    limits: Limits = field(default_factory=Limits)

    def __call__(self, before: Checkpoint, learned: Checkpoint) -> Checkpoint:
        """Return what was learned, or the model before it if that is refused.

        Its notes hold initial_iou, learned_iou, water_share, flips, kept and, where it was
        refused, the reason.
        """
        was, now = (self.validation_iou(one) for one in (before, learned))
        shift = self.shift(before, learned, self.target)
        notes: dict[str, Any] = {"initial_iou": was, "learned_iou": now, **shift}
        reason = out_of_limits(notes["water_share"], notes["flips"], self.limits)
        if now < was - self.limits.iou_fall:
            reason = f"validation IoU fell from {was:.4f} to {now:.4f}"
        if reason is None:
            return replace(learned, notes={**notes, "kept": LEARNED})
        _log.warning("initial weights are kept: %s", reason)
        notes |= {"kept": BEFORE, "reason": reason}
        return replace(before, history=learned.history, notes=notes)

    def poor(self, checkpoint: Checkpoint) -> str | None:
        """Return why a model knows too little to label anything, or None if it knows enough.

        Held-out tiles without any foreground can't tell, and don't.
        """
        if not self.limits.iou or not self._any_foreground():
            return None
        found = self.validation_iou(checkpoint)
        if found >= self.limits.iou:
            return None
        return f"the IoU on held-out labels is {found:.4f}, below {self.limits.iou:g}"

    def _any_foreground(self) -> bool:
        parts = torch.split(torch.arange(len(self.validation)), self.batch)
        labels = (self.validation.take(index).label for index in parts)
        return any(bool(((label > 0) & (label != IGNORE)).any()) for label in labels)

    def validation_iou(self, checkpoint: Checkpoint) -> float:
        """Return the foreground IoU in float32, whatever number format training ran in."""
        return scores_of(checkpoint, self.validation, self.loss, self.batch)["iou"]

    def shift(
        self, before: Checkpoint, learned: Checkpoint, target: Tiles | None
    ) -> dict[str, float | None]:
        """Return the share of class 1 among the new predictions, and of those that changed.

        Changed against the round's pseudo labels, which may come from an adapted ensemble, or
        where the tiles have none, against the predictions of the model before.
        """
        if target is None or not len(target):
            return {"water_share": None, "flips": None}
        new, label = _classes(learned, target, self.batch)
        seen, said = new >= 0, (label != IGNORE) & (new >= 0)
        if not seen.any():
            return {"water_share": None, "flips": None}
        water = (new[seen] == 1).mean()
        if said.any():
            changed = label[said] != new[said]
        else:
            changed = _classes(before, target, self.batch)[0][seen] != new[seen]
        return {"water_share": float(water), "flips": float(changed.mean())}


@torch.inference_mode()
def _classes(
    checkpoint: Checkpoint, tiles: Tiles, batch: int
) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Return the predicted classes (tile, y, x), -1 where there are no data, and the labels."""
    execution = Execution(default_device(), channels_last=True)
    model = execution.place(checkpoint.model())
    parts, labels = [], []
    for index in torch.split(torch.arange(len(tiles)), batch):
        taken = tiles.take(index)
        image = taken.image
        predicted = model(execution.image(image)).argmax(dim=1).cpu()
        parts.append(predicted.masked_fill((image == 0).all(dim=1), -1).to(torch.int8).numpy())
        labels.append(taken.label.cpu().numpy())
    return np.concatenate(parts), np.concatenate(labels)
