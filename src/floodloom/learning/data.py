"""From tile stores to tensors, and which tiles are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

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


class Tiles(Protocol):
    """Tiles to train on, in memory (`Samples`) or on disk (`floodloom.learning.stored`)."""

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> Samples:
        """Return the tiles of `index` (N,) int64 in its order."""
        ...

    def identity(self) -> str:
        """Return a digest that differs where the tiles do."""
        ...


@dataclass(frozen=True)
class Samples:
    """Tiles in memory.

    `image` (tile, band, y, x) float32, 0 where there is no data; `label` (tile, y, x) uint8,
    255 = ignore, also where there is no data; with an optical companion `optical`
    (tile, channel, y, x) float32, standardised, 0 under clouds, and `clear` (tile, y, x) bool,
    True where both have data; `ids` names the tiles in messages; `pseudo` (tile,) bool, True for
    tiles whose labels, if they have any, are a network's own.
    """

    image: Tensor
    label: Tensor
    optical: Tensor | None = None
    clear: Tensor | None = None
    ids: tuple[str, ...] = ()
    pseudo: Tensor | None = None

    def __len__(self) -> int:
        return len(self.image)

    def take(self, index: Tensor) -> Samples:
        """Return the tiles of `index` in its order."""
        ids = tuple(self.ids[i] for i in index.tolist()) if self.ids else ()
        return self._each(lambda tensor: tensor[index.to(tensor.device)], ids)

    def to(self, device: torch.device) -> Samples:
        """Return the tiles on a device; from pinned memory they are copied while work goes on."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True), self.ids)

    def pinned(self) -> Samples:
        """Return the tiles in memory from which a GPU can copy by itself."""
        return self._each(Tensor.pin_memory, self.ids)

    def split(self, size: int) -> list[Samples]:
        """Return the tiles in parts of `size`, the last one maybe smaller."""
        firsts = range(0, len(self), size)
        return [self.between(first, first + size) for first in firsts]

    def between(self, first: int, last: int) -> Samples:
        """Return the tiles from `first` to before `last`."""
        return self._each(lambda tensor: tensor[first:last], self.ids[first:last])

    def identity(self) -> str:
        """Return a digest of images and labels."""
        digest = hashlib.sha256(self.image.cpu().numpy().tobytes())
        digest.update(self.label.cpu().numpy().tobytes())
        return digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return sum(t.nbytes for t in self._tensors() if t is not None)

    def _each(self, change: Callable[[Tensor], Tensor], ids: tuple[str, ...]) -> Samples:
        changed = (None if t is None else change(t) for t in self._tensors())
        image, label, optical, clear, pseudo = changed
        if image is None or label is None:
            raise InputError("tiles: image and label are needed")
        return Samples(image, label, optical, clear, ids, pseudo)

    def _tensors(self) -> tuple[Tensor | None, ...]:
        return self.image, self.label, self.optical, self.clear, self.pseudo


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
    values, ids = tiles["image"].values, _ids(tiles)
    image, label = without_nan(values, tiles["label"].values)
    if standardisation is None:
        return Samples(image, label, ids=ids)
    optical, clear = _optical(tiles, standardisation)
    seen = torch.from_numpy(np.isfinite(values).all(axis=1))
    return Samples(image, label, optical, clear & seen, ids)


def optical_samples(tiles: xr.Dataset, standardisation: Standardisation) -> Samples:
    """Load tiles with the optical channels as the input; pixels under clouds aren't labelled."""
    optical = standardisation.apply(_channels(tiles, standardisation.channels))
    image, label = without_nan(optical, tiles["label"].values)
    return Samples(image, label, ids=_ids(tiles))


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


def _ids(tiles: xr.Dataset) -> tuple[str, ...]:
    return tuple(str(name) for name in tiles["tile_id"].values) if "tile_id" in tiles else ()


def without_nan(image: NDArray[np.float32], label: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Return (tile, band, y, x) with 0 for NaN, and (tile, y, x) labels that are 255 there."""
    valid = np.isfinite(image).all(axis=1)
    masked = np.where(valid, label, np.uint8(IGNORE))
    return torch.from_numpy(np.nan_to_num(image, nan=0.0)), torch.from_numpy(masked)
