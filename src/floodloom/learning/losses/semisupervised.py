"""Objectives that learn from labelled and from other tiles in one batch.

In every batch some tiles are labelled and the others are not, or only by a network
(`Samples.pseudo`). A guide, which follows the trained network as the moving average of its weights
where there is one, says what the others show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.errors import ConfigError, TrainingError
from floodloom.learning.data.augmentation import Augmentation, Draws, boxes, mixed
from floodloom.learning.data.samples import Samples
from floodloom.learning.losses.pixels import Loss
from floodloom.learning.training.distributed import total
from floodloom.learning.training.objective import Objective, supervised
from floodloom.models.base import Segmenter
from floodloom.raster.nodata import IGNORE

THRESHOLD = 0.95
"""UniMatch's least confidence of a pixel that teaches."""
FEATURE_DROPOUT = 0.5
SHARES = (0.25, 0.25, 0.5)
"""UniMatch's weights of the two strong views and of the view with lost features."""


@dataclass(frozen=True)
class SemiSupervision:
    """How tiles without true labels teach.

    Attributes
    ----------
    kind
        pseudo: by the labels that they come with; unimatch or mean-teacher: by what the guide says
        of them as it learns.
    apart
        pseudo: whether they are another sensor's, and so are normalised by their own batches in
        training, as they will be by their own statistics afterwards.
    strong
        unimatch, mean-teacher: how their strong views are changed beyond what all tiles are; boxes
        of other tiles come from `strong.cutmix`.
    """

    kind: str = "pseudo"
    apart: bool = False
    strong: Augmentation = field(default_factory=lambda: Augmentation(cutmix=0.5))


@dataclass(frozen=True)
class Guided:
    """An objective that also needs the guide: (module, batch, guide) to what is minimised."""

    objective: Callable[[nn.Module, Samples, nn.Module], Tensor]

    def by(self, guide: nn.Module) -> Objective:
        """Return the objective with this guide."""

        def objective(module: nn.Module, batch: Samples) -> Tensor:
            return self.objective(module, batch, guide)

        return objective


def semi_supervised(loss: Loss, settings: SemiSupervision) -> Objective | Guided:
    """Return the objective for batches with tiles that have no true label.

    Parameters
    ----------
    loss
        Of the labelled tiles' logits.
    settings
        How the others teach.

    Raises
    ------
    ConfigError
        If there is no such kind.
    """
    if settings.kind == "pseudo":
        by = _by_labels_apart if settings.apart else _by_labels
        return by(loss)
    if settings.kind not in KINDS:
        raise ConfigError(
            f"consistency {settings.kind!r}: unknown; choose one of {', '.join(KINDS)}"
        )
    consistent = KINDS[settings.kind]

    def objective(module: nn.Module, batch: Samples, guide: nn.Module) -> Tensor:
        labelled, others = _parted(batch)
        logits, consistency = consistent(module, labelled.image, others, guide, settings)
        return (loss(logits.float(), labelled.label.long()) + consistency) / 2

    return Guided(objective)


def _by_labels(loss: Loss) -> Objective:
    def objective(module: nn.Module, batch: Samples) -> Tensor:
        own = _flags(batch).view(-1, 1, 1)

        def both(logits: Tensor, label: Tensor) -> Tensor:
            true = loss(logits, label.masked_fill(own, IGNORE))
            return (true + loss(logits, label.masked_fill(~own, IGNORE))) / 2

        return supervised(both)(module, batch)

    return objective


def _by_labels_apart(loss: Loss) -> Objective:
    """As `_by_labels`, with batch normalisation of each kind of tiles by itself.

    References
    ----------
    Chang et al. (2019), Domain-specific batch normalization, arXiv 1906.03950, section 3.2.
    """
    of = supervised(loss)

    def objective(module: nn.Module, batch: Samples) -> Tensor:
        labelled, others = _parted(batch)
        return (of(module, labelled) + of(module, others)) / 2

    return objective


def _flags(batch: Samples) -> Tensor:
    if batch.pseudo is None:
        return torch.zeros(len(batch), dtype=torch.bool, device=batch.label.device)
    return batch.pseudo


def _parted(batch: Samples) -> tuple[Samples, Samples]:
    own = _flags(batch)
    labelled, others = (torch.nonzero(kind).squeeze(1) for kind in (~own, own))
    if not len(labelled) or not len(others):
        raise TrainingError(
            f"{len(labelled)} labelled and {len(others)} other tiles in a part of a batch: both "
            "are needed; raise `batch` or `micro_batch`"
        )
    return batch.take(labelled), batch.take(others)


