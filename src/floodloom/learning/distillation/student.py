"""The radar student, and its training beside the teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data.augmentation import Augmentation
from floodloom.learning.data.optical import drop_optical, drop_optical_image
from floodloom.learning.data.samples import Samples, Tiles
from floodloom.learning.data.training_set import TrainingSet
from floodloom.learning.data.zarr_tiles import labelled_tiles, map_tiles, select_tiles
from floodloom.learning.distillation.settings import DistillationTerms, DistillSettings
from floodloom.learning.distillation.teacher import (
    FrozenTeacher,
    add_teacher_logits,
    compare_with_teacher,
    transfer_weights,
)
from floodloom.learning.distillation.terms import (
    attention_loss,
    feature_loss,
    find_shift,
    logit_loss,
    shift_tiles,
)
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.training.loop import fit
from floodloom.learning.training.state import Sidecars, write_history
from floodloom.learning.training.train import complete_checkpoint, train_checkpoint, training_record
from floodloom.log import get_logger
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize

_REACH_PX = 2  # what pairing leaves undone (.04 px in the median) lies within it


_log = get_logger(__name__)


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


class AsTheyAre(nn.Module):
    """The student's features themselves: an identical teacher has the same channels and scales."""

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return the features."""
        return features


class Distiller(nn.Module):
    """What is trained: the student and the alignment module; alone it is the student."""

    def __init__(self, student: Segmenter, alignment: FeatureAlignment | AsTheyAre) -> None:
        super().__init__()
        self.student = student
        self.alignment = alignment

    def forward(self, image: Tensor) -> Tensor:
        """Return the student's logits."""
        return self.student(image)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class DistillationObjective:
    """The supervised loss, and the terms where the teacher counts."""

    teacher: FrozenTeacher = field(repr=False)
    settings: DistillationTerms

    def __call__(
        self,
        module: nn.Module,
        batch: Samples,
        *,
        loss: Loss,
        averaged: nn.Module,
        progress: float = 1.0,
    ) -> Tensor:
        """Return what is minimised."""
        if not isinstance(module, Distiller):
            raise TypeError(f"module: a Distiller is expected, got {type(module).__name__}")

        settings = self.settings
        prediction = Prediction(module.student, batch.image)
        value = loss(prediction, batch)
        if batch.soft is None or batch.clear is None or not bool(batch.clear.any()):
            return value

        weight = batch.clear.float()
        shift = find_shift(prediction.logits, batch.soft, weight, _REACH_PX)
        weight, target = shift_tiles(weight, shift), shift_tiles(batch.soft, shift)
        soft = logit_loss(prediction.logits, target, weight, settings.temperature)
        value = value + settings.logit_weight * soft
        if not settings.on_features:
            return value
        theirs = [
            shift_tiles(feature, shift, batch.image.shape[-1] / feature.shape[-1])
            for feature in self.teacher.features(batch)
        ]
        return value + _on_features(module, prediction.features, theirs, weight, settings)


def _on_features(
    module: Distiller,
    features: list[Tensor],
    target: list[Tensor],
    weight: Tensor,
    settings: DistillationTerms,
) -> Tensor:
    value = torch.zeros((), device=weight.device)
    aligned = module.alignment(features)
    if settings.feature_weight:
        value = value + settings.feature_weight * feature_loss(aligned, target, weight)
    if settings.attention_weight:
        value = value + settings.attention_weight * attention_loss(aligned, target, weight)
    return value


