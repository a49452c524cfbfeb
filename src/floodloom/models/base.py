"""What every segmentation network of floodloom is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from floodloom.models.blocks import Junction, resize
from floodloom.models.cropped_decoder import Rim, crop_rim
from floodloom.models.encoder import Encoder
from floodloom.models.tensors import load_encoder


class Segmenter(nn.Module, ABC):
    """A network from (N, band, y, x) inputs to (N, class, y, x) logits of the same size.

    `features` gives feature maps from the coarsest to the finest, whose channel counts are
    `feature_channels`; `classify` turns them into logits. Distillation compares the former.
    """

    feature_channels: tuple[int, ...]
    side_weight: float = 1.0
    """What the loss of each side output weighs beside that of the logits."""
    stride: int = 32
    """How many times coarser than the image the coarsest map is at most: seen from windows that
    begin on its multiples, a pixel has one value. Networks that can be deeper state theirs."""

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
        return resize(self.classify(features), image.shape[-2:])

    def cropped_logits(self, image: Tensor, rim: Rim) -> Tensor:
        """Return `forward(image)` without its rim.

        A network that needn't compute all of the rim for that computes less.
        """
        return crop_rim(self(image), rim)

    def side_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Return the predictions made on the way to that of `classify`, of any size.

        A loss is taken of each of them, too.
        """
        return []

    def changed_features(self, image: Tensor, change: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return `features(image)` with what the encoder hands to the decoder changed.

        Parameters
        ----------
        image
            (N, band, y, x) float32.
        change
            From a map (N, channel, y, x) to one like it: done at every `Junction`, or to all of the
            features where the network has none, as there is no decoder.
        """
        junctions = [module for module in self.modules() if isinstance(module, Junction)]
        if not junctions:
            return [change(feature) for feature in self.features(image)]
        for junction in junctions:
            junction.change = change
        try:
            return self.features(image)
        finally:
            for junction in junctions:
                junction.change = None

    def load_encoder(self, path: str | Path) -> None:
        """Give the encoder the ImageNet weights of a local file.

        Raises
        ------
        ValueError
            If the network has no encoder of that kind.
        CheckpointError
            As `floodloom.models.tensors.load_encoder`.
        """
        self.adopt(load_encoder(self.named_encoder(), path))

    def named_encoder(self) -> Encoder:
        """Return the encoder that ImageNet weights are for."""
        encoder = getattr(self, "encoder", None)
        if not isinstance(encoder, Encoder):
            raise ValueError("encoder_weights are for networks with a named encoder; choose one")
        return encoder

    def adopt(self, classifier: Mapping[str, Tensor]) -> None:
        """Use what ImageNet's classifier has learned, where the network has a place for it."""


@dataclass(frozen=True)
class Architecture:
    """A network: how to make one, and the paper that it follows."""

    make: Callable[..., Segmenter]
    source: str
