"""Work that runs ahead of its consumer, so that reading and computing overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def ahead(items: Iterable[Item], depth: int = 1) -> Generator[Item]:
    """Iterate over `items`, making the next ones in a thread.

    Parameters
    ----------
    items
        What to iterate over; it is used by the thread alone.
    depth
        Items that are made before they are asked for. No more than that exist at once, the one
        being made included, besides the one that the consumer holds.

    Yields
    ------
    The items in order. An error in the thread is raised where the item would have come. When the
    consumer stops early, the thread ends after the item that it is at.
    """
    ready: queue.SimpleQueue[object] = queue.SimpleQueue()
    free = threading.Semaphore(depth)
    stopped = threading.Event()

    def work() -> None:
        try:
            source: Iterator[Item] = iter(items)
            ended = False
            while not ended and free.acquire() and not stopped.is_set():
                item: object = next(source, _END)
                ready.put(item)
                ended = item is _END
                del item  # the consumer alone decides how long it lives
        except BaseException as error:
            ready.put(_Failure(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (made := ready.get()) is not _END:
            if isinstance(made, _Failure):
                raise made.error
            free.release()
            held = [made]
            del made
            yield held.pop()  # type: ignore[misc]
    finally:
        stopped.set()
        free.release()
        thread.join()
