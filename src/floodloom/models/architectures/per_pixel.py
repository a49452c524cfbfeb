"""A classifier of single pixels, the baseline of what neighbours add."""

from __future__ import annotations

from floodloom.models.architectures.full_resolution import FullResolution
from floodloom.models.base import Architecture
from floodloom.models.blocks import Normalisation


class PerPixel(FullResolution):
    """A classifier of single pixels: `FullResolution` of 1×1 convolutions.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Units of every hidden layer.
    layers
        Hidden layers.
    norm
        See `floodloom.models.blocks`.
    """

    size = 1

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        layers: int = 3,
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__(in_channels, classes, width, (1,) * layers, norm)


ARCHITECTURE = Architecture(PerPixel, "baseline: a multilayer perceptron that sees one pixel")
