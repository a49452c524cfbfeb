"""Predicting a scene of any size: strips of rows in, strips of rows out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dask.array
import numpy as np
import xarray as xr
from dask.base import get_scheduler, named_schedulers
from numpy.typing import NDArray

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.errors import CheckpointError
from floodloom.learning.data.samples import Prefetch
from floodloom.learning.inference import Ensemble
from floodloom.log import get_logger, track
from floodloom.mapping.plan import WindowPlan
from floodloom.models.cropped_decoder import WHOLE, Rim

Network = Callable[[Floats, Rim], Floats]
"""From inputs (n, band, y, x), NaN = no data, and the rim that isn't wanted of them, to
(n, layer, y, x) in 0..1 without that rim, both float32."""

LAYERS = ("probability of water, percent", "standard deviation of the members, percent")
"""Bands of a probability mosaic; the second is there where more than one member or view is."""

_log = get_logger(__name__)
_MOST_ROWS = 1024  # that are read at once, of scenes in chunks larger than that
_STEPS = np.float32(4095)  # odd, so that no step lies at half a percent, where blending could tip


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


def read_ahead(inputs: xr.DataArray) -> Prefetch[Floats]:
    """Begin to read a scene.

    Parameters
    ----------
    inputs
        (band, y, x) float32, NaN = no data.

    Returns
    -------
    Prefetch
        (band, y, x) float32: rows from top to bottom, by whole rows of the scene's chunks, each
        once; few of them are held at a time.
    """
    height = inputs.sizes["y"]
    chunks = inputs.chunksizes.get("y", (height,))
    starts = np.cumsum((0, *chunks)).tolist()
    parts = (
        _read(inputs, first, min(first + _MOST_ROWS, end))
        for start, end in itertools.pairwise(starts)
        for first in range(start, end, _MOST_ROWS)
    )
    return Prefetch(parts, depth=2)


def predict_rows(
    pieces: Iterator[Floats], network: Network, plan: WindowPlan, *, layers: int
) -> Iterator[tuple[int, Bytes]]:
    """Predict a scene and yield finished rows from top to bottom.

    Parameters
    ----------
    pieces
        (band, y, x) float32: the scene's rows from top to bottom, NaN = no data, see `read_ahead`.
        Beyond its right and lower border the scene is mirrored up to the next multiple of
        `plan.ALIGNMENT`.
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
    row_weights, col_weights = plan.row_weights(), plan.col_weights()
    total = np.zeros((layers, plan.size[0], plan.padded[1]), dtype=np.float32)
    ends = (*plan.rows[1:], height)
    coverage = _Coverage()
    with Prefetch(_predicted(pieces, network, plan)) as windows:
        for index, row in enumerate(track(plan.rows, "predicting strips")):
            while isinstance(found := next(windows), _Window):
                steps = np.rint(np.multiply(found.values, _STEPS, out=found.values))
                steps *= row_weights[index, found.rows, np.newaxis]
                steps *= col_weights[found.column, found.cols]
                first = plan.cols[found.column]
                across = slice(first + found.cols.start, first + found.cols.stop)
                total[:, found.rows, across] += steps
            known, count = found, ends[index] - row
            percent = _percent(total[:, :count, :width], known[:count, :width], coverage)
            if index == len(plan.rows) - 1:
                coverage.require_some()
            yield row, percent
            _advance(total, count)


def valid_data(inputs: Floats) -> NDArray[np.bool_]:
    """Return where (y, x) every band of `inputs` (band, y, x) has data."""
    known: NDArray[np.bool_] = np.isfinite(inputs[0])
    for band in inputs[1:]:
        known &= np.isfinite(band)
    return known


