"""Predicting a scene of any size: strips of rows in, strips of rows out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.learning.inference import Ensemble
from floodloom.log import track
from floodloom.mapping.ahead import ahead
from floodloom.mapping.plan import WindowPlan

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Network = Callable[[Floats], Floats]
"""From inputs (n, band, y, x), NaN = no data, to (n, layer, y, x) in 0..1, both float32."""

PERCENT_NODATA = 255
"""What stands for no data in a probability mosaic."""

LAYERS = ("probability of water, percent", "standard deviation of the members, percent")
"""Bands of a probability mosaic; the second is there where more than one member or view is."""

_PIECE = 512  # rows that are composed at once, as many as the chunks of a store have
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

    def network(images: Floats) -> Floats:
        mean, deviation = ensemble.moments(images, tta=tta, precision=precision)
        layers = [mean[:, 1]] if ensemble.samples(tta) == 1 else [mean[:, 1], deviation[:, 1]]
        return np.stack(layers, axis=1)

    return network


def predict_rows(
    inputs: xr.DataArray, network: Network, plan: WindowPlan, *, layers: int, batch: int
) -> Iterator[tuple[int, Bytes]]:
    """Predict a scene and yield finished rows from top to bottom.

    Parameters
    ----------
    inputs
        (band, y, x) float32, read by rows as they are needed; NaN = no data. Beyond its right and
        lower border the scene is mirrored up to the next multiple of `plan.ALIGNMENT`.
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
    for index, (row, strip) in enumerate(zip(starts, read_strips(inputs, plan), strict=True)):
        known = valid_data(strip)
        for column, exact in _predicted(strip, known, network, plan, batch):
            cols = slice(plan.cols[column], plan.cols[column] + plan.size[1])
            values = np.rint(exact * _STEPS) / _STEPS
            total[:, :, cols] += values * np.outer(row_weights[index], col_weights[column])
        count = (*plan.rows[1:], height)[index] - row
        yield row, _percent(total[:, :count, :width], known[:count, :width])
        _advance(total, count)


def valid_data(inputs: Floats) -> NDArray[np.bool_]:
    """Return where (y, x) every band of `inputs` (band, y, x) has data."""
    return np.asarray(np.isfinite(inputs).all(axis=0))


def read_strips(inputs: xr.DataArray, plan: WindowPlan) -> Iterator[Floats]:
    """Read a scene once, strip by strip.

    Parameters
    ----------
    inputs
        (band, y, x) float32, NaN = no data.
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
    strip = np.empty((inputs.sizes["band"], plan.size[0], plan.padded[1]), dtype=np.float32)
    blocks = ahead(_blocks(inputs, plan))
    for row in plan.rows:
        first, last, block = next(blocks)
        strip[:, : first - row] = strip[:, strip.shape[1] - (first - row) :]
        strip[:, first - row : last - row, :width] = block
        del block  # while the network runs on the strip, the next block takes its place
        if beside:
            inside = strip[:, first - row : last - row, :width]
            strip[:, first - row : last - row] = _mirrored(inside, 0, beside)
        if last == height and below:
            strip[:] = _mirrored(strip[:, : last - row], below, 0)
        yield strip


def _blocks(inputs: xr.DataArray, plan: WindowPlan) -> Iterator[tuple[int, int, Floats]]:
    """First row, last row and values of what each strip adds to the one before."""
    first = 0
    for row in plan.rows:
        last = min(row + plan.size[0], plan.shape[0])
        yield first, last, _read(inputs, first, last)
        first = last


def _read(inputs: xr.DataArray, first: int, last: int) -> Floats:
    """Rows of a scene, composed in pieces, whose intermediate values are small."""
    block = np.empty((inputs.sizes["band"], last - first, inputs.sizes["x"]), dtype=np.float32)
    for top in range(first - first % _PIECE, last, _PIECE):
        rows = slice(max(top, first), min(top + _PIECE, last))
        piece = inputs.isel(y=rows).transpose("band", "y", "x")
        block[:, rows.start - first : rows.stop - first] = piece.values
    return block


def _mirrored(values: Floats, below: int, beside: int) -> Floats:
    return np.pad(values, ((0, 0), (0, below), (0, beside)), mode="symmetric")


def _predicted(
    strip: Floats, known: NDArray[np.bool_], network: Network, plan: WindowPlan, batch: int
) -> Iterator[tuple[int, Floats]]:
    """Number and values (layer, y, x) of the windows of a strip that have data."""
    wide = plan.size[1]
    seen = [n for n, col in enumerate(plan.cols) if known[:, col : col + wide].any()]
    for some in np.array_split(seen, math.ceil(len(seen) / batch)) if seen else ():
        images = np.stack([strip[:, :, plan.cols[n] : plan.cols[n] + wide] for n in some])
        yield from zip(some.tolist(), network(images), strict=True)


def _percent(values: Floats, known: NDArray[np.bool_]) -> Bytes:
    np.clip(values, 0, 1, out=values)  # rows that are done with; copies of a strip are large
    values *= 100
    percent = np.rint(values, out=values).astype(np.uint8)
    percent[:, ~known] = PERCENT_NODATA
    return percent


def _advance(total: Floats, count: int) -> None:
    kept = total.shape[1] - count
    total[:, :kept] = total[:, count:].copy()
    total[:, kept:] = 0
