"""Samples of tiles, and threads that read them ahead of the network."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from floodloom.arrays import IGNORE
from floodloom.errors import InputError


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


Item = TypeVar("Item")


_READERS = 2
"""Threads that read tiles from disk: .3 ms for each tile, less than any network needs."""


def prefetch_batches(
    tiles: Tiles, order: Iterable[Tensor], *, pin: bool = False
) -> Iterator[Samples]:
    """Read batches of tiles ahead of their use, two for each of two threads.

    Tiles that are at hand anyway are taken when they are needed.

    Parameters
    ----------
    tiles
        Where to read.
    order
        One (N,) int64 per batch.
    pin
        Copy batches to pinned memory, from which a GPU copies while it computes.

    Yields
    ------
    Samples
        The batches in the order of `order`.
    """

    def read(index: Tensor) -> Samples:
        batch = tiles.take(index)
        return batch.pinned() if pin else batch

    if isinstance(tiles, Samples) and not pin:
        yield from map(read, order)
        return
    waiting: deque[Future[Samples]] = deque()
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="floodloom-prefetch")
    try:
        for index in order:
            waiting.append(pool.submit(read, index))
            if len(waiting) > 2 * _READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class Prefetch(Generic[Item]):
    """Iterate over `items`, which a thread makes from now on.

    The items come in order. An error in the thread is raised where the item would have come. It is
    a context, too, at whose end the thread ends after the item that it is at.

    Parameters
    ----------
    items
        What to iterate over, once; it is used by the thread alone.
    depth
        Items that are made before they are needed. No more than that exist at once, the one
        being made included, besides the one that the consumer holds.
    """

    def __init__(self, items: Iterable[Item], depth: int = 1) -> None:
        self._ready: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._free = threading.Semaphore(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(items,), daemon=True)
        self._thread.start()

    def _work(self, items: Iterable[Item]) -> None:
        try:
            source: Iterator[Item] = iter(items)
            ended = False
            while not ended and self._free.acquire() and not self._stopped.is_set():
                item: object = next(source, _END)
                self._ready.put(item)
                ended = item is _END
                del item  # the consumer alone decides how long it lives
        except BaseException as error:
            self._ready.put(_Failure(error))

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if self._stopped.is_set() or (made := self._ready.get()) is _END:
            self.close()
            raise StopIteration
        if isinstance(made, _Failure):
            self.close()
            raise made.error
        self._free.release()
        return made  # type: ignore[return-value]

    def __enter__(self) -> Prefetch[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and wait until the thread has ended."""
        self._stopped.set()
        self._free.release()
        self._thread.join()
