"""What every encoder is: maps of a halving size."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A network from an image to maps, the k-th at 1/2ᵏ of the image's size.

    Attributes
    ----------
    channels
        Channels of each map, finest first. Encoders that halve the size at once give the image
        itself as map 0, so that a decoder's last skip is the image.
    first
        Name of the first convolution in the state dict, the one that depends on the bands.
    """

    channels: tuple[int, ...]
    first: str

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of `image` (N, band, y, x), finest first."""


def require_stride(name: str, output_stride: int, possible: tuple[int, ...]) -> None:
    """Check that an encoder can stop halving at 1/`output_stride`.

    Raises
    ------
    ValueError
        If it can't.
    """
    if output_stride not in possible:
        choice = " or ".join(str(stride) for stride in possible)
        raise ValueError(f"encoder {name!r} with output_stride {output_stride}: choose {choice}")
