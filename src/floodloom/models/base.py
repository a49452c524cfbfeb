"""What every segmentation network of floodloom is, and how one becomes known by its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn


class Segmenter(nn.Module, ABC):
    """A network from (N, band, y, x) inputs to (N, class, y, x) logits of the same size.

    `features` gives feature maps from the coarsest to the finest, whose channel counts are
    `feature_channels`; `classify` turns them into logits. Distillation compares the former.
    """

    feature_channels: tuple[int, ...]

    @abstractmethod
    def features(self, image: Tensor) -> list[Tensor]:
        """Return the feature maps, coarsest first."""

    @abstractmethod
    def classify(self, features: list[Tensor]) -> Tensor:
        """Return logits at the size of the finest feature map."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, class, y, x) logits at the size of `image`, y and x at least 32 px."""
        return self.logits(self.features(image), image)

    def logits(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Return the logits of features that `features(image)` gave, at the size of `image`."""
        logits = self.classify(features)
        if logits.shape[-2:] == image.shape[-2:]:
            return logits
        return F.interpolate(logits, image.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Architecture:
    """A registered network: how to make one and where it comes from."""

    make: Callable[..., Segmenter]
    source: str


ARCHITECTURES: dict[str, Architecture] = {}
Made = TypeVar("Made", bound=type[Segmenter])


def register(name: str, *, source: str) -> Callable[[Made], Made]:
    """Make a network class known by `name`; `source` cites the paper that it follows."""

    def decorate(make: Made) -> Made:
        ARCHITECTURES[name] = Architecture(make, source)
        return make

    return decorate
