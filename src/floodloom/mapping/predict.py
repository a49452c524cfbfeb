"""Predicting a scene of any size: strips of rows in, strips of rows out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dask.array
import numpy as np
import xarray as xr
from dask.base import get_scheduler, named_schedulers
from numpy.typing import NDArray

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.errors import CheckpointError
from floodloom.kernels import jit
from floodloom.learning.data.samples import Prefetch
from floodloom.learning.inference import Ensemble
from floodloom.learning.network import return_memory
from floodloom.log import get_logger, track
from floodloom.mapping.plan import WindowPlan
from floodloom.models.cropped_decoder import WHOLE, Rim

Network = Callable[[Floats, Rim], Floats]
"""From inputs (n, band, y, x), NaN = no data, and the rim that isn't wanted of them, to
(n, layer, y, x) in 0..1 without that rim, both float32."""

MOST_COLUMNS = 2048
"""Columns of a scene that are read at once."""

_log = get_logger(__name__)
_WINDOWS_OF_MEMORY = 8
"""Windows after which memory is returned: what is kept grows with each, and returning it takes 6 %
of the time of one."""
_STEPS = np.float32(4095)  # odd, so that no step lies at half a percent, where blending could tip
_PERCENT_OF_A_STEP = np.float32(100 / 4095)


def water_network(ensemble: Ensemble, *, tta: bool = False, precision: str = "float32") -> Network:
    """Return the network that gives the probability of class 1 and, of several, their spread.

    Parameters
    ----------
    ensemble
        Calibrated models.
    tta, precision
        See `Ensemble.moments`.

    Returns
    -------
    callable
        Layer 0 is the mean of the members' probabilities; layer 1, where there is more than one
        member or view, their standard deviation.
    """

    def network(images: Floats, rim: Rim = WHOLE) -> Floats:
        mean, deviation = ensemble.moments(images, tta=tta, precision=precision, rim=rim)
        layers = [mean[:, 1]] if ensemble.samples(tta) == 1 else [mean[:, 1], deviation[:, 1]]
        return np.stack(layers, axis=1)

    return network


def read_ahead(
    inputs: xr.DataArray,
    plan: WindowPlan,
    on_read: Callable[[int, int, Floats], None] | None = None,
) -> Prefetch[Floats]:
    """Begin to read what the windows of a scene take.

    Parameters
    ----------
    inputs
        (band, y, x) float32, NaN = no data.
    plan
        Windows of the scene.
    on_read
        Called with the first row and column of each part that was read, and the part, before the
        windows take it; in the thread that reads.

    Returns
    -------
    Prefetch
        (band, y, x) float32: the rows of each row of windows, from left to right by whole columns
        of the scene's chunks; few of them are held at a time, however wide the scene is.
    """
    (height, width), tall = plan.shape, plan.size[0]
    chunks = inputs.chunksizes.get("x", (width,))
    edges = np.cumsum((0, *chunks)).tolist()
    columns = [edges[0]]
    for edge, following in itertools.pairwise([*edges[1:], math.inf]):
        if following - columns[-1] > MOST_COLUMNS:
            columns.append(edge)

    def part(row: int, first: int, last: int) -> Floats:
        values = _read(inputs, slice(row, min(row + tall, height)), slice(first, last))
        if on_read is not None:
            on_read(row, first, values)
        return values

    parts = (part(row, *cut) for row in plan.rows for cut in itertools.pairwise(columns))
    return Prefetch(parts, depth=2)


def predict_rows(
    pieces: Iterator[Floats], network: Network, plan: WindowPlan, *, layers: int
) -> Iterator[tuple[int, Bytes]]:
    """Predict a scene and yield finished rows from top to bottom.

    Parameters
    ----------
    pieces
        (band, y, x) float32: what the windows take, NaN = no data, see `read_ahead`. Beyond its
        right and lower border the scene is mirrored up to `plan.padded`.
    network
        What predicts a window; windows without any data are left out.
    plan
        Windows of the scene.
    layers
        Layers that the network gives.

    Yields
    ------
    row, percent
        First row, and (layer, y, x) uint8 percent 0-100 of the rows from there; 255 exactly where
        any band has no data, and where the network gives no number. Together they are the whole
        scene.

    Raises
    ------
    CheckpointError
        If the network gives no number anywhere.
    """
    height, width = plan.shape
    blend = _Blend(plan, layers)
    ends = (*plan.rows[1:], height)
    coverage = _Coverage()
    with Prefetch(_predicted(pieces, network, plan)) as windows:
        for index, row in enumerate(track(plan.rows, "predicting strips")):
            percent = np.empty((layers, ends[index] - row, width), dtype=np.uint8)
            for column, first in enumerate(plan.cols):
                window = next(windows)
                done = blend.add(window, index, column)
                across = slice(first, min(first + done.shape[2], width))
                known = window.known[: percent.shape[1], : across.stop - first]
                values = done[:, : percent.shape[1], : across.stop - first]
                percent[:, :, across] = _percent(values, known, coverage)
            if index == len(plan.rows) - 1:
                coverage.require_some()
            yield row, percent


def valid_data(inputs: Floats) -> NDArray[np.bool_]:
    """Return where (y, x) every band of `inputs` (band, y, x) has data."""
    known: NDArray[np.bool_] = np.isfinite(inputs[0])
    for band in inputs[1:]:
        known &= np.isfinite(band)
    return known


def read_windows(pieces: Iterator[Floats], plan: WindowPlan) -> Iterator[Floats]:
    """Put together what windows take.

    Parameters
    ----------
    pieces
        (band, y, x) float32: of each row of windows the scene's rows, from left to right, see
        `read_ahead`.
    plan
        Windows of the scene.

    Yields
    ------
    ndarray
        (band, y, x) float32: the windows, row by row, mirrored beyond the scene. It is one buffer,
        whose content moves on with the next window.
    """
    (height, width), (tall, wide) = plan.shape, plan.size
    window = None
    for row in plan.rows:
        rows = min(row + tall, height) - row
        held, start = next(pieces), 0
        for first in plan.cols:
            last = min(first + wide, width)
            while start + held.shape[2] < last:
                held = np.concatenate([held[..., first - start :], next(pieces)], axis=2)
                start = first
            if window is None:
                window = np.empty((len(held), tall, wide), dtype=np.float32)
            inside = held[..., first - start : last - start]
            window[:] = _mirrored(inside, tall - rows, wide - (last - first))
            yield window


def _read(inputs: xr.DataArray, rows: slice, columns: slice) -> Floats:
    """A part of a scene; each chunk goes where it belongs as soon as it is there."""
    part = inputs.isel(y=rows, x=columns).transpose("band", "y", "x")
    block = np.empty(part.shape, dtype=np.float32)
    if part.chunks is None or not _in_this_process(part.data):
        block[:] = part.values
    else:
        dask.array.store(part.data, block, lock=False)
    return block


def _in_this_process(array: dask.array.Array) -> bool:
    """Whether dask's workers write to the memory of this process, not to a copy of their own."""
    used = get_scheduler(collections=[array])  # type: ignore[no-untyped-call]
    return used in (named_schedulers["threads"], named_schedulers["synchronous"])