def distill_student(
    start: Checkpoint,
    teacher: Checkpoint,
    training: Tiles,
    validation: Tiles,
    settings: DistillSettings,
    *,
    begun: Checkpoint | None = None,
    augmentation: Augmentation | None = None,
    sidecars: Sidecars | None = None,
) -> Checkpoint:
    """Train a radar student beside a teacher that sees optical images.

    If it comes out above its teacher where held-out tiles show an optical image, another is trained
    with as many steps on the labels alone, and the better one on the held-out tiles is kept.

    Parameters
    ----------
    start
        Radar checkpoint with fresh weights.
    teacher
        Checkpoint with optical or fused inputs and the same classes.
    training
        Tiles; those without an optical companion give the supervised loss only, those without
        labels the teacher's terms only.
    validation
        Tiles, with companions where the teacher is to be scored.
    settings
        How to train it, and what the teacher adds.
    begun
        What the taught student begins with; by default `settings.student`.
    augmentation, sidecars
        See `floodloom.learning.training.loop.fit`.

    Returns
    -------
    Checkpoint
        The student alone; the alignment module has done its work. Its record of the training states
        whether it was `taught`, and with `teacher_iou` and `student_iou` how the two did where
        held-out tiles show an optical image, if they do.
    """
    held_out = map_tiles(validation, drop_optical)
    if begun is None:
        transfers = settings.student == "from-teacher"
        begun = transfer_weights(start, teacher) if transfers else start
    taught = _train_with_terms(
        begun, teacher, training, held_out, settings, augmentation, sidecars or Sidecars()
    )

    # Uninformative images show in a student that scores more without them than its teacher with.
    found = compare_with_teacher(teacher, taught, validation, settings.loss)
    if not found or found["student_iou"] < found["teacher_iou"]:
        return _recorded(taught, taught=True, **found)
    known = labelled_tiles(training)
    labelled = map_tiles(select_tiles(training, known), drop_optical)
    as_long = {"epochs": round(settings.epochs * len(training) / len(known))}
    alone = train_checkpoint(
        start,
        TrainingSet.of(labelled, len(start.classes)),
        held_out,
        settings.model_copy(update=as_long),
        augmentation=augmentation,
    )
    score = "iou" if settings.monitor == "epoch" else settings.monitor
    if _is_better(taught, alone, score, found):
        return _recorded(taught, taught=True, **found)
    write_history(sidecars or Sidecars(), alone.history)
    return _recorded(alone, taught=False, **found)


def _train_with_terms(
    begun: Checkpoint,
    teacher: Checkpoint,
    training: Tiles,
    held_out: Tiles,
    settings: DistillSettings,
    augmentation: Augmentation | None,
    sidecars: Sidecars,
) -> Checkpoint:
    """Return the student that the labels and the teacher's terms make."""
    folder = None if sidecars.state is None else sidecars.state.parent
    guided = add_teacher_logits(training, teacher, folder)
    if not settings.on_features:
        # Of the teacher, the logits are all that is needed.
        guided = map_tiles(guided, drop_optical_image)

    student, frozen = begun.model(), FrozenTeacher.of(teacher)
    torch.manual_seed(settings.seed)
    alignment: FeatureAlignment | AsTheyAre = AsTheyAre()
    if settings.student != "identical":
        alignment = FeatureAlignment(student.feature_channels, frozen.network.feature_channels)
    fitted = fit(
        Distiller(student, alignment),
        TrainingSet.of(guided, len(begun.classes), labelled=False),
        held_out,
        settings,
        objective=DistillationObjective(frozen, settings),
        augmentation=augmentation,
        sidecars=sidecars,
    )
    own = "student."
    weights = {
        name.removeprefix(own): tensor
        for name, tensor in fitted.weights.items()
        if name.startswith(own)
    }
    terms = settings.model_dump(include=set(DistillationTerms.model_fields))
    record = training_record(settings, **terms)
    return complete_checkpoint(begun, fitted, weights, held_out, record)


def _is_better(
    taught: Checkpoint, alone: Checkpoint, score: str, found: Mapping[str, float]
) -> bool:
    """Return whether a student scores as much as one of the labels alone, and warn of it."""
    better = taught.scores[score] >= alone.scores[score]
    _log.warning(
        "the teacher's IoU is %.3f where held-out tiles show an optical image, its student's %.3f "
        "without: the images hold little information; if they are too old, lower "
        "`tile.optical_gap_days`. A student of the labels alone has %s %.3f on all held-out tiles, "
        "the taught one %.3f, which is %s",
        found["teacher_iou"],
        found["student_iou"],
        score,
        alone.scores[score],
        taught.scores[score],
        "kept" if better else "given up",
    )
    return better


def _recorded(checkpoint: Checkpoint, **more: Any) -> Checkpoint:
    return replace(checkpoint, training={**checkpoint.training, **more})