def read_strips(pieces: Iterator[Floats], plan: WindowPlan) -> Iterator[Floats]:
    """Put together the strips that rows of windows take.

    Parameters
    ----------
    pieces
        (band, y, x) float32: the scene's rows from top to bottom, as many at a time as there are.
    plan
        Windows of the scene.

    Yields
    ------
    ndarray
        (band, y, x) float32: the padded rows of each row of windows. It is one buffer, whose
        content moves on with the next strip.
    """
    height, width = plan.shape
    below, beside = plan.padded[0] - height, plan.padded[1] - width
    piece = next(pieces)
    strip = np.empty((len(piece), plan.size[0], plan.padded[1]), dtype=np.float32)
    read = 0
    for row in plan.rows:
        strip[:, : read - row] = strip[:, strip.shape[1] - (read - row) :]
        fresh = read - row
        last = min(row + plan.size[0], height)
        while read < last:
            if piece.shape[1] == 0:
                piece = next(pieces)
            count = min(piece.shape[1], last - read)
            strip[:, read - row : read - row + count, :width] = piece[:, :count]
            piece, read = piece[:, count:], read + count
        if beside:
            inside = strip[:, fresh : last - row, :width]
            strip[:, fresh : last - row] = _mirrored(inside, 0, beside)
        if last == height and below:
            strip[:] = _mirrored(strip[:, : last - row], below, 0)
        yield strip


def _read(inputs: xr.DataArray, first: int, last: int) -> Floats:
    """Rows of a scene; each chunk goes where it belongs as soon as it is there."""
    block = np.empty((inputs.sizes["band"], last - first, inputs.sizes["x"]), dtype=np.float32)
    rows = inputs.isel(y=slice(first, last)).transpose("band", "y", "x")
    if rows.chunks is None or not _in_this_process(rows.data):
        block[:] = rows.values
    else:
        dask.array.store(rows.data, block, lock=False)
    return block


def _in_this_process(array: dask.array.Array) -> bool:
    """Whether dask's workers write to the memory of this process, not to a copy of their own."""
    used = get_scheduler(collections=[array])  # type: ignore[no-untyped-call]
    return used in (named_schedulers["threads"], named_schedulers["synchronous"])


def _mirrored(values: Floats, below: int, beside: int) -> Floats:
    return np.pad(values, ((0, 0), (0, below), (0, beside)), mode="symmetric")


@dataclass(frozen=True)
class _Window:
    """What a network predicts for a window: its number in the strip, what is kept of it, values."""

    column: int
    rows: slice
    cols: slice
    values: Floats


def _predicted(
    pieces: Iterator[Floats], network: Network, plan: WindowPlan
) -> Iterator[_Window | NDArray[np.bool_]]:
    """Of each strip the windows with data, then where (y, x) the strip has data."""
    tall, wide = plan.size
    for index, strip in enumerate(read_strips(pieces, plan)):
        known = valid_data(strip)
        top, bottom = plan.row_rims(index)
        for column, first in enumerate(plan.cols):
            if not known[:, first : first + wide].any():
                continue
            left, right = plan.col_rims(column)
            window = strip[np.newaxis, :, :, first : first + wide]
            (values,) = network(window, (top, bottom, left, right))
            rows, cols = slice(top, tall - bottom), slice(left, wide - right)
            yield _Window(column, rows, cols, values)
        yield known


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


def _percent(values: Floats, known: NDArray[np.bool_], seen: _Coverage) -> Bytes:
    predicted = np.isfinite(values).all(axis=0)  # not where a network overflows
    values[:, ~predicted] = 0
    np.clip(values, 0, _STEPS, out=values)  # rows that are done with; copies of a strip are large
    values *= 100 / _STEPS
    percent = np.rint(values, out=values).astype(np.uint8)
    seen.known += int(known.sum())
    predicted &= known
    seen.predicted += int(predicted.sum())
    percent[:, ~predicted] = NODATA
    return percent


def _advance(total: Floats, count: int) -> None:
    kept = total.shape[1] - count
    total[:, :kept] = total[:, count:].copy()
    total[:, kept:] = 0
