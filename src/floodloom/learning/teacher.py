"""The frozen teacher of a distillation: what it sees and says, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from floodloom.errors import CheckpointError
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data import Samples
from floodloom.learning.device import default_device
from floodloom.learning.inference import ensemble_of
from floodloom.learning.losses import loss_of
from floodloom.learning.metrics import IGNORE
from floodloom.learning.optical import as_seen, radar_alone
from floodloom.learning.validation import scores_of
from floodloom.models.base import Segmenter

_AT_ONCE = 16


@dataclass(frozen=True)
class Guide:
    """A frozen teacher: what it takes, and its features."""

    network: Segmenter
    inputs: str

    @classmethod
    def of(cls, teacher: Checkpoint) -> Guide:
        """Return a checkpoint's network, ready to teach; its weights never change."""
        network = teacher.model().to(default_device()).eval().requires_grad_(False)
        return cls(network, teacher.inputs)

    @torch.no_grad()
    def features(self, batch: Samples) -> list[Tensor]:
        """Return the features of tiles with their companions, coarsest first."""
        if batch.optical is None:
            raise CheckpointError("tiles: the teacher's features need the optical images")
        return self.network.features(as_seen(batch, self.inputs).image)


def copes(teacher: Checkpoint) -> bool:
    """Return whether a teacher has learnt to do without its optical image."""
    return teacher.inputs == "fused" and teacher.training.get("sensor_drop", 0.0) > 0


@torch.inference_mode()
def with_opinion(samples: Samples, teacher: Checkpoint, everywhere: bool = True) -> Samples:
    """Return tiles with the teacher's logits as `soft`, the mean over the square's symmetries.

    They are asked for once, before training, so no step needs the teacher for them.

    Parameters
    ----------
    samples
        Tiles with companions; `clear` becomes where the teacher is listened to.
    teacher
        Checkpoint with optical or fused inputs.
    everywhere
        Listen wherever the radar has data to a teacher that copes without its optical image.
    """
    if samples.optical is None or samples.clear is None:
        return samples
    seen = as_seen(samples, teacher.inputs).image
    clear = samples.clear
    if everywhere and copes(teacher):
        clear = (samples.image != 0).any(dim=1)
    opinions = ensemble_of([replace(teacher, temperature=1.0)])
    soft = [opinions.logits(part, tta=True).half() for part in torch.split(seen, _AT_ONCE)]
    return replace(samples, clear=clear, soft=torch.cat(soft))


def judged(
    teacher: Checkpoint, student: Checkpoint, validation: Samples, loss: str
) -> dict[str, float]:
    """Return the IoU of both, each as it sees them, on clear ground of held-out tiles.

    Nothing if no labelled pixel is clear.
    """
    if validation.clear is None:
        return {}
    clear = torch.where(
        validation.clear, validation.label, torch.full_like(validation.label, IGNORE)
    )
    shown = (clear != IGNORE).any(dim=(1, 2))
    if not bool(shown.any()):
        return {}
    seen = replace(validation, label=clear).take(torch.nonzero(shown)[:, 0])
    views = {
        "teacher": (teacher, as_seen(seen, teacher.inputs)),
        "student": (student, radar_alone(seen)),
    }
    return {
        f"{name}_iou": scores_of(network, view, loss_of(loss))["iou"]
        for name, (network, view) in views.items()
    }


def require_teacher(teacher: Checkpoint, student: Checkpoint, path: str) -> None:
    """Check that a checkpoint can teach.

    Raises
    ------
    CheckpointError
        If it takes no optical channels or tells other classes apart than the student.
    RecipeMismatchError
        If it sees radar bands, too, of another recipe.
    """
    if teacher.inputs == "radar" or teacher.classes != student.classes:
        raise CheckpointError(
            f"{path}: takes {teacher.inputs} inputs and tells {list(teacher.classes)} apart, but "
            f"optical inputs and {list(student.classes)} are expected; train it with `teach`"
        )
    if teacher.inputs == "fused":
        student.recipe.require_inputs(teacher.recipe, path)
