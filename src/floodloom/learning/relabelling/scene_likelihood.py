"""The local likelihood of a whole scene, added to its prediction.

What `local_likelihood` gives for a tile is given here for every place of a scene: by windows of one
size, each of which hands over to the next, so that neither the network's windows nor the order of
work shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Lock

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import NODATA, Bytes, Floats
from floodloom.kernels import jit
from floodloom.learning.inference import Ensemble
from floodloom.learning.relabelling.local_likelihood import (
    FEWEST,
    LikelihoodWeighting,
    local_likelihood_ratio,
)

Span = tuple[int, int]

SIDE = 512
"""Side of the windows, px. A scene up to this side is one window."""
OVERLAP = 64
"""Pixels over which a window hands over to the next. Twice as many want a third more windows, and
IoUs stay within a tenth of a point."""

_STEP = np.float32(2**-10)
_UNKNOWN, _MOST_STEPS = np.int16(-(2**15)), np.float32(2**15 - 1)
_BLOCK = (512, 2048)  # rows and columns that are read at once; a store's chunks are 512 px
_SUREST = 0.005  # half a percent, as near to certainty as a percent comes


def add_local_likelihood(
    predicted: Iterator[tuple[int, Bytes]],
    inputs: xr.DataArray,
    weighting: LikelihoodWeighting,
    *,
    threads: int = 1,
) -> Iterator[tuple[int, Bytes]]:
    """Add a scene's local likelihood to a prediction, while it comes from top to bottom.

    Parameters
    ----------
    predicted
        First row and (layer, y, x) uint8 percent of the rows from there, 255 = no data, as
        `predict_rows` yields them for an ensemble `with_joint_temperature`. Layer 0 is changed.
    inputs
        (band, y, x) float32 of the same scene, NaN = no data.
    weighting
        Weight of the likelihood, and temperature of the sum.
    threads
        Threads that windows are shared out among.

    Yields
    ------
    row, percent
        As `predicted`; together they are the whole scene.
    """
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    spans = list(_spans(height).items())
    ends = [first for (first, _), _ in spans[1:]] + [height]
    image = _Image(inputs)
    percent = np.empty((0, 0, width), dtype=np.uint8)
    likelihood = np.zeros((0, width), dtype=np.float32)
    top = 0  # row of the scene that both start at
    with ThreadPoolExecutor(threads) as pool:
        for ((first, last), weights), end in zip(spans, ends, strict=True):
            while top + percent.shape[1] < last:
                _, part = next(predicted)
                percent = np.concatenate([percent, part], axis=1) if percent.size else part
            likelihood = np.pad(likelihood, ((0, last - top - len(likelihood)), (0, 0)))
            inside = slice(first - top, last - top)
            logit, read = _LOGITS[percent[0, inside]], partial(image.read, first, last)
            band = _Band(logit, read, weighting.temperature)
            columns = band.weights()
            for (span, across), own in zip(
                columns.items(), pool.map(band.likelihood, columns), strict=True
            ):
                _add_weighed(own, weights, across, likelihood[inside, slice(*span)])
            image.forget_before(end)
            if end > top:
                done = end - top
                ready = percent[:, :done].copy()
                weighed = _weighed(_LOGITS[ready[0]], likelihood[:done], weighting)
                ready[0] = _percent(weighed)
                yield top, ready
                percent, likelihood, top = percent[:, done:], likelihood[done:], end


class _Image:
    """The inputs of a scene, of which blocks are read when a window needs them, and kept a while.

    Numbers are kept as whole ones with 16 bits, in steps of a thousandth of a standard deviation:
    finer than a hundredth of a decibel, and quicker to read again than halves of a float.

    Parameters
    ----------
    inputs
        (band, y, x) float32, NaN = no data.
    """

    def __init__(self, inputs: xr.DataArray) -> None:
        self._inputs = inputs.transpose("band", "y", "x")
        self._blocks: dict[tuple[int, int], NDArray[np.int16]] = {}
        self._lock = Lock()

    def read(self, first: int, last: int, cols: Span) -> Floats:
        """Return (band, y, x) float32 of the rows from `first` to before `last`."""
        part = np.empty((len(self._inputs), last - first, cols[1] - cols[0]), dtype=np.float32)
        for top, bottom in _cut(first, last, _BLOCK[0]):
            for left, right in _cut(*cols, _BLOCK[1]):
                row, col = top // _BLOCK[0] * _BLOCK[0], left // _BLOCK[1] * _BLOCK[1]
                block = self._block(row, col)
                _read_steps(
                    block[:, top - row : bottom - row, left - col : right - col],
                    part[:, top - first : bottom - first, left - cols[0] : right - cols[0]],
                )
        return part

    def forget_before(self, row: int) -> None:
        """Let go of blocks that end before a row."""
        self._blocks = {
            place: block for place, block in self._blocks.items() if place[0] + _BLOCK[0] > row
        }

    def _block(self, row: int, col: int) -> NDArray[np.int16]:
        with self._lock:
            if (row, col) not in self._blocks:
                rows, cols = slice(row, row + _BLOCK[0]), slice(col, col + _BLOCK[1])
                values = self._inputs.isel(y=rows, x=cols).values
                self._blocks[row, col] = _in_steps(values)
            return self._blocks[row, col]


def _in_steps(values: Floats) -> NDArray[np.int16]:
    steps = np.empty(values.shape, dtype=np.int16)
    _write_steps(values, steps)
    return steps


@jit()
def _write_steps(values, steps):  # type: ignore[no-untyped-def]
    for band in range(values.shape[0]):
        for row in range(values.shape[1]):
            given, out = values[band, row], steps[band, row]
            for x in range(len(out)):
                step = min(max(np.rint(given[x] / _STEP), -_MOST_STEPS), _MOST_STEPS)
                out[x] = _UNKNOWN if np.isnan(given[x]) else np.int16(step)


@jit()
def _read_steps(steps, values):  # type: ignore[no-untyped-def]
    for band in range(steps.shape[0]):
        for row in range(steps.shape[1]):
            taken, out = steps[band, row], values[band, row]
            for x in range(len(out)):
                step = taken[x]
                out[x] = np.float32(np.nan) if step == _UNKNOWN else step * _STEP


def _cut(first: int, last: int, side: int) -> list[Span]:
    """Parts of an interval, cut at the multiples of a number."""
    cuts = range((first // side + 1) * side, last, side)
    return list(pairwise([first, *cuts, last]))


def tile_predictor(
    ensemble: Ensemble, *, tta: bool = False
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what predicts tiles as scenes are predicted: the networks, and the local likelihood.

    Parameters
    ----------
    ensemble
        Of two classes, if the likelihood has a weight in it.
    tta
        Average over the eight symmetries of the square.

    Returns
    -------
    callable
        From (tile, band, y, x) float32, NaN = no data, to class probabilities (tile, class, y, x)
        float32, NaN where any band has no data.
    """

    weighting = ensemble.likelihood
    if not weighting.weight:
        return partial(ensemble.probabilities, tta=tta)
    networks = ensemble.with_joint_temperature()

    def probabilities(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        found = networks.probabilities(batch, tta=tta)
        for tile, image in zip(found, batch, strict=True):
            tile[1] = _tile_probability(tile[1], image, weighting)
            tile[0] = 1 - tile[1]
        return found

    return probabilities


def _tile_probability(probability: Floats, image: Floats, weighting: LikelihoodWeighting) -> Floats:
    """Add the likelihood of a small scene to its probability (y, x), NaN = no data."""
    logit = _logit(probability)
    likelihood = np.zeros(probability.shape, dtype=np.float32)
    for (first, last), weights in _spans(len(likelihood)).items():
        rows = slice(first, last)
        band = _Band(logit[rows], partial(_columns, image[:, rows]), weighting.temperature)
        for span, across in band.weights().items():
            _add_weighed(band.likelihood(span), weights, across, likelihood[rows, slice(*span)])
    return _weighed(logit, likelihood, weighting)


def _columns(image: Floats, span: Span) -> Floats:
    return image[..., slice(*span)]


@dataclass(frozen=True)
class _Band:
    """Windows that lie side by side.

    Attributes
    ----------
    logit
        (y, x) float32, NaN = no data, of an ensemble with its joint temperature.
    read
        Gives (band, y, x) float32 of some of the columns, NaN = no data.
    temperature
        The joint temperature.
    """

    logit: Floats
    read: Callable[[Span], Floats]
    temperature: float

    def weights(self) -> dict[Span, Floats]:
        """Columns of the windows that have a likelihood, and their weights there."""
        spans = _spans(self.logit.shape[1])
        return {span: each for span, each in spans.items() if self._predicts_both(span)}

    def likelihood(self, span: Span) -> Floats:
        """Log-likelihood of water against land, (y, x), in the window of some columns."""
        image = self.read(span)
        logit = self.logit[:, slice(*span)] * np.float32(self.temperature)
        valid = np.isfinite(logit) & np.isfinite(image).all(axis=0)
        if not valid.all():
            image, logit = np.nan_to_num(image), np.nan_to_num(logit)
        return local_likelihood_ratio(image, valid, logit)

    def _predicts_both(self, span: Span) -> bool:
        logit = self.logit[:, slice(*span)]
        water, land = np.count_nonzero(logit > 0), np.count_nonzero(logit <= 0)
        return bool(min(water, land) >= FEWEST)


def _spans(length: int) -> dict[Span, Floats]:
    """Windows along an axis, at equal distances, and their weights, which sum to 1 at every pixel.

    Weights fall linearly from 1 to 0 about the middle of what a window and the next both cover.
    """
    side = min(SIDE, length)
    steps = -(-(length - side) // (SIDE - OVERLAP))
    firsts = [round(k * (length - side) / steps) for k in range(steps)] + [length - side]
    seams = [-np.inf, *((a + b + side) / 2 for a, b in pairwise(firsts)), np.inf]
    found: dict[Span, Floats] = {}
    for first, (left, right) in zip(firsts, pairwise(seams), strict=True):
        places = np.arange(first, first + side) + 0.5
        inward = np.minimum(places - left, right - places) / OVERLAP + 0.5
        found[first, first + side] = np.clip(inward, 0, 1).astype(np.float32)
    return found


@jit()
def _add_weighed(values, by_row, by_col, total):  # type: ignore[no-untyped-def]
    """Add (y, x) with the weights of its rows and columns."""
    for row in range(len(values)):
        weight, given, sums = by_row[row], values[row], total[row]
        for col in range(len(given)):
            sums[col] += weight * by_col[col] * given[col]


def _percent(probability: Floats) -> Bytes:
    percent = np.fmin(np.rint(100 * probability), NODATA)  # which is what is left of NaN
    return percent.astype(np.uint8)


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, _SUREST, 1 - _SUREST)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float32)


def _logits_of_percent() -> Floats:
    """Logit by percent, (256,) float32, NaN of what is no data."""
    logits = np.full(256, np.nan, dtype=np.float32)
    logits[:101] = _logit(np.linspace(0, 1, 101, dtype=np.float32))
    return logits


_LOGITS = _logits_of_percent()


def _weighed(logit: Floats, likelihood: Floats, weighting: LikelihoodWeighting) -> Floats:
    weighed = np.float32(-weighting.weight / weighting.temperature) * likelihood
    weighed -= logit
    np.exp(weighed, out=weighed)  # in place: new memory takes longer than the arithmetic
    weighed += 1
    return np.asarray(np.reciprocal(weighed, out=weighed))
