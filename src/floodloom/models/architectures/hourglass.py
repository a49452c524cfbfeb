"""Stacked hourglass: bottom-up and top-down again and again, each pass with its own prediction."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import Junction, Normalisation, convolution, head, normalisation
from floodloom.models.choices import UpsamplingName
from floodloom.models.decoder import Upsample


class _Residual(nn.Module):
    """A bottleneck that normalises before it convolves (He et al. 2016, arXiv 1603.05027)."""

    def __init__(self, before: int, after: int, norm: Normalisation) -> None:
        super().__init__()
        inner = max(after // 2, 1)
        self.body = nn.Sequential(
            *_activation(before, norm),
            nn.Conv2d(before, inner, 1, bias=False),
            *_activation(inner, norm),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            *_activation(inner, norm),
            nn.Conv2d(inner, after, 1),
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)  # type: ignore[no-any-return]


def _activation(channels: int, norm: Normalisation) -> tuple[nn.Module, nn.Module]:
    return normalisation(norm, channels), nn.ReLU()


class Hourglass(nn.Module):
    """Pool and convolve `depth` times, then upsample and add what was carried across."""

    def __init__(self, channels: int, depth: int, upsampling: UpsamplingName, norm: Normalisation):
        super().__init__()
        self.carry = _Residual(channels, channels, norm)
        self.junction = Junction()
        self.deepest = Junction() if depth == 1 else nn.Identity()
        self.down = _Residual(channels, channels, norm)
        self.inner: nn.Module = (
            Hourglass(channels, depth - 1, upsampling, norm)
            if depth > 1
            else _Residual(channels, channels, norm)
        )
        self.up = _Residual(channels, channels, norm)
        self.enlarge = Upsample(channels, upsampling)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map like `x` (N, C, y, x)."""
        pooled = F.max_pool2d(x, 2, ceil_mode=True)
        low = self.up(self.deepest(self.inner(self.down(pooled))))
        return self.junction(self.carry(x)) + self.enlarge(low, x)  # type: ignore[no-any-return]


class StackedHourglass(Segmenter):
    """Stacked hourglass; `width=64, stacks=8` is the paper's.

    The prediction of each hourglass is fed to the next one, and a loss is taken of each.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the stem; the hourglasses have four times as many.
    stacks
        Hourglasses.
    depth
        How often each of them halves the size, which begins at 1/4.
    upsampling, norm
        See `floodloom.models.decoder` and `floodloom.models.blocks`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 16,
        stacks: int = 2,
        depth: int = 4,
        upsampling: UpsamplingName = "nearest",
        norm: Normalisation = "batch",
    ) -> None:
        super().__init__()
        channels = 4 * width
        self.stride = 4 * 2**depth
        self.stem = nn.Sequential(
            *convolution(in_channels, width, 7, stride=2, norm=norm),
            _Residual(width, 2 * width, norm),
            nn.MaxPool2d(2),
            _Residual(2 * width, 2 * width, norm),
            _Residual(2 * width, channels, norm),
        )
        self.hourglasses = nn.ModuleList(
            nn.Sequential(
                Hourglass(channels, depth, upsampling, norm),
                _Residual(channels, channels, norm),
                convolution(channels, channels, 1, norm=norm),
            )
            for _ in range(stacks)
        )
        self.heads = nn.ModuleList(head(channels, classes) for _ in range(stacks))
        self.feed_features = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(stacks - 1)
        )
        self.feed_scores = nn.ModuleList(nn.Conv2d(classes, channels, 1) for _ in range(stacks - 1))
        self.feature_channels = (channels,) * stacks

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the map of each hourglass at 1/4 of the size, the last one last."""
        x = self.stem(image)
        features = [self.hourglasses[0](x)]
        for index, (feature, score) in enumerate(
            zip(self.feed_features, self.feed_scores, strict=True)
        ):
            seen = features[-1]
            x = x + feature(seen) + score(self.heads[index](seen))
            features.append(self.hourglasses[index + 1](x))
        return features

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the last hourglass."""
        return self.heads[-1](features[-1])  # type: ignore[no-any-return]

    def side_logits(self, features: list[Tensor]) -> list[Tensor]:
        """Return the logits of every hourglass but the last, at 1/4 of the size."""
        return [score(x) for score, x in zip(self.heads[:-1], features[:-1], strict=True)]


ARCHITECTURE = Architecture(StackedHourglass, "Newell et al. 2016, arXiv 1603.06937")
