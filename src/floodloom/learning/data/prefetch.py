"""Batches in their order, read ahead by several threads so that the network never waits.

Threads suffice: decompression and copies to the GPU leave Python's lock alone. The order is that
of the request, so the number of threads changes nothing but the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from floodloom.learning.data.samples import Samples, Tiles


def feed(
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
        it is asked for. Two batches per thread are held ready.
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
    pool = ThreadPoolExecutor(workers, thread_name_prefix="floodloom-feed")
    try:
        for index in order:
            waiting.append(pool.submit(read, index))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
