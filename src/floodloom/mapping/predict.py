"""Predicting a scene of any size: strips of rows in, strips of rows out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import dask.array
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.learning.inference import Ensemble
from floodloom.log import track
from floodloom.mapping.ahead import Ahead
from floodloom.mapping.plan import WindowPlan
from floodloom.models.inner import WHOLE, Rim

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Network = Callable[[Floats, Rim], Floats]
"""From inputs (n, band, y, x), NaN = no data, and the rim that isn't wanted of them, to
(n, layer, y, x) in 0..1 without that rim, both float32."""

PERCENT_NODATA = 255
"""What stands for no data in a probability mosaic."""

LAYERS = ("probability of water, percent", "standard deviation of the members, percent")
"""Bands of a probability mosaic; the second is there where more than one member or view is."""

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


def reading(inputs: xr.DataArray) -> Ahead[Floats]:
    """Begin to read a scene.

    Parameters
    ----------
    inputs
        (band, y, x) float32, NaN = no data.

    Returns
    -------
    Ahead
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
    return Ahead(parts, depth=2)


def predict_rows(
    pieces: Iterator[Floats], network: Network, plan: WindowPlan, *, layers: int, batch: int
) -> Iterator[tuple[int, Bytes]]:
    """Predict a scene and yield finished rows from top to bottom.

    Parameters
    ----------
    pieces
        (band, y, x) float32: the scene's rows from top to bottom, NaN = no data, see `reading`.
        Beyond its right and lower border the scene is mirrored up to the next multiple of
        `plan.ALIGNMENT`.
    network
        What predicts a batch of windows; windows without any data are left out.
    plan
        Windows of the scene.
    layers
        Layers that the network gives.
    batch
        Windows that are predicted at once.

    Yields
    ------
    row, percent
        First row, and (layer, y, x) uint8 percent 0-100 of the rows from there; 255 exactly where
        any band has no data. Together they are the whole scene.
    """
    height, width = plan.shape
    row_weights, col_weights = plan.row_weights(), plan.col_weights()
    total = np.zeros((layers, plan.size[0], plan.padded[1]), dtype=np.float32)
    starts = track(plan.rows, "predicting strips")
    for index, (row, strip) in enumerate(zip(starts, read_strips(pieces, plan), strict=True)):
        known = valid_data(strip)
        vertical = plan.row_rims(index)
        found = _predicted(strip, known, network, plan, vertical, batch)
        with Ahead(found) as windows:
            for column, (left, right), exact in windows:
                rows = slice(vertical[0], plan.size[0] - vertical[1])
                cols = slice(left, plan.size[1] - right)
                steps = np.rint(np.multiply(exact, _STEPS, out=exact), out=exact)
                steps *= row_weights[index, rows, np.newaxis]
                steps *= col_weights[column, cols]
                first = plan.cols[column]
                total[:, rows, first + cols.start : first + cols.stop] += steps
        count = (*plan.rows[1:], height)[index] - row
        yield row, _percent(total[:, :count, :width], known[:count, :width])
        _advance(total, count)


def valid_data(inputs: Floats) -> NDArray[np.bool_]:
    """Return where (y, x) every band of `inputs` (band, y, x) has data."""
    return np.asarray(np.isfinite(inputs).all(axis=0))


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
    if rows.chunks is None:
        block[:] = rows.values
    else:
        dask.array.store(rows.data, block, lock=False)
    return block


def _mirrored(values: Floats, below: int, beside: int) -> Floats:
    return np.pad(values, ((0, 0), (0, below), (0, beside)), mode="symmetric")


def _predicted(
    strip: Floats,
    known: NDArray[np.bool_],
    network: Network,
    plan: WindowPlan,
    vertical: tuple[int, int],
    batch: int,
) -> Iterator[tuple[int, tuple[int, int], Floats]]:
    """Number, rim on the left and right, and values (layer, y, x) of the windows with data."""
    wide = plan.size[1]
    seen = [n for n, col in enumerate(plan.cols) if known[:, col : col + wide].any()]
    for some in np.array_split(seen, math.ceil(len(seen) / batch)) if seen else ():
        parts = [strip[:, :, plan.cols[n] : plan.cols[n] + wide] for n in some]
        images = parts[0][np.newaxis] if len(parts) == 1 else np.stack(parts)
        rims = [plan.col_rims(n) for n in some.tolist()]
        left, right = min(rim[0] for rim in rims), min(rim[1] for rim in rims)
        for n, values in zip(some.tolist(), network(images, (*vertical, left, right)), strict=True):
            yield n, (left, right), values


def _percent(values: Floats, known: NDArray[np.bool_]) -> Bytes:
    np.clip(values, 0, _STEPS, out=values)  # rows that are done with; copies of a strip are large
    values *= 100 / _STEPS
    percent = np.rint(values, out=values).astype(np.uint8)
    percent[:, ~known] = PERCENT_NODATA
    return percent


def _advance(total: Floats, count: int) -> None:
    kept = total.shape[1] - count
    total[:, :kept] = total[:, count:].copy()
    total[:, kept:] = 0