def unimatch(
    module: nn.Module,
    labelled: Tensor,
    others: Samples,
    guide: nn.Module,
    settings: SemiSupervision,
) -> tuple[Tensor, Tensor]:
    """Return the labelled tiles' logits and UniMatch's consistency of the others.

    Two strong views, each with boxes of another tile, and the weak view with half of its features
    lost must agree with what the guide says of the weak view where it is sure.

    Parameters
    ----------
    module
        What is trained.
    labelled
        (N, band, y, x) images.
    others
        Tiles whose labels aren't looked at.
    guide
        Network in whose confident pixels the views must agree.
    settings
        Strong views; the three terms weigh as `SHARES`.

    References
    ----------
    Yang et al. (2023), Revisiting weak-to-strong consistency, arXiv 2208.09910, eq. 1 to 9; here
    with radar noise in place of colour jitter, and features of the decoder, which all networks
    have, in place of the encoder's.
    """
    said, seen = _said(guide, others.image)
    confidence, likeliest = said.max(dim=1)
    sure = torch.where(confidence >= THRESHOLD, likeliest, IGNORE)
    views = [_strong_view(others.image, sure, seen, settings.strong) for _ in range(2)]
    strong = module(torch.cat([view.image for view in views])).split(len(others))
    logits, lost = _with_lost_features(module, torch.cat([labelled, others.image]), len(labelled))
    weak = Samples(others.image, sure, clear=seen)
    value = torch.zeros((), device=labelled.device)
    for share, prediction, view in zip(SHARES, (*strong, lost), (*views, weak), strict=True):
        negative = F.cross_entropy(
            prediction.float(), view.label, ignore_index=IGNORE, reduction="none"
        )
        value = value + share * _mean(negative, view.clear)
    return logits, value


def mean_teacher(
    module: nn.Module,
    labelled: Tensor,
    others: Samples,
    guide: nn.Module,
    settings: SemiSupervision,
) -> tuple[Tensor, Tensor]:
    """Return the labelled tiles' logits and the mean teacher's consistency of the others.

    The squared distance between the class probabilities of a strong view and those that the guide
    gives of the weak view, whatever its confidence. Parameters as for `unimatch`.

    References
    ----------
    Tarvainen and Valpola (2017), arXiv 1703.01780, section 2; boxes of other tiles after French et
    al. (2020), arXiv 1906.01916, section 3.2.
    """
    said, seen = _said(guide, others.image)
    view = _strong_view(others.image, said, seen, settings.strong)
    logits = module(torch.cat([labelled, view.image]))
    probability = logits[len(labelled) :].float().softmax(dim=1)
    squared = (probability - view.label).square().sum(dim=1)
    return logits[: len(labelled)], _mean(squared, view.clear)


Consistency = Callable[
    [nn.Module, Tensor, Samples, nn.Module, SemiSupervision], tuple[Tensor, Tensor]
]
KINDS: dict[str, Consistency] = {"unimatch": unimatch, "mean-teacher": mean_teacher}
"""Consistencies by their names."""


@torch.no_grad()
def _said(guide: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the guide's class probabilities (N, class, y, x), and where there are data."""
    training = guide.training
    guide.eval()
    probability = guide(image).float().softmax(dim=1)
    guide.train(training)
    return probability, (image != 0).any(dim=1)


def _strong_view(image: Tensor, target: Tensor, seen: Tensor, strong: Augmentation) -> Samples:
    """Return tiles with boxes of their neighbours, noise, another gain and lost bands.

    `target` is (N, y, x) classes or (N, class, y, x) probabilities; `clear` of the result says
    where there are data.
    """
    draws = Draws(torch.randint(2**62, (len(image),)))
    weak = Samples(image, target, clear=seen)
    where = boxes(draws, strong.cutmix, image[:, 0].shape)
    chosen = torch.tensor([box is not None for box in where])
    both = mixed(weak, weak.take(torch.arange(len(weak)).roll(1)[chosen]), where)
    return replace(both, image=strong.disturbed(both.image, draws))


def _with_lost_features(module: nn.Module, image: Tensor, labelled: int) -> tuple[Tensor, Tensor]:
    """Return the labelled tiles' logits, and those of the others with half of their features."""
    if not isinstance(module, Segmenter):
        raise TypeError(f"module: a Segmenter is expected, got {type(module).__name__}")
    features = module.features(image)
    ours = module.logits([feature[:labelled] for feature in features], image[:labelled])
    kept = [F.dropout2d(feature[labelled:], FEATURE_DROPOUT) for feature in features]
    return ours, module.logits(kept, image[labelled:])


def _mean(values: Tensor, seen: Tensor | None) -> Tensor:
    counted = torch.ones_like(values) if seen is None else seen.to(values.dtype)
    return total((values * counted).sum()) / total(counted.sum()).clamp(min=1)