def _mirrored(values: Floats, below: int, beside: int) -> Floats:
    if not (below or beside):
        return values
    return np.pad(values, ((0, 0), (0, below), (0, beside)), mode="symmetric")


@dataclass(frozen=True)
class _Window:
    """Where (y, x) a window has data, and what a network predicts for it without its rim.

    The latter is (layer, y, x), None where there are no data at all.
    """

    known: NDArray[np.bool_]
    values: Floats | None


def _predicted(pieces: Iterator[Floats], network: Network, plan: WindowPlan) -> Iterator[_Window]:
    """Predict the windows, row by row."""
    for number, window in enumerate(read_windows(pieces, plan)):
        row, column = divmod(number, len(plan.cols))
        if number % _WINDOWS_OF_MEMORY == 0:
            return_memory()
        known = valid_data(window)
        values = None
        if known.any():
            rim = (*plan.row_rims(row), *plan.col_rims(column))
            (values,) = network(window[np.newaxis], rim)
        yield _Window(known, values)


class _Blend:
    """Sums up weighted windows, of which it holds one, and the rows that the next strip shares.

    Parameters
    ----------
    plan
        Windows, which come row by row.
    layers
        Layers of what is summed up.
    """

    def __init__(self, plan: WindowPlan, layers: int) -> None:
        self._plan = plan
        self._weights = plan.row_weights(), plan.col_weights()
        (tall, wide), rows = plan.size, plan.rows
        shared = max((a + tall - b for a, b in itertools.pairwise(rows)), default=0)
        self._below = np.zeros((layers, shared, plan.padded[1]), dtype=np.float32)
        self._total = np.empty((layers, tall, wide), dtype=np.float32)

    def add(self, window: _Window, index: int, column: int) -> Floats:
        """Add a window, and return (layer, y, x) the columns of its strip that are done with it.

        What they share with the next strip is kept. They must be used before the next window comes.
        """
        plan, total, below = self._plan, self._total, self._below
        (tall, wide), first = plan.size, plan.cols[column]

        # The columns that are new begin with what the strip above has given to them.
        old = 0 if column == 0 else plan.cols[column - 1] + wide - first
        total[:, :, :old] = total[:, :, wide - old :].copy()
        total[:, :, old:] = 0
        if index:
            shared = plan.rows[index - 1] + tall - plan.rows[index]
            total[:, :shared, old:] = below[:, :shared, first + old : first + wide]

        if window.values is not None:
            (top, bottom), (left, right) = plan.row_rims(index), plan.col_rims(column)
            rows, cols = slice(top, tall - bottom), slice(left, wide - right)
            by_row, by_col = self._weights[0][index, rows], self._weights[1][column, cols]
            _add_weighed(window.values, by_row, by_col, total[:, rows, cols])

        ends = (*plan.cols[1:], plan.padded[1])
        done = total[:, :, : ends[column] - first]
        if index < len(plan.rows) - 1:
            count = plan.rows[index + 1] - plan.rows[index]
            below[:, : tall - count, first : ends[column]] = done[:, count:]
        return done


