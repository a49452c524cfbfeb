"""Rasters that are read, worked through and held by strips of whole rows.

A strip is as wide as the raster: what is resampled, numbered or summed up row by row is then the
same however tall the strips are.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Bytes, Mask
from floodloom.kernels import jit

STRIP = 512
"""Rows that are worked on at once: those of a row of blocks in floodloom's rasters."""

_FAST = 1  # zlib's level
_REMEMBERED = 4  # strips


class Rows(Protocol):
    """A raster, (y, x), of which rows are read; arrays are such."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width, px."""
        ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows, (row, x)."""
        ...


@dataclass(frozen=True)
class ReadRows:
    """Rows that are read or computed when they are asked for.

    Attributes
    ----------
    shape
        Height and width, px.
    read
        Returns the rows from one to before another, (row, x); from several threads at once.
    """

    shape: tuple[int, int]
    read: Callable[[int, int], NDArray[Any]]

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows, (row, x)."""
        start, stop, _ = rows.indices(self.shape[0])
        return self.read(start, stop)


class RememberedRows:
    """Rows of which the last ones that were read are kept, by strips of `STRIP` rows.

    Whoever reads rows again, or those around others, doesn't wait for them twice.

    Parameters
    ----------
    layer
        What is read.
    """

    def __init__(self, layer: Rows) -> None:
        self._layer = layer
        self._strips: OrderedDict[int, Future[NDArray[Any]]] = OrderedDict()
        self._lock = Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        height, width = self._layer.shape
        return height, width

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows, (row, x); not to be written to."""
        start, stop, _ = rows.indices(self.shape[0])
        numbers = range(start // STRIP, max(-(-stop // STRIP), start // STRIP + 1))
        parts = [
            self._strip(number)[max(start - number * STRIP, 0) : stop - number * STRIP]
            for number in numbers
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _strip(self, number: int) -> NDArray[Any]:
        with self._lock:
            found = self._strips.get(number)
            mine = found is None
            if found is None:
                found = self._strips[number] = Future()
            self._strips.move_to_end(number)
            while len(self._strips) > _REMEMBERED:
                self._strips.popitem(last=False)
        if mine:
            try:
                found.set_result(self._layer[number * STRIP : (number + 1) * STRIP])
            except BaseException as error:
                found.set_exception(error)
        return found.result()


def around(layer: Rows, start: int, stop: int, reach: int) -> tuple[NDArray[Any], slice]:
    """Return rows with those around them.

    Parameters
    ----------
    layer
        The raster.
    start, stop
        First row, and the one after the last.
    reach
        Further rows above and below, as far as there are any.

    Returns
    -------
    rows, inner
        (row, x), and where the rows that are asked for lie among them.
    """
    top = max(start - reach, 0)
    return layer[top : min(stop + reach, layer.shape[0])], slice(start - top, stop - top)


Made = TypeVar("Made")


def by_strips(
    function: Callable[[int, int], Made], height: int, *, rows: int = STRIP, threads: int = 1
) -> Iterator[tuple[int, Made]]:
    """Give what a function makes of each strip, from top to bottom.

    Parameters
    ----------
    function
        Takes the first row of a strip and the one after its last.
    height
        Of the raster, px.
    rows
        Rows of a strip.
    threads
        Strips that are worked on at once, beside what is done with those that are ready; so many
        are in memory, and one.
    """
    waiting: deque[tuple[int, Future[Made]]] = deque()
    starts = iter(range(0, height, rows))
    pool = ThreadPoolExecutor(threads)

    def begin() -> None:
        for start in starts:
            waiting.append((start, pool.submit(function, start, min(start + rows, height))))
            return

    try:
        for _ in range(threads):
            begin()
        while waiting:
            start, future = waiting.popleft()
            made = future.result()
            begin()
            yield start, made
    finally:
        pool.shutdown(cancel_futures=True)


class StoredMask:
    """A mask, (y, x) bool, that is held compressed, and added to from top to bottom.

    Parameters
    ----------
    width
        Of the mask, px.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._starts: list[int] = []
        self._parts: list[bytes] = []
        self._height = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Height so far, and width, px."""
        return self._height, self._width

    def append(self, mask: Mask) -> None:
        """Add rows, (row, x) bool, below those that are there."""
        self._starts.append(self._height)
        self._parts.append(_compressed(mask))
        self._height += len(mask)

    def __getitem__(self, rows: slice, /) -> Mask:
        """Return some rows, (row, x) bool."""
        start, stop, _ = rows.indices(self._height)
        parts = []
        for number in range(*self._strips(start, stop)):
            top = self._starts[number]
            packed = self._packed(number)[max(start - top, 0) : stop - top]
            parts.append(np.unpackbits(packed, axis=1, count=self._width).view(bool))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros((0, self._width), dtype=bool)

    def toggle(self, row: NDArray[np.int64], first: NDArray[Any], stop: NDArray[Any]) -> None:
        """Change pixels to the opposite: of each `row` those from `first` to before `stop`."""
        strip = np.searchsorted(self._starts, row, side="right") - 1
        for number in np.unique(strip):
            of = strip == number
            top = self._starts[number]
            height = self._ends(int(number)) - top
            mask = self[top : top + height]
            toggle_runs(mask, row[of] - top, first[of], stop[of])
            self._parts[number] = _compressed(mask)

    def _strips(self, start: int, stop: int) -> tuple[int, int]:
        if stop <= start:
            return 0, 0
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        return first, int(np.searchsorted(self._starts, stop, side="left"))

    def _ends(self, number: int) -> int:
        return self._starts[number + 1] if number + 1 < len(self._starts) else self._height

    def _packed(self, number: int) -> Bytes:
        height = self._ends(number) - self._starts[number]
        packed = np.frombuffer(zlib.decompress(self._parts[number]), dtype=np.uint8)
        return packed.reshape(height, -1)


def _compressed(mask: Mask) -> bytes:
    return zlib.compress(np.packbits(mask, axis=1).tobytes(), _FAST)


@jit()
def toggle_runs(mask, row, first, stop):  # type: ignore[no-untyped-def]
    """Change runs of pixels of a mask to the opposite."""
    for run in range(row.size):
        for col in range(first[run], stop[run]):
            mask[row[run], col] = not mask[row[run], col]
