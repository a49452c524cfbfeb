"""Random changes of training tiles that leave their labels true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from floodloom.learning.data import Samples
from floodloom.raster.recipe import Recipe

_RATIO_SPAN_DB = 15.0  # `compose_inputs` scales the ratio from -15..0 dB; a test keeps them in step


def rotate_and_flip(tensor: Tensor, element: int) -> Tensor:
    """Apply one of the eight symmetries of the square to the two last dimensions.

    `element` 0-3 are quarter turns, 4-7 the same after a flip left to right.
    """
    flipped = tensor.flip(-1) if element >= 4 else tensor
    return torch.rot90(flipped, element % 4, dims=(-2, -1))


def undo(tensor: Tensor, element: int) -> Tensor:
    """Undo `rotate_and_flip` with the same element."""
    turned = torch.rot90(tensor, -(element % 4), dims=(-2, -1))
    return turned.flip(-1) if element >= 4 else turned


@dataclass(frozen=True)
class RadarNoise:
    """Speckle and a constant offset, added in decibel to fixed-range inputs.

    `gain` (band, source) says what one decibel of each polarisation does to each band: bands in
    decibel move with their own, the ratio VH/VV with both.
    """

    gain: Tensor
    looks: float | None
    offset_db: float

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Return `image` (tile, band, y, x) with noise; radar bands stay in -1..1, no data at 0."""
        tiles, _, height, width = image.shape
        sources = self.gain.shape[1]
        uniform = torch.rand(tiles, sources, 1, 1, generator=generator)
        decibel = self.offset_db * (2 * uniform - 1)
        if self.looks is not None:
            size = (tiles, sources, height, width)
            decibel = decibel + 10 * torch.log10(gamma(self.looks, size, generator))
        change = torch.einsum("bs,nsyx->nbyx", self.gain, decibel.expand(-1, -1, height, width))
        touched = (self.gain != 0).any(dim=1).view(1, -1, 1, 1) & (image != 0)
        return torch.where(touched, (image + change).clamp(-1, 1), image)


def gamma(looks: float, size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw multiplicative speckle of mean 1 and variance 1/looks.

    Wilson and Hilferty's cube of a normal variable stands in for the gamma distribution, whose
    own sampler takes no generator and is ten times slower; it is within 1 % from 4 looks on.
    """
    normal = torch.randn(*size, generator=generator)
    third = 1 / (9 * looks)
    cube: Tensor = (1 - third + normal * third**0.5).clamp(min=0.05) ** 3
    return cube


def radar_noise(recipe: Recipe, looks: float | None, offset_db: float) -> RadarNoise | None:
    """Return the noise that suits a recipe, or None where a decibel has no known size.

    Parameters
    ----------
    recipe
        Recipe of the inputs. Display-stretched products and bands that aren't backscatter get no
        noise.
    looks
        Equivalent looks of the added speckle; None adds none.
    offset_db
        Greatest constant offset per polarisation and tile, dB.
    """
    if recipe.normalisation != "fixed" or (looks is None and offset_db == 0):
        return None
    polarisations = [band for band in recipe.bands if band.split("_")[-1] in _POLARISATIONS]
    if not polarisations:
        return None
    low, high = recipe.db_range
    gain = torch.zeros(len(recipe.bands), len(polarisations))
    for row, band in enumerate(recipe.bands):
        if band in polarisations:
            gain[row, polarisations.index(band)] = 2 / (high - low)
        elif band.endswith("ratio"):
            prefix = band.removesuffix("ratio")
            for sign, names in ((-1, ("vv", "hh")), (1, ("vh", "hv"))):
                for name in names:
                    if prefix + name in polarisations:
                        gain[row, polarisations.index(prefix + name)] = sign * 2 / _RATIO_SPAN_DB
    return RadarNoise(gain, looks, offset_db)


_POLARISATIONS = ("vv", "vh", "hh", "hv")


@dataclass(frozen=True)
class Augmentation:
    """D4 symmetries for everything, radar noise for the input."""

    noise: RadarNoise | None = None

    def __call__(self, batch: Samples, generator: torch.Generator) -> Samples:
        """Return the batch with every tile changed by its own draw."""
        elements = torch.randint(8, (len(batch),), generator=generator).tolist()

        def turned(tensor: Tensor | None) -> Tensor | None:
            if tensor is None:
                return None
            pairs = zip(tensor, elements, strict=True)
            return torch.stack([rotate_and_flip(tile, element) for tile, element in pairs])

        image, label = turned(batch.image), turned(batch.label)
        if image is None or label is None:
            return batch
        if self.noise is not None:
            image = self.noise(image, generator)
        return Samples(image, label, turned(batch.optical), turned(batch.clear))
