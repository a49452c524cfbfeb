"""Distillation from a frozen teacher that sees optical images to a radar student.

After HFD-Net (Gao and Dong 2022, arXiv 2210.08988): teacher and student have one architecture, the
student's features are drawn towards the teacher's at every scale, and an alignment module, used in
training only, carries what the coarser scales agreed on to the finer ones. The paper's code isn't
public, so the form of the module is this project's. The other terms are in
`floodloom.learning.distillation`. All act only where the optical image is clear or, if that is
asked for and the teacher has learnt to do without it, wherever the radar has data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from floodloom.errors import CheckpointError
from floodloom.learning.augment import Augmentation
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data import Samples
from floodloom.learning.device import default_device
from floodloom.learning.distillation import (
    Distillation,
    attention_loss,
    feature_loss,
    logit_loss,
    relation_loss,
    teacher_weight,
)
from floodloom.learning.inference import ensemble_of
from floodloom.learning.journal import Sidecars
from floodloom.learning.loop import fit
from floodloom.learning.losses import Loss, loss_of
from floodloom.learning.misregistration import best_shift, moved
from floodloom.learning.objective import Objective, all_logits
from floodloom.learning.optical import fused
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.supervise import completed, training_record
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize

_AT_ONCE = 16


class FeatureAlignment(nn.Module):
    """Bring the student's features to the teacher's channels, coarse scales informing fine ones.

    Scales are paired from the finest on, so that the two networks may differ in depth.
    """

    def __init__(self, student: Sequence[int], teacher: Sequence[int]) -> None:
        super().__init__()
        self.scales = min(len(student), len(teacher))
        pairs = list(zip(student[-self.scales :], teacher[-self.scales :], strict=True))
        self.project = nn.ModuleList(nn.Conv2d(ours, theirs, 1) for ours, theirs in pairs)
        self.descend = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1, bias=False) for (_, coarse), (_, fine) in pairwise(pairs)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return one aligned map per scale, coarsest first."""
        aligned: list[Tensor] = []
        for level, feature in enumerate(features[-self.scales :]):
            projected = self.project[level](feature)
            if level:
                carried = self.descend[level - 1](aligned[-1])
                projected = projected + resize(carried, projected.shape[-2:])
            aligned.append(projected)
        return aligned


class Distiller(nn.Module):
    """What is trained: the student and the alignment module; alone it is the student."""

    def __init__(self, student: Segmenter, alignment: FeatureAlignment) -> None:
        super().__init__()
        self.student = student
        self.alignment = alignment

    def forward(self, image: Tensor) -> Tensor:
        """Return the student's logits."""
        return self.student(image)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Guide:
    """A frozen teacher: what it takes, and its features."""

    network: Segmenter
    fused: bool

    @classmethod
    def of(cls, teacher: Checkpoint) -> Guide:
        """Return a checkpoint's network, ready to teach; its weights never change."""
        network = teacher.model().to(default_device()).eval().requires_grad_(False)
        return cls(network, teacher.inputs == "fused")

    @torch.no_grad()
    def features(self, batch: Samples) -> list[Tensor]:
        """Return the features of tiles with their companions, coarsest first."""
        if batch.optical is None:
            raise CheckpointError("tiles: the teacher's features need the optical images")
        seen = fused(batch).image if self.fused else batch.optical
        return self.network.features(seen)


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
    seen = fused(samples).image if teacher.inputs == "fused" else samples.optical
    clear = samples.clear
    if everywhere and copes(teacher):
        clear = (samples.image != 0).any(dim=1)
    opinions = ensemble_of([replace(teacher, temperature=1.0)])
    soft = [opinions.logits(part, tta=True).half() for part in torch.split(seen, _AT_ONCE)]
    return replace(samples, clear=clear, soft=torch.cat(soft))


def distilling(guide: Guide, loss: Loss, settings: Distillation) -> Objective:
    """Return the objective: the supervised loss, and the terms where the teacher is listened to."""

    def objective(module: nn.Module, batch: Samples) -> Tensor:
        if not isinstance(module, Distiller):
            raise TypeError(f"module: a Distiller is expected, got {type(module).__name__}")
        student = module.student
        features = student.features(batch.image)
        logits, *sides = all_logits(student, features, batch.image)
        label = batch.label.long()
        value = sum((loss(side.float(), label) for side in sides), loss(logits.float(), label))
        if batch.soft is None or batch.clear is None or not bool(batch.clear.any()):
            return value
        weight = teacher_weight(batch.soft, batch.clear, settings.confidence)
        shift = best_shift(logits, batch.soft, weight, settings.tolerance)
        weight = moved(weight, shift)
        soft = logit_loss(logits, moved(batch.soft, shift), weight, settings.softening)
        value = value + settings.logit_weight * soft
        if not settings.on_features:
            return value
        target = [
            moved(theirs, shift, batch.image.shape[-1] / theirs.shape[-1])
            for theirs in guide.features(batch)
        ]
        return value + _on_features(module, features, target, weight, settings)

    return objective


def _on_features(
    module: Distiller,
    features: list[Tensor],
    target: list[Tensor],
    weight: Tensor,
    settings: Distillation,
) -> Tensor:
    value = torch.zeros((), device=weight.device)
    if settings.relation_weight:
        value = value + settings.relation_weight * relation_loss(features, target, weight)
    aligned = module.alignment(features)
    if settings.feature_weight:
        value = value + settings.feature_weight * feature_loss(aligned, target, weight)
    if settings.attention_weight:
        value = value + settings.attention_weight * attention_loss(aligned, target, weight)
    return value


def distill_student(
    start: Checkpoint,
    teacher: Checkpoint,
    training: Samples,
    validation: Samples,
    plan: TrainingPlan,
    *,
    settings: Distillation,
    loss: str,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
) -> Checkpoint:
    """Train a radar student beside a teacher that sees optical images.

    Parameters
    ----------
    start
        Radar checkpoint whose weights the student starts from.
    teacher
        Checkpoint with optical or fused inputs and the same classes.
    training
        Tiles; those without an optical companion give the supervised loss only, those without
        labels the teacher's terms only.
    validation
        Radar tiles.

    Returns
    -------
    Checkpoint
        The student alone; the alignment module has done its work.
    """
    student, guide = start.model(), Guide.of(teacher)
    training = with_opinion(training, teacher, settings.everywhere)
    if not settings.on_features:
        training = replace(training, optical=None)  # the opinion is all that is asked for
    torch.manual_seed(plan.seed)
    alignment = FeatureAlignment(student.feature_channels, guide.network.feature_channels)
    fitted = fit(
        Distiller(student, alignment),
        training,
        validation,
        plan,
        classes=len(start.classes),
        loss=loss_of(loss),
        objective=distilling(guide, loss_of(loss), settings),
        augmentation=augmentation,
        sidecars=sidecars,
        settings=(loss, settings),
    )
    weights = {
        name.removeprefix("student."): tensor
        for name, tensor in fitted.weights.items()
        if name.startswith("student.")
    }
    record = training_record(plan, loss=loss, **asdict(settings))
    return completed(start, fitted, weights, validation, record)


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
