"""Work that runs ahead of its consumer, so that reading and computing overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class Ahead(Generic[Item]):
    """Iterate over `items`, which a thread makes from now on.

    The items come in order. An error in the thread is raised where the item would have come. It is
    a context, too, at whose end the thread ends after the item that it is at.

    Parameters
    ----------
    items
        What to iterate over, once; it is used by the thread alone.
    depth
        Items that are made before they are asked for. No more than that exist at once, the one
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

    def __enter__(self) -> Ahead[Item]:
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
