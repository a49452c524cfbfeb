"""From tile stores to tensors, and which tiles are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from floodloom.errors import InputError, RecipeMismatchError
from floodloom.learning.metrics import IGNORE


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation per optical channel, from the training tiles."""

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, optical: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise (tile, channel, y, x) reflectance; NaN stays NaN."""
        shape = (1, -1, 1, 1)
        mean = np.asarray(self.mean, dtype=np.float32).reshape(shape)
        deviation = np.asarray(self.deviation, dtype=np.float32).reshape(shape)
        return (optical - mean) / deviation


@dataclass(frozen=True)
class Samples:
    """Tiles in memory.

    `image` (tile, band, y, x) float32, 0 where there is no data; `label` (tile, y, x) uint8,
    255 = ignore, also where there is no data; with an optical companion `optical`
    (tile, channel, y, x) float32, standardised, 0 under clouds, and `clear` (tile, y, x) bool,
    True where both have data.
    """

    image: Tensor
    label: Tensor
    optical: Tensor | None = None
    clear: Tensor | None = None

    def __len__(self) -> int:
        return len(self.image)

    def take(self, index: Tensor) -> Samples:
        """Return the tiles of `index` in its order."""
        return Samples(*(None if t is None else t[index] for t in self._tensors()))  # type: ignore[arg-type]

    def to(self, device: torch.device) -> Samples:
        """Return the tiles on a device."""
        return Samples(*(None if t is None else t.to(device) for t in self._tensors()))  # type: ignore[arg-type]

    def _tensors(self) -> tuple[Tensor | None, ...]:
        return self.image, self.label, self.optical, self.clear


def radar_samples(tiles: xr.Dataset, standardisation: Standardisation | None = None) -> Samples:
    """Load tiles with the radar bands as the input.

    Parameters
    ----------
    tiles
        Tile store, see `floodloom.tiles.store.open_tiles`.
    standardisation
        Of the optical channels; given it, the optical images become the companion.

    Returns
    -------
    Samples
        In the order of the store.
    """
    image, label = _without_nan(tiles["image"].values, tiles["label"].values)
    if standardisation is None:
        return Samples(image, label)
    optical, clear = _optical(tiles, standardisation)
    seen = torch.from_numpy(np.isfinite(tiles["image"].values).all(axis=1))
    return Samples(image, label, optical, clear & seen)


def optical_samples(tiles: xr.Dataset, standardisation: Standardisation) -> Samples:
    """Load tiles with the optical channels as the input; pixels under clouds aren't labelled."""
    optical = standardisation.apply(_channels(tiles, standardisation.channels))
    return Samples(*_without_nan(optical, tiles["label"].values))


def standardise_optical(tiles: xr.Dataset) -> Standardisation:
    """Return the statistics of the optical channels over all clear pixels.

    Raises
    ------
    InputError
        If no tile has an optical image.
    """
    if "optical" not in tiles or not bool(np.isfinite(tiles["optical"]).any()):
        raise InputError("tiles: none has an optical image; cut them with `--optical`")
    values = tiles["optical"].values.astype(np.float64)
    mean = np.nanmean(values, axis=(0, 2, 3))
    deviation = np.nanstd(values, axis=(0, 2, 3))
    names = tuple(str(name) for name in tiles["channel"].values)
    return Standardisation(names, tuple(mean.tolist()), tuple(np.maximum(deviation, 1e-6).tolist()))


def has_optical(tiles: xr.Dataset) -> NDArray[np.bool_]:
    """Return for each tile whether any pixel of its optical image is clear."""
    if "optical" not in tiles:
        return np.zeros(tiles.sizes["tile"], dtype=np.bool_)
    return np.asarray(np.isfinite(tiles["optical"].values).any(axis=(1, 2, 3)))


def _channels(tiles: xr.Dataset, channels: Sequence[str]) -> NDArray[np.float32]:
    have = [str(name) for name in tiles["channel"].values] if "optical" in tiles else []
    if have != list(channels):
        raise RecipeMismatchError(
            f"tiles: optical channels are {have} but the teacher was trained on {list(channels)}; "
            "cut the tiles with the same optical channels"
        )
    values: NDArray[np.float32] = tiles["optical"].values
    return values


def _optical(tiles: xr.Dataset, standardisation: Standardisation) -> tuple[Tensor, Tensor]:
    standardised = standardisation.apply(_channels(tiles, standardisation.channels))
    clear = np.isfinite(standardised).all(axis=1)
    return torch.from_numpy(np.nan_to_num(standardised, nan=0.0)), torch.from_numpy(clear)


def _without_nan(image: NDArray[np.float32], label: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    valid = np.isfinite(image).all(axis=1)
    masked = np.where(valid, label, np.uint8(IGNORE))
    return torch.from_numpy(np.nan_to_num(image, nan=0.0)), torch.from_numpy(masked)


def sampling_weights(label: Tensor, classes: int, balance: float) -> Tensor:
    """Return the probability of drawing each tile.

    Parameters
    ----------
    label
        (tile, y, x) uint8, 255 = ignore.
    classes
        Number of classes.
    balance
        0 draws all tiles alike; 1 draws tiles by what they hold of each class, each class
        contributing the same; between them a mixture.

    Returns
    -------
    Tensor
        (tile,) float64 that sum to 1.

    References
    ----------
    Volpi and Tuia (2017), IEEE TGRS 55(2), section III-C, carried from pixels to tiles.
    """
    uniform = torch.full((len(label),), 1 / len(label), dtype=torch.float64)
    shares = [(label == value).flatten(1).sum(1).double() for value in range(classes)]
    present = [share / share.sum() for share in shares if share.sum() > 0]
    if not present:
        return uniform
    return balance * torch.stack(present).mean(dim=0) + (1 - balance) * uniform
