"""Distillation from a frozen optical teacher to a radar student.

After HFD-Net (Gao and Dong 2022, arXiv 2210.08988): teacher and student have one architecture, the
student's features are drawn towards the teacher's at every scale, and an alignment module, used in
training only, carries what the coarser scales agreed on to the finer ones. The paper's code isn't
public, so the form of the module is this project's. To it comes the distillation of softened logits
(Hinton et al. 2015, arXiv 1503.02531). Both act only where the optical image is clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.errors import CheckpointError
from floodloom.learning.augment import Augmentation
from floodloom.learning.checkpoint import Checkpoint
from floodloom.learning.data import Samples
from floodloom.learning.device import default_device
from floodloom.learning.journal import Sidecars
from floodloom.learning.loop import fit
from floodloom.learning.losses import Loss, loss_of
from floodloom.learning.objective import Objective
from floodloom.learning.plan import TrainingPlan
from floodloom.learning.supervise import completed, training_record
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize


@dataclass(frozen=True)
class Distillation:
    """Weights of the feature and the logit term, and the temperature that softens the logits."""

    feature_weight: float = 0.5
    logit_weight: float = 0.5
    softening: float = 2.0


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


def feature_loss(aligned: list[Tensor], target: list[Tensor], clear: Tensor) -> Tensor:
    """Return 1 - cosine between aligned and target features, averaged over clear pixels.

    Parameters
    ----------
    aligned, target
        (N, C, y, x) per scale, coarsest first; the last ones are paired.
    clear
        (N, y, x) bool at full size. A coarse pixel weighs by the clear share of its ground.
    """
    total = torch.zeros((), device=clear.device)
    for ours, theirs in zip(aligned, target[-len(aligned) :], strict=True):
        ours = ours.float()
        theirs = resize(theirs.float(), ours.shape[-2:])
        distance = 1 - F.cosine_similarity(ours, theirs, dim=1)
        height, width = ours.shape[-2:]
        weight = F.adaptive_avg_pool2d(clear.float(), (height, width))
        total = total + (distance * weight).sum() / weight.sum().clamp(min=1e-6)
    return total / len(aligned)


def logit_loss(logits: Tensor, target: Tensor, clear: Tensor, softening: float) -> Tensor:
    """Return T² KL(teacher || student) of logits softened by T, averaged over clear pixels."""
    ours = F.log_softmax(logits.float() / softening, dim=1)
    theirs = F.log_softmax(target.float() / softening, dim=1)
    divergence = (theirs.exp() * (theirs - ours)).sum(dim=1)
    return softening**2 * (divergence * clear).sum() / clear.sum().clamp(min=1)


def distilling(teacher: Segmenter, loss: Loss, settings: Distillation) -> Objective:
    """Return the objective: supervised loss, plus the two terms where the optical image is clear.

    The teacher runs in inference mode and its weights are never part of the trained module.
    """
    frozen = teacher.to(default_device()).eval().requires_grad_(False)

    def objective(module: nn.Module, batch: Samples) -> Tensor:
        if not isinstance(module, Distiller):
            raise TypeError(f"module: a Distiller is expected, got {type(module).__name__}")
        features = module.student.features(batch.image)
        logits = module.student.logits(features, batch.image)
        value = loss(logits.float(), batch.label.long())
        if batch.optical is None or batch.clear is None or not bool(batch.clear.any()):
            return value
        with torch.no_grad():
            target = frozen.features(batch.optical)
            target_logits = frozen.logits(target, batch.optical)
        aligned = module.alignment(features)
        value = value + settings.feature_weight * feature_loss(aligned, target, batch.clear)
        soft = logit_loss(logits, target_logits, batch.clear, settings.softening)
        return value + settings.logit_weight * soft

    return objective


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
    """Train a radar student beside an optical teacher.

    Parameters
    ----------
    start
        Radar checkpoint whose weights the student starts from.
    teacher
        Optical checkpoint with the same classes.
    training
        Tiles; those without an optical companion give the supervised loss only.
    validation
        Radar tiles.

    Returns
    -------
    Checkpoint
        The student alone; the alignment module has done its work.
    """
    student, guide = start.model(), teacher.model()
    torch.manual_seed(plan.seed)
    alignment = FeatureAlignment(student.feature_channels, guide.feature_channels)
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
    """
    if teacher.inputs != "optical" or teacher.classes != student.classes:
        raise CheckpointError(
            f"{path}: takes {teacher.inputs} inputs and tells {list(teacher.classes)} apart, but "
            f"optical inputs and {list(student.classes)} are expected; train it with `teach`"
        )
