"""Random changes of training tiles that leave their labels true."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from floodloom.learning.data.elastic import bend
from floodloom.learning.data.samples import Samples
from floodloom.raster.recipe import Recipe
from floodloom.sentinel1.bands import CO_POLARISED, CROSS_POLARISED, POLARISATIONS
from floodloom.tiles.inputs import BEFORE

_RATIO_SPAN_DB = 15.0  # `compose_inputs` scales the ratio from -15..0 dB; a test keeps them in step


def rotate_and_flip(tensor: Tensor, element: int) -> Tensor:
    """Apply one of the eight symmetries of the square to the two last dimensions.

    `element` 0-3 are quarter turns, 4-7 the same after a flip left to right.
    """
    flipped = tensor.flip(-1) if element >= 4 else tensor
    return torch.rot90(flipped, element % 4, dims=(-2, -1))


def undo_rotate_and_flip(tensor: Tensor, element: int) -> Tensor:
    """Undo `rotate_and_flip` with the same element."""
    turned = torch.rot90(tensor, -(element % 4), dims=(-2, -1))
    return turned.flip(-1) if element >= 4 else turned


@dataclass(frozen=True)
class RadarNoise:
    """Speckle, a constant offset and a ramp, added in decibel to fixed-range inputs.

    `gain` (band, source) is the change of each band by one decibel of each polarisation: bands in
    decibel move with their own, the ratio VH/VV with both. The ramp rises in a random direction
    from minus to plus a random height of at most `ramp_db` at the tile's corners, as backscatter
    falls with the incidence angle across a swath; it is the same for all polarisations.
    """

    gain: Tensor
    looks: float | None = None
    offset_db: float = 0.0
    ramp_db: float = 0.0

    def __call__(self, image: Tensor, valid: Tensor, draws: Draws) -> Tensor:
        """Return `image` (tile, band, y, x) with noise where `valid`; it stays in -1..1."""
        _, _, height, width = image.shape
        sources = self.gain.shape[1]
        decibel = self.offset_db * (2 * draws.uniform(sources, 1, 1) - 1)
        decibel = decibel.to(image.device).expand(-1, -1, height, width)
        if self.ramp_db:
            decibel = decibel + self._ramp(draws, height, width).to(image.device)
        if self.looks is not None:
            normal = draws.normal(sources, height, width, device=image.device)
            decibel = decibel + 10 * torch.log10(gamma(self.looks, normal))
        others = image.shape[1] - len(self.gain)  # bands of another sensor, behind the radar's
        gain = F.pad(self.gain, (0, 0, 0, others)).to(image.device)
        change = torch.einsum("bs,nsyx->nbyx", gain, decibel)
        touched = (gain != 0).any(dim=1).view(1, -1, 1, 1) & valid
        return torch.where(touched, (image + change).clamp(-1, 1), image)

    def _ramp(self, draws: Draws, height: int, width: int) -> Tensor:
        amount, turn = draws.uniform(2, 1, 1, 1).unbind(dim=1)
        angle = 2 * math.pi * turn
        down = torch.linspace(-1, 1, height).view(-1, 1)
        right = torch.linspace(-1, 1, width)
        plane = angle.sin() * down + angle.cos() * right
        corner = angle.sin().abs() + angle.cos().abs()
        ramp: Tensor = self.ramp_db * amount * plane / corner
        return ramp


def gamma(looks: float, normal: Tensor) -> Tensor:
    """Turn normal variables into multiplicative speckle of mean 1 and variance 1/looks.

    Wilson and Hilferty's cube of a normal variable stands in for the gamma distribution, whose
    own sampler takes no generator and is ten times slower; it is within 1 % from 4 looks on.
    """
    third = 1 / (9 * looks)
    cube: Tensor = (1 - third + normal * third**0.5).clamp(min=0.05) ** 3
    return cube


def radar_noise(
    recipe: Recipe, looks: float | None, offset_db: float, ramp_db: float = 0.0
) -> RadarNoise | None:
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
    ramp_db
        Greatest rise from the middle to a corner, dB.
    """
    if recipe.normalisation != "fixed" or (looks is None and offset_db == 0 and ramp_db == 0):
        return None
    polarisations = [band for band in recipe.bands if band.split("_")[-1] in POLARISATIONS]
    if not polarisations:
        return None
    low, high = recipe.db_range
    gain = torch.zeros(len(recipe.bands), len(polarisations))
    for row, band in enumerate(recipe.bands):
        if band in polarisations:
            gain[row, polarisations.index(band)] = 2 / (high - low)
        elif band.endswith("ratio"):
            prefix = band.removesuffix("ratio")
            for sign, names in ((-1, CO_POLARISED), (1, CROSS_POLARISED)):
                for name in names:
                    if prefix + name in polarisations:
                        gain[row, polarisations.index(prefix + name)] = sign * 2 / _RATIO_SPAN_DB
    return RadarNoise(gain, looks, offset_db, ramp_db)


