"""U-Net++: nested decoders that fill the gap between the encoder's and the decoder's maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, head
from floodloom.models.choices import EncoderName, UpsamplingName
from floodloom.models.decoder import Merge, Skips
from floodloom.models.encoder import PlainEncoder, make_encoder


class UNetPlusPlus(Segmenter):
    """U-Net++; `width=32, upsampling="transposed", deep_supervision=True` is the paper's.

    Node (i, j) sees every earlier node of its level i and the upsampled node (i + 1, j - 1).

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first level; every further level of nodes has twice as many.
    depth
        How often the size is halved; with a named encoder five times.
    encoder
        None: that of U-Net, of `width`; or a name of `floodloom.models.encoders`.
    deep_supervision
        Whether every node of the finest level has a head of its own; the logits are their mean
        (the paper's accurate mode), and a loss is taken of each. Without it the last one has.
    upsampling, skips, norm
        See `floodloom.models.decoder`, `.decoder` and `.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        depth: int = 4,
        encoder: EncoderName | None = None,
        deep_supervision: bool = False,
        upsampling: UpsamplingName = "bilinear",
        skips: Skips = "concatenate",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        self.encoder = (
            PlainEncoder(in_channels, [width * 2**level for level in range(depth + 1)], norm)
            if encoder is None
            else make_encoder(encoder, in_channels, norm=norm)
        )
        given = self.encoder.channels
        self.depth = len(given) - 1
        self.stride = 2**self.depth
        widths = [width * 2**level for level in range(self.depth)]
        self.nodes = nn.ModuleDict(
            {
                f"{i}_{j}": Merge(
                    given[i + 1] if j == 1 else widths[i + 1],
                    [given[i], *[widths[i]] * (j - 1)],
                    widths[i],
                    upsampling,
                    norm,
                    skips,
                )
                for j in range(1, self.depth + 1)
                for i in range(self.depth + 1 - j)
            }
        )
        self.head = head(width, classes)
        self.junction = Junction()
        self.feature_channels = (given[-1], *reversed(widths))
        self.earlier_heads = nn.ModuleList(
            head(width, classes) for _ in range(self.depth - 1 if deep_supervision else 0)
        )
        self.feature_channels += (width,) * len(self.earlier_heads)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the last node of every level, coarsest first.

        With deep supervision all nodes of the finest level follow, the last one last.
        """
        levels = [[self.junction(x)] for x in self.encoder(image)]
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                node = self.nodes[f"{i}_{j}"]
                levels[i].append(node(levels[i + 1][j - 1], *levels[i]))
        finest = levels[0][1:] if len(self.earlier_heads) else levels[0][-1:]
        return [*(level[-1] for level in reversed(levels[1:])), *finest]

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the finest map, or the mean of those of all nodes beside it."""
        sides = self.side_logits(features)
        return torch.stack(sides).mean(0) if sides else self.head(features[-1])

    def side_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Return the logits of each node of the finest level, with deep supervision."""
        if not len(self.earlier_heads):
            return []
        heads = [*self.earlier_heads, self.head]
        return [score(x) for score, x in zip(heads, features[-len(heads) :], strict=True)]


ARCHITECTURE = Architecture(UNetPlusPlus, "Zhou et al. 2018, arXiv 1807.10165")
