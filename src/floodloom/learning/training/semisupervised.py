"""Objectives that learn from labelled and from other tiles in one batch.

In every batch some tiles are labelled and the others are not, or only by a network
(`Samples.pseudo`). Consistency takes their targets from a teacher, the moving average of the
trained network's weights (the network itself where there is none).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.arrays import IGNORE
from floodloom.errors import TrainingError
from floodloom.learning.data.augmentation import Augmentation, Draws, draw_boxes, mix_boxes
from floodloom.learning.data.samples import Samples
from floodloom.learning.loss import Loss, Prediction
from floodloom.learning.training.distributed import sum_over_processes
from floodloom.learning.training.loop import Objective
from floodloom.learning.training.settings import Consistency
from floodloom.models.base import Segmenter

THRESHOLD = 0.95
"""UniMatch's least confidence of a pixel that counts."""
FEATURE_DROPOUT = 0.5
SHARES = (0.25, 0.25, 0.5)
"""UniMatch's weights of the two strong views and of the view with dropped features."""
RAMP_UP = 0.25
"""Share of a training over which the mean teacher's consistency comes in; floodloom's own."""


def semisupervised_objective(
    consistency: Consistency, strong: Augmentation, *, separate_batchnorm: bool = False
) -> Objective:
    """Return the objective for batches with tiles that have no true label.

    Parameters
    ----------
    consistency
        pseudo (by the labels that they come with), unimatch or mean-teacher.
    strong
        How strong views are changed beyond what all tiles are.
    separate_batchnorm
        pseudo: whether they are another sensor's, and so are normalised by their own batches in
        training, as they will be by their own statistics afterwards.
    """
    if consistency == "unimatch":
        return UniMatch(strong)
    if consistency == "mean-teacher":
        return MeanTeacher(strong)
    return PseudoLabels(separate_batchnorm)


@dataclass(frozen=True)
class PseudoLabels:
    """The loss by the labels that the other tiles come with.

    Both kinds of tiles weigh alike. With `separate_batchnorm` batch normalisation takes each kind
    by itself (Chang et al. 2019, Domain-specific batch normalization, arXiv 1906.03950, section
    3.2).
    """

    separate_batchnorm: bool = False

    def __call__(
        self,
        module: nn.Module,
        batch: Samples,
        *,
        loss: Loss,
        averaged: nn.Module,
        progress: float = 1.0,
    ) -> Tensor:
        """Return the mean of the losses of labelled and of other tiles."""
        if self.separate_batchnorm:
            parts = split_by_label(batch)
            first, second = (loss(Prediction(module, part.image), part) for part in parts)
            return (first + second) / 2

        # One pass for both kinds, so that batch normalisation sees them together.
        prediction, own = Prediction(module, batch.image), _pseudo(batch).view(-1, 1, 1)
        hidden = (batch.label.masked_fill(other, IGNORE) for other in (own, ~own))
        first, second = (loss(prediction, replace(batch, label=label)) for label in hidden)
        return (first + second) / 2


@dataclass(frozen=True)
class UniMatch:
    """Two strong views, and one with dropped features, must agree with the teacher.

    Two strong views of the unlabelled tiles, each with boxes of another tile, and the weak view
    with half of its features dropped must agree with what the teacher predicts of the weak view
    where it is sure. The three terms weigh as `SHARES`; labels of unlabelled tiles aren't read.

    Attributes
    ----------
    strong
        How strong views are changed beyond what all tiles are; boxes of other tiles come from
        `strong.cutmix`.

    References
    ----------
    Yang et al. (2023), Revisiting weak-to-strong consistency, arXiv 2208.09910, eq. 1 to 9; here
    with radar noise in place of colour jitter. Features are dropped where the encoder hands over to
    the decoder; networks without a decoder lose those that they classify.
    """

    strong: Augmentation = field(default_factory=lambda: Augmentation(cutmix=0.5))

    def __call__(
        self,
        module: nn.Module,
        batch: Samples,
        *,
        loss: Loss,
        averaged: nn.Module,
        progress: float = 1.0,
    ) -> Tensor:
        """Return the mean of the labelled tiles' loss and of the consistency of the others."""
        labelled, others = split_by_label(batch)
        probability = _teacher_probabilities(averaged, others.image)
        confidence, likeliest = probability.max(dim=1)
        weak = replace(others, label=torch.where(confidence >= THRESHOLD, likeliest, IGNORE))

        # Strong views go through the network at once, then the weak one with the labelled tiles.
        views = [_strong_view(weak, self.strong) for _ in range(2)]
        strong = module(torch.cat([view.image for view in views])).split(len(others))
        images = torch.cat([labelled.image, others.image])
        prediction = _with_dropped_features(module, images, len(labelled))
        dropped = prediction.logits[len(labelled) :]

        consistency = torch.zeros((), device=images.device)
        for share, logits, view in zip(SHARES, (*strong, dropped), (*views, weak), strict=True):
            negative = F.cross_entropy(
                logits.float(), view.label, ignore_index=IGNORE, reduction="none"
            )
            consistency = consistency + share * _mean(negative, view.any_valid)
        return (loss(prediction.first(len(labelled)), labelled) + consistency) / 2


