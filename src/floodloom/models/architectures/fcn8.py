"""FCN-32s, -16s and -8s: class scores of one to three depths, added and interpolated."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import (
    Junction,
    Normalisation,
    convolution,
    double_convolution,
    head,
)
from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import Enlarge
from floodloom.models.encoder import Encoder
from floodloom.models.encoders.alexnet import AlexNet
from floodloom.models.encoders.vgg16 import VGG16

SOURCE = "Long et al. 2015, arXiv 1411.4038"
_FULLY_CONNECTED = 4096
Classifier = Literal["vgg16", "alexnet"]
_WINDOWS = {VGG16: 7, AlexNet: 6}
"""Side of the map that the first fully connected layer saw, px."""
_HIDDEN_LAYERS = {
    VGG16: ("classifier.0", "classifier.3"),
    AlexNet: ("classifier.1", "classifier.4"),
}
"""What torchvision calls them."""


class FCN(Segmenter):
    """FCN on an encoder that halves the size five times.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; they double per level up to eight times as many.
    finest
        32, 16 or 8: scores are taken from there to 1/32 of the size.
    encoder
        None: a plain one of `width`; vgg16, alexnet: the paper's, with their fully connected layers
        turned into convolutions of 7×7 (AlexNet: 6×6) and 1×1 and dropout after each.
    upsampling
        How scores are enlarged, the last step to the image included, see
        `floodloom.models.decoder`; `transposed_4x4` is the paper's: transposed convolutions of
        twice the factor that begin as bilinear interpolation.
    norm
        See `floodloom.models.blocks`; VGG-16 and AlexNet have no normalisation.

    Raises
    ------
    ValueError
        If `finest` or `encoder` is none of these.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        finest: Literal[8, 16, 32] = 8,
        encoder: Classifier | None = None,
        upsampling: UpsamplingName = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        if finest not in (8, 16, 32):
            raise ValueError(f"finest {finest!r}: choose 8, 16 or 32")
        if encoder not in (None, *get_args(Classifier)):
            choice = ", ".join(get_args(Classifier))
            raise ValueError(f"encoder {encoder!r}: choose {choice}, or none for a plain one")
        if encoder is None:
            widths = [width * min(2**level, 8) for level in range(5)]
            self.encoder: nn.Module = _pooled_levels(in_channels, widths, norm)
            self.classifier = convolution(widths[-1], widths[-1], norm=norm)
            channels = (widths[-1], widths[3], widths[2])
        else:
            self.encoder = VGG16(in_channels) if encoder == "vgg16" else AlexNet(in_channels)
            self.classifier = _convolutionalised(self.encoder)
            channels = (_FULLY_CONNECTED, self.encoder.channels[3], self.encoder.channels[2])
        self.junction = Junction()
        self.feature_channels = channels[: {32: 1, 16: 2, 8: 3}[finest]]
        self.heads = nn.ModuleList(head(channels, classes) for channels in self.feature_channels)
        self.enlarge = nn.ModuleList(
            Enlarge(classes, upsampling, 2) for _ in self.feature_channels[1:]
        )
        self.enlarge_scores = Enlarge(classes, upsampling, finest)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the encoder's maps at 1/32, 1/16 and 1/8 of the size, as many as are used."""
        if isinstance(self.encoder, VGG16):
            _, _, quarter, eighth, _, coarse = self.encoder(image)
            maps = [F.max_pool2d(quarter, 2), F.max_pool2d(eighth, 2), coarse]
        elif isinstance(self.encoder, AlexNet):
            maps = self.encoder(image)[3:]
        else:
            x, maps = image, []
            for encode in self.encoder.children():
                x = encode(x)
                maps.append(x)
        *finer, coarse = maps
        handed_over = [self.classifier(coarse), *reversed(finer)][: len(self.heads)]
        return [self.junction(x) for x in handed_over]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the summed scores at the finest of their sizes."""
        total: Tensor = self.heads[0](features[0])
        finer = zip(self.enlarge, list(self.heads)[1:], features[1:], strict=True)
        for enlarge, score, feature in finer:
            total = enlarge(total, feature) + score(feature)
        return total

    def logits(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Return the logits at the size of `image`."""
        return self.enlarge_scores(self.classify(features), image)  # type: ignore[no-any-return]

    def adopt(self, classifier: Mapping[str, Tensor]) -> None:
        """Take the encoder's two hidden fully connected layers as convolutions."""
        if not isinstance(self.encoder, Encoder):
            return
        layers = [layer for layer in self.classifier if isinstance(layer, nn.Conv2d)]
        for layer, name in zip(layers, _HIDDEN_LAYERS[type(self.encoder)], strict=True):
            if f"{name}.weight" in classifier:
                weight = classifier[f"{name}.weight"].reshape(layer.weight.shape)
                layer.load_state_dict({"weight": weight, "bias": classifier[f"{name}.bias"]})


def _pooled_levels(in_channels: int, widths: list[int], norm: Normalisation) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(double_convolution(before, after, norm), nn.MaxPool2d(2))
        for before, after in pairwise([in_channels, *widths])
    )


def _convolutionalised(encoder: Encoder) -> nn.Sequential:
    """Return the two hidden fully connected layers of a classifier as convolutions."""
    window = _WINDOWS[type(encoder)]
    return nn.Sequential(
        nn.Conv2d(encoder.channels[-1], _FULLY_CONNECTED, window, padding="same"),
        nn.ReLU(inplace=True),
        nn.Dropout2d(),
        nn.Conv2d(_FULLY_CONNECTED, _FULLY_CONNECTED, 1),
        nn.ReLU(inplace=True),
        nn.Dropout2d(),
    )


ARCHITECTURE = Architecture(FCN, SOURCE)
