"""Tiles as tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol

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

    Attributes
    ----------
    image
        (tile, band, y, x) float32, 0 where there is no data.
    label
        (tile, y, x) uint8, 255 = ignore, also where a band has no data.
    optical, clear
        With an optical companion: (tile, channel, y, x) float32, standardised, 0 under clouds, and
        (tile, y, x) bool, True where both have data.
    soft
        With a teacher: (tile, class, y, x) float16, its logits.
    ids
        Names of the tiles, for messages.
    pseudo
        (tile,) bool, True for tiles whose labels, if they have any, are a network's own.
    valid
        (tile, band, y, x) bool, where a band has data; by default everywhere. Never inferred from a
        value: a band may be 0 where it has data.
    """

    image: Tensor
    label: Tensor
    optical: Tensor | None = None
    clear: Tensor | None = None
    soft: Tensor | None = None
    ids: tuple[str, ...] = ()
    pseudo: Tensor | None = None
    valid: Tensor = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        given: Tensor | None = self.valid
        if given is None:
            everywhere = torch.ones_like(self.image, dtype=torch.bool)
            object.__setattr__(self, "valid", everywhere)

    @property
    def any_valid(self) -> Tensor:
        """(tile, y, x) bool, where any band has data."""
        return self.valid.any(dim=1)

    @property
    def all_valid(self) -> Tensor:
        """(tile, y, x) bool, where all bands have data."""
        return self.valid.all(dim=1)

    @classmethod
    def of(
        cls, image: NDArray[np.float32], label: NDArray[np.uint8], ids: tuple[str, ...] = ()
    ) -> Samples:
        """Return tiles of (tile, band, y, x) whose missing values aren't finite, and labels."""
        finite = np.isfinite(image)
        masked = np.where(finite.all(axis=1), label, np.uint8(IGNORE))
        filled = torch.from_numpy(np.where(finite, image, np.float32(0)))
        return cls(filled, torch.from_numpy(masked), ids=ids, valid=torch.from_numpy(finite))

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

    def map_rasters(self, change: Callable[..., Tensor], *others: Samples) -> Samples:
        """Return the tiles with everything that lies on the ground changed alike.

        `change` takes a tensor of these tiles and the same one of each of the others.
        """

        def changed(name: str) -> Any:
            tensors = [getattr(tiles, name) for tiles in (self, *others)]
            return None if any(tensor is None for tensor in tensors) else change(*tensors)

        return replace(
            self,
            image=changed("image"),
            label=changed("label"),
            optical=changed("optical"),
            clear=changed("clear"),
            soft=changed("soft"),
            valid=changed("valid"),
        )

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
        image, label, optical, clear, soft, pseudo, valid = changed
        if image is None or label is None or valid is None:
            raise InputError("tiles: image and label are needed")
        return Samples(image, label, optical, clear, soft, ids, pseudo, valid)

    def _tensors(self) -> tuple[Tensor | None, ...]:
        several = self.image, self.label, self.optical, self.clear, self.soft, self.pseudo
        return *several, self.valid


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
    return Samples.of(tiles["image"].values, tiles["label"].values, tile_ids(tiles))


def tile_ids(tiles: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the tiles, none if they have no names."""
    return tuple(str(name) for name in tiles["tile_id"].values) if "tile_id" in tiles else ()


def evenly_spaced(tiles: Tiles, count: int) -> Samples:
    """Return so many of the tiles, evenly spread; all if there aren't more."""
    return tiles.take(torch.linspace(0, len(tiles) - 1, min(len(tiles), count)).long())