class Draws:
    """Random numbers of a batch, each tile's from its own seed.

    So a tile is changed alike whichever process or thread works on it, and whatever else is in its
    batch. Small numbers are drawn on the CPU, noise where it is needed.
    """

    def __init__(self, seeds: Tensor) -> None:
        self._seeds = [int(seed) for seed in seeds]
        self._generators = [torch.Generator().manual_seed(seed) for seed in self._seeds]

    def uniform(self, *size: int) -> Tensor:
        """Return (tile, *size) float32 in 0..1, on the CPU."""
        return torch.stack([torch.rand(*size, generator=one) for one in self._generators])

    def normal(self, *size: int, device: torch.device) -> Tensor:
        """Return (tile, *size) float32 of mean 0 and variance 1, on the device."""
        generators = self._generators
        if device.type != "cpu":
            generators = [torch.Generator(device).manual_seed(seed) for seed in self._seeds]
        return torch.stack([torch.randn(*size, generator=g, device=device) for g in generators])


def jitter_gain(image: Tensor, valid: Tensor, most: float, draws: Draws) -> Tensor:
    """Change gain and offset of each band of each tile, as another display stretch would.

    Parameters
    ----------
    image
        (tile, band, y, x) standardised values.
    valid
        (tile, band, y, x) bool, where there are data; others stay as they are.
    most
        The gain is drawn from 1 / (1 + most) to 1 + most, even in its logarithm, the offset from
        minus to plus `most` standard deviations.
    draws
        Random numbers of the tiles.
    """
    turn, shift = (2 * draws.uniform(2, image.shape[1], 1, 1) - 1).to(image.device).unbind(dim=1)
    return torch.where(valid, image * (1 + most) ** turn + most * shift, image)


@dataclass(frozen=True)
class Augmentation:
    """D4 symmetries for everything, noise and lost bands for the input, boxes of other tiles.

    Attributes
    ----------
    noise
        Of the radar bands.
    band_drop
        Probability that one band of a tile, drawn at random, is lost; one-band inputs keep theirs.
    cutmix
        Probability that a box of a tile is replaced by that of its partner, labels and all (Yun et
        al. 2019, arXiv 1905.04899; labels by pixel as French et al. 2020, arXiv 1906.01916).
    sensor_drop, second_sensor
        Probability that a tile loses the bands from this one on: those of a second sensor, which
        may be missing when the network is used (modality dropout, Neverova et al. 2016, arXiv
        1501.00102).
    gain_jitter
        Greatest change of gain and offset, see `jitter_gain`.
    losable
        Bands that may be missing when the network is used, see `losable_bands`.
    elastic
        Probability that a tile is bent, see `floodloom.learning.data.elastic.bend`.
    """

    noise: RadarNoise | None = None
    band_drop: float = 0.0
    cutmix: float = 0.0
    sensor_drop: float = 0.0
    second_sensor: int = 0
    gain_jitter: float = 0.0
    losable: LosableBands | None = None
    elastic: float = 0.0

    def __call__(self, batch: Samples, seeds: Tensor, partners: Samples | None = None) -> Samples:
        """Return the batch with every tile changed by its seed (tile,) int64.

        `partners` are the tiles to mix into those where `mixes(seeds)`; without any nothing is.
        """
        draws = Draws(seeds)
        if partners is not None and self.cutmix > 0:  # also where there are none: numbers are drawn
            batch = mix_boxes(batch, partners, draw_boxes(draws, self.cutmix, batch.label.shape))
        elements = (8 * draws.uniform(1)).long().flatten().tolist()

        def rotated(tensor: Tensor) -> Tensor:
            pairs = zip(tensor, elements, strict=True)
            return torch.stack([rotate_and_flip(tile, element) for tile, element in pairs])

        turned = batch.map_rasters(rotated)
        if self.elastic > 0:
            turned = bend(turned, draws, self.elastic)
        return self.change_images(turned, draws)

    def mixes(self, seeds: Tensor) -> Tensor:
        """Return (tile,) bool, True where a tile gets a box of another one."""
        return _box_draws(Draws(seeds))[0] < self.cutmix

    def change_images(self, batch: Samples, draws: Draws) -> Samples:
        """Return tiles whose images have noise, another gain and lost bands."""
        image, valid = batch.image, batch.valid
        if self.noise is not None:
            image = self.noise(image, valid, draws)
        if self.gain_jitter > 0:
            image = jitter_gain(image, valid, self.gain_jitter, draws)
        if self.band_drop > 0:
            kept = band_mask(draws, self.band_drop, image.shape[1]).to(image.device)
            image, valid = image * kept, valid & (kept > 0)
        if self.losable is not None:
            kept = self.losable.kept(draws, image.shape[1]).to(image.device)
            image, valid = image * kept, valid & (kept > 0)
        if self.sensor_drop > 0:
            there = (draws.uniform(1, 1, 1) >= self.sensor_drop).to(image.device)
            radar, other = image.tensor_split([self.second_sensor], dim=1)
            image = torch.cat([radar, other * there], dim=1)
            radar, other = valid.tensor_split([self.second_sensor], dim=1)
            valid = torch.cat([radar, other & there], dim=1)
        return replace(batch, image=image, valid=valid)


