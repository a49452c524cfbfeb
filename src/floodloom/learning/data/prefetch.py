"""Reading ahead of use, so that reading and computing overlap.

Threads suffice: decompression and copies to the GPU leave Python's lock alone. The order is that
of the request, so the number of threads changes nothing but the time.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

from torch import Tensor

from floodloom.learning.data.samples import Samples, Tiles

Item = TypeVar("Item")


def prefetch_batches(
    tiles: Tiles, order: Iterable[Tensor], workers: int = 0, *, pin: bool = False
) -> Iterator[Samples]:
    """Read batches of tiles ahead of their use.

    Parameters
    ----------
    tiles
        Where to read.
    order
        One (N,) int64 per batch.
    workers
        Threads that read; with 0, and where the tiles are at hand anyway, each batch is read when
        it is needed. Two batches per thread are held ready.
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

    at_hand = isinstance(tiles, Samples) and not pin
    if workers == 0 or at_hand:
        yield from map(read, order)
        return
    waiting: deque[Future[Samples]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="floodloom-prefetch")
    try:
        for index in order:
            waiting.append(pool.submit(read, index))
            if len(waiting) > 2 * workers:
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
