"""Tiles as tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from floodloom.errors import InputError
from floodloom.raster.nodata import IGNORE


class Tiles(Protocol):
    """Tiles to train on, in memory (`Samples`) or on disk (`zarr_tiles`)."""

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
    True where both have data; with a teacher `soft` (tile, class, y, x) float16, its
    logits; `ids` names the tiles in messages; `pseudo` (tile,) bool, True for tiles whose labels,
    if they have any, are a network's own.
    """

    image: Tensor
    label: Tensor
    optical: Tensor | None = None
    clear: Tensor | None = None
    soft: Tensor | None = None
    ids: tuple[str, ...] = ()
    pseudo: Tensor | None = None

    @classmethod
    def filled(cls, parts: Iterator[Samples], count: int) -> Samples:
        """Return `count` tiles that come in parts, without ever holding them twice."""
        part = next(parts)
        whole = part._each(lambda tensor: tensor.new_empty((count, *tensor.shape[1:])), ())
        ids, at = list[str](), 0
        for more in chain([part], parts):
            for mine, theirs in zip(whole._tensors(), more._tensors(), strict=True):
                if mine is not None and theirs is not None:
                    mine[at : at + len(more)] = theirs
            ids += more.ids
            at += len(more)
        return replace(whole, ids=tuple(ids))

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
        """Return a digest of all that the tiles hold."""
        digest = hashlib.sha256()
        for tensor in self._tensors():
            digest.update(b"-" if tensor is None else tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return sum(t.nbytes for t in self._tensors() if t is not None)

    def _each(self, change: Callable[[Tensor], Tensor], ids: tuple[str, ...]) -> Samples:
        changed = [None if t is None else change(t) for t in self._tensors()]
        image, label, optical, clear, soft, pseudo = changed
        if image is None or label is None:
            raise InputError("tiles: image and label are needed")
        return Samples(image, label, optical, clear, soft, ids, pseudo)

    def _tensors(self) -> tuple[Tensor | None, ...]:
        return self.image, self.label, self.optical, self.clear, self.soft, self.pseudo


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation per optical channel, from the training tiles.

    `channels` are those of the tiles, or indices that are made of them
    (`floodloom.learning.data.optical.INDICES`).
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, optical: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise (tile, channel, y, x); NaN stays NaN."""
        shape = (1, -1, 1, 1)
        mean = np.asarray(self.mean, dtype=np.float32).reshape(shape)
        deviation = np.asarray(self.deviation, dtype=np.float32).reshape(shape)
        return (optical - mean) / deviation


def radar_samples(tiles: xr.Dataset) -> Samples:
    """Load tiles (`floodloom.tiles.store.open_tiles`) with the radar bands as the input."""
    image, label = fill_missing(tiles["image"].values, tiles["label"].values)
    return Samples(image, label, ids=tile_ids(tiles))


def tile_ids(tiles: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the tiles, none if they have no names."""
    return tuple(str(name) for name in tiles["tile_id"].values) if "tile_id" in tiles else ()


def fill_missing(image: NDArray[np.float32], label: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Return (tile, band, y, x), 0 where not finite, and (tile, y, x) labels, 255 there."""
    finite = np.isfinite(image)
    masked = np.where(finite.all(axis=1), label, np.uint8(IGNORE))
    return torch.from_numpy(np.where(finite, image, np.float32(0))), torch.from_numpy(masked)


def evenly_spaced(tiles: Tiles, count: int) -> Samples:
    """Return so many of the tiles, evenly spread; all if there aren't more."""
    return tiles.take(torch.linspace(0, len(tiles) - 1, min(len(tiles), count)).long())