_BEFORE_LOST, _POLARISATION_LOST = 0.5, 0.4


@dataclass(frozen=True)
class LosableBands:
    """Indices of bands that are missing together.

    Attributes
    ----------
    before
        Those of the pre-event scene, which half of the tiles lose.
    polarisations
        Those of each polarisation, at both dates; four in ten tiles lose one of them.
    """

    before: tuple[int, ...]
    polarisations: tuple[tuple[int, ...], ...]

    def kept(self, draws: Draws, bands: int) -> Tensor:
        """Return (tile, band, 1, 1) float32: 0 for a lost band, else 1."""
        earlier, chance, which = draws.uniform(3).T
        kept = torch.ones(len(earlier), bands)
        kept[:, list(self.before)] *= (earlier >= _BEFORE_LOST).float().unsqueeze(1)
        for number, own in enumerate(self.polarisations):
            count = len(self.polarisations)
            lost = (chance < _POLARISATION_LOST) & ((which * count).long() == number)
            kept[:, list(own)] *= (~lost).float().unsqueeze(1)
        return kept.view(-1, bands, 1, 1)


def losable_bands(bands: Sequence[str], absent: Collection[str]) -> LosableBands | None:
    """Return which bands a network has to learn to do without, None if it needs all.

    Parameters
    ----------
    bands
        Input bands in order.
    absent
        Those that a scene may lack. The last polarisation is never lost.
    """
    names = {name.removeprefix(BEFORE) for name in absent}
    before = tuple(i for i, name in enumerate(bands) if name.startswith(BEFORE) and name in absent)
    own = {name.removeprefix(BEFORE) for name in bands}
    polarisations = tuple(
        tuple(i for i, band in enumerate(bands) if band.removeprefix(BEFORE) == name)
        for name in sorted(names)
        if name in absent and len(own) > 1
    )
    return LosableBands(before, polarisations) if before or polarisations else None


def strong_views(recipe: Recipe) -> Augmentation:
    """Return the changes of strong views, the radar's counterpart of colour jitter.

    Backscatter gets the speckle of 4 looks, 2 dB of offset and of ramp; display values another
    gain; half of the tiles a box of another one, a quarter lose a band (Yang et al. 2023, arXiv
    2208.09910, for the boxes; the other numbers are floodloom's own).
    """
    gain_jitter = 0.0 if recipe.normalisation == "fixed" else 0.3
    return Augmentation(
        radar_noise(recipe, 4.0, 2.0, 2.0), band_drop=0.25, cutmix=0.5, gain_jitter=gain_jitter
    )


def band_mask(draws: Draws, probability: float, bands: int) -> Tensor:
    """Return (tile, band, 1, 1) float32: 0 for a lost band, else 1."""
    chance, which = draws.uniform(2).T
    lost = (chance < probability) & (bands > 1)
    band = (which * bands).long()
    kept: Tensor = 1 - (F.one_hot(band, bands) * lost.unsqueeze(1)).float()
    return kept.view(-1, bands, 1, 1)


Box = tuple[slice, slice]
"""Rows and columns of a tile."""


def draw_boxes(draws: Draws, probability: float, shape: Sequence[int]) -> list[Box | None]:
    """Return a box of uniformly drawn area per tile of `shape` (tile, y, x), or None."""
    _, height, width = shape
    chance, area, down, right = _box_draws(draws)
    side = area.sqrt()

    def span(place: Tensor, length: int) -> list[slice]:
        first = place * (1 - side) * length
        ends = [(first - 0.5).ceil().long(), (first + side * length - 0.5).ceil().long()]
        return [slice(start, stop) for start, stop in torch.stack(ends, dim=1).tolist()]

    places = zip(span(down, height), span(right, width), strict=True)
    return [
        box if chosen else None
        for box, chosen in zip(places, (chance < probability).tolist(), strict=True)
    ]


def _box_draws(draws: Draws) -> Tensor:
    """Return (4, tile) in 0..1: whether a tile gets a box at all, its area, place down and right.

    They are the first numbers that are drawn for a tile.
    """
    return draws.uniform(4).T


def mix_boxes(batch: Samples, partners: Samples, where: Sequence[Box | None]) -> Samples:
    """Return the batch with boxes of its partners, of which there is one for each box."""
    chosen = [(place, *box) for place, box in enumerate(where) if box is not None]

    def put(ours: Tensor, theirs: Tensor) -> Tensor:
        together = ours.clone()
        for partner, (place, rows, cols) in zip(theirs, chosen, strict=True):
            together[place, ..., rows, cols] = partner[..., rows, cols]
        return together

    return batch.map_rasters(put, partners)