@dataclass
class _Coverage:
    """Pixels with data, and those of them where a network gives a number."""

    known: int = 0
    predicted: int = 0

    def require_some(self) -> None:
        """Refuse a prediction without a number, and warn where some are missing."""
        if self.known and not self.predicted:
            raise CheckpointError(
                "the networks give no number (NaN or infinity) anywhere on the scene, so they "
                "separate no water from land; train them again"
            )
        if self.predicted < self.known:
            _log.warning(
                "the networks give no number on %d of %d px; these are no data",
                self.known - self.predicted, self.known,
            )  # fmt: skip


@jit()
def _add_weighed(values, by_row, by_col, total):  # type: ignore[no-untyped-def]
    """Add (layer, y, x) values in 0..1, rounded to steps, with the weights of rows and columns."""
    for layer in range(values.shape[0]):
        for row in range(values.shape[1]):
            weight, given, sums = by_row[row], values[layer, row], total[layer, row]
            for col in range(len(given)):
                sums[col] += np.rint(given[col] * _STEPS) * weight * by_col[col]


def _percent(values: Floats, known: NDArray[np.bool_], seen: _Coverage) -> Bytes:
    percent = np.empty(values.shape, dtype=np.uint8)
    with_data, predicted = _write_percent(values, known, percent)
    seen.known += with_data
    seen.predicted += predicted
    return percent


@jit()
def _write_percent(values, known, percent):  # type: ignore[no-untyped-def]
    """Write (layer, y, x) steps as percent; return the pixels with data, and those with numbers."""
    with_data = predicted = 0
    there = np.empty(known.shape[1], dtype=np.uint8)
    for row in range(len(known)):
        for col in range(len(there)):
            there[col] = known[row, col]
        with_data += there.sum()
        for layer in range(len(values)):
            steps = values[layer, row]
            for col in range(len(there)):
                there[col] &= np.uint8(steps[col] - steps[col] == 0)  # finite
        predicted += there.sum()
        for layer in range(len(values)):
            steps, out = values[layer, row], percent[layer, row]
            for col in range(len(there)):
                value = min(max(steps[col], np.float32(0)), _STEPS)
                share = np.int32(np.rint(value * _PERCENT_OF_A_STEP))
                out[col] = np.uint8(share) if there[col] else np.uint8(NODATA)
    return with_data, predicted
