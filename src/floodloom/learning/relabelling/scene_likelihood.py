"""The local likelihood of a whole scene, added to its prediction.

What `local_likelihood` gives for a tile is given here for every place of a scene: by windows of one
size, each of which hands over to the next, so that neither the network's windows nor the order of
work shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Lock

import numpy as np
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
_HELD_ROWS = 256  # of a strip, which is held as a whole
_SUREST = 0.005  # half a percent, as near to certainty as a percent comes


def add_local_likelihood(
    predicted: Iterator[tuple[int, Bytes]],
    image: HeldImage,
    shape: tuple[int, int],
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
    image
        What has been read of the same scene, at least down to the rows that are predicted; what
        isn't needed any more is let go of.
    shape
        Height and width of the scene.
    weighting
        Weight of the likelihood, and temperature of the sum.
    threads
        Threads that windows are shared out among.

    Yields
    ------
    row, percent
        As `predicted`; together they are the whole scene.
    """
    height, width = shape
    spans = list(_spans(height).items())
    ends = [first for (first, _), _ in spans[1:]] + [height]
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


@dataclass(frozen=True)
class _Strip:
    """Rows of some columns of a scene: (band, y, x) int16 steps, and where they begin."""

    row: int
    col: int
    steps: NDArray[np.int16]


class HeldImage:
    """What is read of a scene for its networks, held until its likelihood has used it.

    Numbers are held as whole ones with 16 bits, in steps of a thousandth of a standard deviation:
    finer than a hundredth of a decibel. One thread keeps while others read.

    Parameters
    ----------
    bands
        Which of the bands are held; None: all.
    """

    def __init__(self, bands: Sequence[int] | None = None) -> None:
        self._bands = bands
        self._strips: list[_Strip] = []
        self._ends: dict[int, int] = {}
        self._lock = Lock()

    def keep(self, row: int, col: int, values: Floats) -> None:
        """Hold what is new in a part that was read.

        Parameters
        ----------
        row, col
            First row and column of the part; parts with the same column come from top to bottom.
        values
            (band, y, x) float32, NaN = no data.
        """
        bottom = row + values.shape[1]
        for top in range(max(self._ends.get(col, row), row), bottom, _HELD_ROWS):
            steps = self._in_steps(values[:, top - row : top - row + _HELD_ROWS])
            with self._lock:
                self._strips.append(_Strip(top, col, steps))
        self._ends[col] = bottom

    def read(self, first: int, last: int, cols: Span) -> Floats:
        """Return (band, y, x) float32 of the rows from `first` to before `last`, which are held."""
        with self._lock:
            strips = list(self._strips)
        part = np.empty((len(strips[0].steps), last - first, cols[1] - cols[0]), dtype=np.float32)
        filled = 0
        for strip in strips:
            _, tall, wide = strip.steps.shape
            top, bottom = max(first, strip.row), min(last, strip.row + tall)
            left, right = max(cols[0], strip.col), min(cols[1], strip.col + wide)
            if top >= bottom or left >= right:
                continue
            filled += (bottom - top) * (right - left)
            from_rows, from_cols = (top - strip.row, bottom - strip.row), left - strip.col
            for steps, values in zip(strip.steps, part, strict=True):
                to = values[top - first : bottom - first, left - cols[0] : right - cols[0]]
                _read_steps(steps[slice(*from_rows)], from_cols, to)
        if filled != part[0].size:
            raise RuntimeError(f"rows {first} to {last} of columns {cols} aren't held")
        return part

    def forget_before(self, row: int) -> None:
        """Let go of what lies wholly before a row."""
        with self._lock:
            self._strips = [one for one in self._strips if one.row + one.steps.shape[1] > row]

    def _in_steps(self, values: Floats) -> NDArray[np.int16]:
        bands = range(len(values)) if self._bands is None else self._bands
        steps = np.empty((len(bands), *values.shape[1:]), dtype=np.int16)
        for band, out in zip(bands, steps, strict=True):
            _write_steps(values[band], out)
        return steps


@jit()
def _write_steps(values, steps):  # type: ignore[no-untyped-def]
    for row in range(values.shape[0]):
        given, out = values[row], steps[row]
        for x in range(len(out)):
            step = min(max(np.rint(given[x] / _STEP), -_MOST_STEPS), _MOST_STEPS)
            out[x] = _UNKNOWN if np.isnan(given[x]) else np.int16(step)


@jit()
def _read_steps(steps, first, values):  # type: ignore[no-untyped-def]
    """Write the columns from `first` on as numbers, (y, x), into as many as there is room for."""
    for row in range(values.shape[0]):
        taken, out = steps[row], values[row]
        for x in range(len(out)):
            step = taken[first + x]
            out[x] = np.float32(np.nan) if step == _UNKNOWN else step * _STEP


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
