"""A network that never changes the resolution: its convolutions dilate."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Normalisation, convolution, head


class FullResolution(Segmenter):
    """Convolutions at full resolution, whose dilations stand in for pooling.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of every convolution.
    dilations
        One 3×3 convolution each; the receptive field is one more than twice their sum.
    norm
        See `floodloom.models.blocks`.
    """

    size = 3

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        dilations: Sequence[int] = (1, 1, 2, 4, 8, 16, 1),
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(
                convolution(
                    width if index else in_channels, width, self.size, dilation=step, norm=norm
                )
                for index, step in enumerate(dilations)
            )
        )
        self.head = head(width, classes)
        self.feature_channels = (width,)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the last map."""
        return [self.body(image)]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits."""
        return self.head(features[-1])  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(FullResolution, "Sherrah 2016, arXiv 1606.02585 (no downsampling)")
