"""U-Net++: nested decoders that fill the gap between the encoder's and the decoder's maps."""

from __future__ import annotations

from torch import Tensor, nn

from floodloom.models.base import Segmenter, register
from floodloom.models.blocks import Merge, Normalisation, Upsampling, double_convolution, head


@register("unetplusplus", source="Zhou et al. 2018, arXiv 1807.10165")
class UNetPlusPlus(Segmenter):
    """U-Net++ without deep supervision (the paper's accurate mode with one head).

    Node (i, j) sees every earlier node of its level i and the upsampled node (i + 1, j - 1).

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level has twice as many.
    depth
        How often the size is halved.
    upsampling, norm
        See `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        upsampling: Upsampling = "bilinear",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.depth = depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            double_convolution(before, after, norm)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.nodes = nn.ModuleDict(
            {
                f"{i}_{j}": Merge(2 * widths[i], j * widths[i], widths[i], upsampling, norm)
                for j in range(1, depth + 1)
                for i in range(depth + 1 - j)
            }
        )
        self.head = head(width, classes)
        self.feature_channels = tuple(reversed(widths))

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the last node of every level, coarsest first."""
        x = image
        levels: list[list[Tensor]] = []
        for level, encode in enumerate(self.encoder):
            x = encode(self.pool(x) if level else x)
            levels.append([x])
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                node = self.nodes[f"{i}_{j}"]
                levels[i].append(node(levels[i + 1][j - 1], *levels[i]))
        return [level[-1] for level in reversed(levels)]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map."""
        return self.head(features[-1])  # type: ignore[no-any-return]
