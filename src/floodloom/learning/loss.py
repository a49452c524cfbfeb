"""What a loss is, and what losses share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.arrays import IGNORE
from floodloom.learning.data.samples import Samples
from floodloom.learning.training.distributed import sum_over_processes
from floodloom.models.base import Segmenter
from floodloom.models.blocks import resize

LogitLoss = Callable[..., Tensor]
"""From logits and labels, and maybe `weights` (class,) float32, to a scalar."""


class Prediction:
    """What a network makes of images (N, band, y, x): logits and the features that they come from.

    A module that is no `Segmenter` has logits alone.

    Parameters
    ----------
    module
        The network.
    image
        Its input.
    features
        What `module.features(image)` gave, if that is known, or a changed copy of it.
    """

    def __init__(
        self, module: nn.Module, image: Tensor, features: list[Tensor] | None = None
    ) -> None:
        self._network = module if isinstance(module, Segmenter) else None
        self._size = image.shape[-2:]
        self.features = features or []
        if self._network is None:
            self.logits: Tensor = module(image)
            return
        if features is None:
            self.features = self._network.features(image)
        self.logits = self._network.logits(self.features, image)

    def first(self, count: int) -> Prediction:
        """Return what was made of the first images."""
        part = copy.copy(self)
        part.__dict__.pop("side_logits", None)  # those of all images
        part.features = [feature[:count] for feature in self.features]
        part.logits = self.logits[:count]
        return part

    @property
    def finest(self) -> Tensor:
        """Features (N, channel, y, x) of the finest scale."""
        if not self.features:
            raise TypeError("module: a Segmenter is expected, others have no features")
        return self.features[-1]

    @property
    def side_weight(self) -> float:
        """What the loss of each side output weighs."""
        return 1.0 if self._network is None else self._network.side_weight

    @cached_property
    def side_logits(self) -> list[Tensor]:
        """Logits of the side outputs at the image's size, none for most networks."""
        if self._network is None:
            return []
        return [resize(side, self._size) for side in self._network.side_logits(self.features)]


@dataclass(frozen=True)
class Loss:
    """What is minimised on labelled tiles, and what validates it.

    Attributes
    ----------
    of_logits
        Loss of logits and labels. It scores the validation tiles.
    of_prediction
        Loss of a whole prediction, its features included, and the batch. By default it is that of
        the logits plus those of the side outputs, which weigh as the network has it: alike in
        Qin et al. 2020 (U²-Net), eq. 1, and Newell et al. 2016 (hourglass), section 3.2.
    class_weighted
        Whether `of_logits` takes `weights` of the classes.
    weights
        Weights of the classes, none until `weigh_classes`.
    """

    of_logits: LogitLoss
    of_prediction: Callable[[Prediction, Samples], Tensor] | None = None
    class_weighted: bool = False
    weights: tuple[float, ...] = ()

    def __call__(self, prediction: Prediction, batch: Samples) -> Tensor:
        """Return what is minimised, () float32."""
        if self.of_prediction is not None:
            return self.of_prediction(prediction, batch)
        label = batch.label.long()
        losses = [self.of_logits(prediction.logits.float(), label)]
        for logits in prediction.side_logits:
            losses.append(prediction.side_weight * self.of_logits(logits.float(), label))
        return sum(losses, torch.zeros((), device=label.device))

    def weigh_classes(self, fractions: Sequence[float]) -> Loss:
        """Return the loss with weights from the share of each class in the training labels.

        They are inverse to the shares and average 1 over the pixels; a class that isn't there
        weighs nothing. A loss that isn't class-weighted stays as it is.
        """
        if not self.class_weighted:
            return self
        share = torch.tensor(fractions, dtype=torch.float32)
        weights = torch.where(share > 0, 1 / (share.clamp(min=1e-6) * (share > 0).sum()), 0.0)
        weighted = partial(self.of_logits, weights=weights)
        return replace(self, of_logits=weighted, weights=tuple(weights.tolist()))

    def __repr__(self) -> str:
        """Return names that are the same in every process."""
        parts = [_name(self.of_logits), _name(self.of_prediction), self.weights]
        return f"Loss({', '.join(map(str, parts))})"


def mean_of_labelled(values: Tensor, label: Tensor) -> Tensor:
    """Return the mean of values (N, y, x) over the labelled pixels of the batch, 0 without any."""
    labelled = label != IGNORE
    return sum_over_processes((values * labelled).sum()) / sum_over_processes(
        labelled.sum().to(values.dtype)
    ).clamp(min=1)


def _name(function: Callable[..., object] | None) -> str:
    if isinstance(function, partial):
        function = function.func
    return "-" if function is None else f"{function.__module__}.{function.__qualname__}"


def mask_contrast(
    query: Tensor,
    key: Tensor,
    mask: Tensor,
    key_mask: Tensor | None = None,
    memory: Tensor | None = None,
    temperature: float = 0.5,
) -> Tensor:
    """Return InfoNCE between object pixels and the objects' prototypes.

    Parameters
    ----------
    query
        (N, D, y, x) embeddings of one view of each tile.
    key
        (N, D, y, x) embeddings of another view, usually by a slowly following copy of the network;
        no gradient flows into them.
    mask, key_mask
        (N, y, x): 1 = salient object, 0 = background, 255 = ignored, of the query's and of the
        key's view; the same where `key_mask` isn't given. Tiles without an object take no part.
    memory
        (M, D) unit vectors of earlier prototypes, further negatives.
    temperature
        T.

    Returns
    -------
    Tensor
        Mean over object pixels of -log softmax of their similarity with their own tile's prototype
        among all prototypes; 0 if there is no object pixel.

    References
    ----------
    Van Gansbeke et al. (2021), arXiv 2102.06191, eq. 3.
    """
    prototype, there = prototypes(key, mask if key_mask is None else key_mask)
    chosen = (mask == 1) & there.view(-1, 1, 1)
    own = torch.nonzero(chosen)[:, 0]
    if not len(own):
        return query.sum() * 0
    pixels = F.normalize(query.float(), dim=1).movedim(1, -1)[chosen]
    known = prototype if memory is None else torch.cat([prototype, memory])
    logits = pixels @ known.T / temperature
    absent = torch.nonzero(~there).squeeze(1)
    logits = logits.index_fill(1, absent, -torch.inf)
    return F.cross_entropy(logits, own)


@torch.no_grad()
def prototypes(key: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean direction (N, D) of each tile's object pixels, and where there are any."""
    inside = (mask == 1).unsqueeze(1)
    summed = (F.normalize(key.float(), dim=1) * inside).sum(dim=(2, 3))
    return F.normalize(summed, dim=1), inside.any(dim=(1, 2, 3))
