"""What is minimised: a loss of the logits, alone or beside terms that need no labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from floodloom.errors import ConfigError
from floodloom.learning.data.samples import Samples
from floodloom.learning.losses.contrast import class_contrast
from floodloom.learning.losses.pixels import LOSSES, Loss, cross_entropy, loss_of
from floodloom.learning.losses.unlabelled import continuity, festa, similarity
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize

Objective = Callable[[nn.Module, Samples], Tensor]
"""From the trained module and a batch to what is minimised."""

FESTA_WEIGHT = 0.1  # Hua et al. 2021, section IV
CONTRAST_WEIGHT = 0.1  # as much as FESTA's terms
CONTINUITY_WEIGHT = 1.0  # Kim et al. 2020, scribbles: similarity 1, continuity 1, scribbles .5
SCRIBBLE_WEIGHT = 0.5


def supervised(loss: Loss) -> Objective:
    """Return the objective that is the loss of the module's logits, and of its side outputs'.

    All weigh alike: Qin et al. 2020 (U²-Net), eq. 1; Newell et al. 2016 (hourglass), section 3.2.
    """

    def objective(module: nn.Module, batch: Samples) -> Tensor:
        label = batch.label.long()
        return sum(
            (loss(logits.float(), label) for logits in _predictions(module, batch.image)),
            torch.zeros((), device=label.device),
        )

    return objective


def _predictions(module: nn.Module, image: Tensor) -> list[Tensor]:
    if not isinstance(module, Segmenter):
        return [module(image)]
    return all_logits(module, module.features(image), image)


def all_logits(network: Segmenter, features: list[Tensor], image: Tensor) -> list[Tensor]:
    """Return the network's logits, then those of its side outputs, all at the image's size."""
    sides = [resize(side, image.shape[-2:]) for side in network.side_logits(features)]
    return [network.logits(features, image), *sides]


def sparsely_supervised(module: nn.Module, batch: Samples) -> Tensor:
    """Return cross-entropy on the labelled pixels and FESTA's terms on the finest features."""
    features, logits = _features_and_logits(module, batch)
    finest = features[-1]
    valid = _has_data(batch)
    if finest.shape[-2:] != valid.shape[-2:]:
        size = (finest.shape[-2], finest.shape[-1])
        valid = nn.functional.adaptive_max_pool2d(valid.float().unsqueeze(1), size)[:, 0] > 0
    return cross_entropy(logits, batch.label.long()) + FESTA_WEIGHT * festa(finest, valid)


def contrasted(module: nn.Module, batch: Samples) -> Tensor:
    """Return cross-entropy, and a contrast of the finest features of the classes."""
    features, logits = _features_and_logits(module, batch)
    finest, label = features[-1], batch.label
    if finest.shape[-2:] != label.shape[-2:]:
        shrunk = nn.functional.interpolate(label.float().unsqueeze(1), finest.shape[-2:])
        label = shrunk[:, 0]
    contrast = class_contrast(finest, label.long(), logits.shape[1])
    return cross_entropy(logits, batch.label.long()) + CONTRAST_WEIGHT * contrast


def scribbled(module: nn.Module, batch: Samples) -> Tensor:
    """Return Kim's similarity and continuity everywhere, and cross-entropy where labelled."""
    logits, valid = module(batch.image).float(), _has_data(batch)
    unsupervised = similarity(logits, valid) + CONTINUITY_WEIGHT * continuity(logits, valid)
    return unsupervised + SCRIBBLE_WEIGHT * cross_entropy(logits, batch.label.long())


def _features_and_logits(module: nn.Module, batch: Samples) -> tuple[list[Tensor], Tensor]:
    if not isinstance(module, Segmenter):
        raise TypeError(f"module: a Segmenter is expected, got {type(module).__name__}")
    features = module.features(batch.image)
    return features, module.logits(features, batch.image).float()


def _has_data(batch: Samples) -> Tensor:
    return (batch.image != 0).any(dim=1)


OBJECTIVES: dict[str, Objective] = {
    "contrast": contrasted,
    "festa": sparsely_supervised,
    "scribble": scribbled,
}
"""Objectives of more than the logits; what they are validated by is the cross-entropy."""


def objective_of(name: str, class_fractions: Sequence[float] = ()) -> tuple[Loss, Objective]:
    """Return the loss that is validated and the objective that is minimised.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name in OBJECTIVES:
        return cross_entropy, OBJECTIVES[name]
    if name not in LOSSES:
        known = ", ".join((*LOSSES, *OBJECTIVES))
        raise ConfigError(f"loss {name!r}: unknown; choose one of {known}")
    loss = loss_of(name, class_fractions)
    return loss, supervised(loss)
