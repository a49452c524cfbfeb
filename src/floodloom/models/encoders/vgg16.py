"""VGG-16 (Simonyan and Zisserman 2015, arXiv 1409.1556), without its classifier."""

from __future__ import annotations

from torch import Tensor, nn

from floodloom.models.blocks import Normalisation
from floodloom.models.encoder import Encoder, require_stride

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""3×3 convolutions per stage; a max-pooling follows each stage."""


class VGG16(Encoder):
    """The convolutions of VGG-16; its maps are taken before each pooling, the last one after.

    Parameters
    ----------
    in_channels
        Bands of the input.
    output_stride
        32, or 16 or 8 where the last poolings keep the size and the last stage dilates its
        convolutions, as in DeepLab's VGG-16 (Chen et al. 2015, arXiv 1412.7062, section 3.1).
    norm
        Of no effect: it has no normalisation.
    """

    channels = (64, 128, 256, 512, 512, 512)
    first = "features.0.weight"

    def __init__(
        self, in_channels: int, output_stride: int = 32, norm: Normalisation = "batch"
    ) -> None:
        super().__init__()
        require_stride("vgg16", output_stride, (8, 16, 32))
        layers: list[nn.Module] = []
        before, stride, dilation = in_channels, 1, 1
        for count, after in zip(CONVOLUTIONS, self.channels, strict=False):
            for _ in range(count):
                layers += [
                    nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation),
                    nn.ReLU(inplace=True),
                ]
                before = after
            if stride < output_stride:
                stride *= 2
                layers.append(nn.MaxPool2d(2))
            else:
                dilation *= 2
                layers.append(nn.MaxPool2d(3, 1, 1))
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps at 1/1 to 1/32 of the size."""
        x = image
        maps: list[Tensor] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        return [*maps, x]


ENCODER = VGG16