@dataclass(frozen=True)
class MeanTeacher:
    """A strong view must have the class probabilities that the teacher gives of the weak view.

    The consistency is the squared distance of the probabilities, whatever the confidence. It comes
    in by `ramp_up`, as the average is no teacher yet in the beginning. Labels of unlabelled tiles
    aren't read.

    Attributes
    ----------
    strong
        As for `UniMatch`.

    References
    ----------
    Tarvainen and Valpola (2017), arXiv 1703.01780, section 2 and appendix B; boxes of other tiles
    after French et al. (2020), arXiv 1906.01916, section 3.2.
    """

    strong: Augmentation = field(default_factory=lambda: Augmentation(cutmix=0.5))

    def __call__(
        self,
        module: nn.Module,
        batch: Samples,
        *,
        loss: Loss,
        averaged: nn.Module,
        progress: float = 1.0,
    ) -> Tensor:
        """Return the mean of the labelled tiles' loss and of the consistency of the others."""
        labelled, others = split_by_label(batch)
        probability = _teacher_probabilities(averaged, others.image)
        view = _strong_view(replace(others, label=probability), self.strong)
        prediction = Prediction(module, torch.cat([labelled.image, view.image]))

        probability = prediction.logits[len(labelled) :].float().softmax(dim=1)
        squared = (probability - view.label).square().sum(dim=1)
        consistency = ramp_up(progress) * _mean(squared, view.any_valid)
        return (loss(prediction.first(len(labelled)), labelled) + consistency) / 2


def ramp_up(progress: float) -> float:
    """Return the weight of the mean teacher's consistency, exp(-5 (1 - t)²).

    Parameters
    ----------
    progress
        Share of the steps that are done, 0-1; t is its share of `RAMP_UP`, 1 at most.

    References
    ----------
    Tarvainen and Valpola (2017), arXiv 1703.01780, appendix B, after Laine and Aila (2017).
    """
    return math.exp(-5 * (1 - min(progress / RAMP_UP, 1)) ** 2)


def split_by_label(batch: Samples) -> tuple[Samples, Samples]:
    """Return the labelled and the other tiles of a batch.

    Raises
    ------
    TrainingError
        If there are none of either.
    """
    own = _pseudo(batch)
    labelled, others = (torch.nonzero(kind).squeeze(1) for kind in (~own, own))
    if not len(labelled) or not len(others):
        raise TrainingError(
            f"{len(labelled)} labelled and {len(others)} other tiles in a part of a batch: both "
            "are needed; raise `batch`"
        )
    return batch.take(labelled), batch.take(others)


def _pseudo(batch: Samples) -> Tensor:
    if batch.pseudo is None:
        return torch.zeros(len(batch), dtype=torch.bool, device=batch.label.device)
    return batch.pseudo


@torch.no_grad()
def _teacher_probabilities(teacher: nn.Module, image: Tensor) -> Tensor:
    """Return the teacher's class probabilities (N, class, y, x), in evaluation mode."""
    training = teacher.training
    teacher.eval()
    probability: Tensor = teacher(image).float().softmax(dim=1)
    teacher.train(training)
    return probability


def _strong_view(weak: Samples, strong: Augmentation) -> Samples:
    """Return tiles with boxes of their neighbours, noise, another gain and lost bands.

    `weak.label` are (N, y, x) classes or (N, class, y, x) probabilities. `valid` of the result
    are those with data: bands that the strong view loses count.
    """
    draws = Draws(torch.randint(2**62, (len(weak),)))
    where = draw_boxes(draws, strong.cutmix, weak.image[:, 0].shape)
    chosen = torch.tensor([box is not None for box in where])
    both = mix_boxes(weak, weak.take(torch.arange(len(weak)).roll(1)[chosen]), where)
    return replace(both, image=strong.change_images(both, draws).image)


def _with_dropped_features(module: nn.Module, image: Tensor, labelled: int) -> Prediction:
    """Return the prediction of images of which all but the labelled ones lose half their features.

    They lose them where the encoder hands over to the decoder, all scales alike.
    """
    if not isinstance(module, Segmenter):
        raise TypeError(f"module: a Segmenter is expected, got {type(module).__name__}")

    def drop(feature: Tensor) -> Tensor:
        lost = F.dropout2d(feature[labelled:], FEATURE_DROPOUT)
        return torch.cat([feature[:labelled], lost])

    return Prediction(module, image, module.changed_features(image, drop))


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    counted = valid.to(values.dtype)
    total: Tensor = sum_over_processes((values * counted).sum())
    mean: Tensor = total / sum_over_processes(counted.sum()).clamp(min=1)
    return mean
