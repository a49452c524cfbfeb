"""The sliding-window network: one window per pixel, classified for its centre. Slow on purpose."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from floodloom.models.base import Architecture, Segmenter
from floodloom.models.blocks import head

_WINDOWS = 4096  # at once: bounds the memory, whatever the image's size


class SlidingWindow(Segmenter):
    """A small classifier of windows, run for every pixel.

    Neighbouring windows share nearly all their pixels but none of the work: this is the baseline
    that fully convolutional networks are measured against. In training each strip of windows is
    computed again on the way back, so that memory stays bounded.

    Parameters
    ----------
    in_channels, classes
        Bands of the input, classes of the logits.
    width
        Channels of the first convolution.
    window
        Side of the window, px: 13, 17, 21 and so on, where both poolings come out even, so that
        every pixel of the window counts. Beyond the image are zeros.

    Raises
    ------
    ValueError
        If the window is of another size.
    """

    def __init__(self, in_channels: int, classes: int, width: int = 16, window: int = 17) -> None:
        super().__init__()
        if window % 4 != 1 or window < 13:
            raise ValueError(f"window {window}: choose 13, 17, 21 and so on")
        self.window = window
        side = ((window - 3) // 2 - 3) // 2
        self.network = nn.Sequential(
            nn.Conv2d(in_channels, width, 4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * side**2, 4 * width),
            nn.ReLU(inplace=True),
        )
        self.head = head(4 * width, classes)
        self.feature_channels = (4 * width,)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the classifier's last hidden layer for every pixel."""
        margin = self.window // 2
        padded = F.pad(image, (margin,) * 4)
        count, _, height, width = image.shape
        if torch.compiler.is_exporting():
            return [self._strip(padded)]
        rows = max(_WINDOWS // (count * width), 1)
        return [
            torch.cat(
                [
                    self._bounded(padded[:, :, start : start + rows + 2 * margin])
                    for start in range(0, height, rows)
                ],
                dim=2,
            )
        ]

    def _bounded(self, strip: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return self._strip(strip)
        kept = checkpoint(self._strip, strip, use_reentrant=False, preserve_rng_state=False)
        return cast(Tensor, kept)

    def _strip(self, strip: Tensor) -> Tensor:
        """Return the hidden layer (N, C, y, x) of all windows that lie whole in a strip."""
        windows = strip.unfold(2, self.window, 1).unfold(3, self.window, 1)
        windows = windows.permute(0, 2, 3, 1, 4, 5)  # (N, y, x, band, window, window)
        hidden = self.network(windows.flatten(0, 2))
        return cast(Tensor, hidden.unflatten(0, windows.shape[:3]).permute(0, 3, 1, 2))

    def classify(self, features: list[Tensor]) -> Tensor:
        """Return the logits of the centre pixels."""
        return self.head(features[-1])  # type: ignore[no-any-return]


ARCHITECTURE = Architecture(SlidingWindow, "CNN-PC of Volpi and Tuia 2017, arXiv 1608.00775")
