"""Letting a scene's own backscatter weigh in, beside what networks have learnt elsewhere.

What `learning.relabelling.local_likelihood` gives for a tile is given here for every place of a
scene: by windows on a fixed grid, each of which hands over to the next, so that neither the
network's windows nor the order of work shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import Bytes, Floats
from floodloom.learning.inference import Ensemble
from floodloom.learning.relabelling.local_likelihood import Voice, local_likelihood
from floodloom.raster.nodata import NODATA

Span = tuple[int, int]

SIDE = 256
"""Distance of the windows' centres, px; a window is twice as large. A tile up to this side is one
window."""

_SUREST = 0.005  # half a percent, as far as a percent can be told from certainty


def weighed_rows(
    predicted: Iterator[tuple[int, Bytes]], inputs: xr.DataArray, voice: Voice, *, threads: int = 1
) -> Iterator[tuple[int, Bytes]]:
    """Weigh a scene's own word into a prediction, while it comes from top to bottom.

    Parameters
    ----------
    predicted
        First row and (layer, y, x) uint8 percent of the rows from there, 255 = no data, as
        `predict_rows` yields them for an ensemble that is `hearing`. Layer 0 is changed.
    inputs
        (band, y, x) float32 of the same scene, NaN = no data.
    voice
        What the scene's own word weighs.
    threads
        Threads that windows are shared out among.

    Yields
    ------
    row, percent
        As `predicted`; together they are the whole scene.
    """
    height, width = inputs.sizes["y"], inputs.sizes["x"]
    spans = _spans(height)
    percent = np.empty((0, 0, width), dtype=np.uint8)
    image = np.empty((inputs.sizes["band"], 0, width), dtype=np.float32)
    said = np.zeros((0, width), dtype=np.float32)
    top = 0  # row of the scene that the three begin with
    for ((first, last), weights), following in zip(
        spans.items(), [*(begin for begin, _ in list(spans)[1:]), height], strict=True
    ):
        while top + percent.shape[1] < last:
            _, part = next(predicted)
            percent = np.concatenate([percent, part], axis=1) if percent.size else part
        more = slice(top + image.shape[1], last)
        fresh = inputs.isel(y=more).transpose("band", "y", "x").values
        image = np.concatenate([image, fresh], axis=1)
        said = np.pad(said, ((0, last - top - len(said)), (0, 0)))
        inside = slice(first - top, last - top)
        word = _word(_share(percent[0, inside]), image[:, inside], voice, threads)
        said[inside] += weights[:, np.newaxis] * word
        done = following - top
        if done:
            ready = percent[:, :done].copy()
            ready[0] = _percent(_weighed(_share(ready[0]), said[:done], voice))
            yield top, ready
            percent, image, said, top = percent[:, done:], image[:, done:], said[done:], following


def listening(
    ensemble: Ensemble, *, tta: bool = False
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what predicts tiles as scenes are predicted: the networks, and the tiles' own word.

    Parameters
    ----------
    ensemble
        Of two classes, if it has a voice.
    tta
        Average over the eight symmetries of the square.

    Returns
    -------
    callable
        From (tile, band, y, x) float32, NaN = no data, to class probabilities (tile, class, y, x)
        float32, NaN where any band has no data.
    """

    voice = ensemble.voice
    if not voice.weight:
        return partial(ensemble.probabilities, tta=tta)
    networks = ensemble.hearing()

    def probabilities(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        found = networks.probabilities(batch, tta=tta)
        for tile, image in zip(found, batch, strict=True):
            tile[1] = _heard(tile[1], image, voice)
            tile[0] = 1 - tile[1]
        return found

    return probabilities


def _heard(probability: Floats, image: Floats, voice: Voice) -> Floats:
    """Weigh the word of a small scene into its probability (y, x), NaN = no data."""
    said = np.zeros(probability.shape, dtype=np.float32)
    for (first, last), weights in _spans(len(said)).items():
        word = _word(probability[first:last], image[:, first:last], voice, 1)
        said[first:last] += weights[:, np.newaxis] * word
    return _weighed(probability, said, voice)


def _word(probability: Floats, image: Floats, voice: Voice, threads: int) -> Floats:
    """Log-likelihood of water against land, (y, x), of a band of windows."""
    spans = _spans(image.shape[2])

    def window(span: Span) -> Floats:
        part = image[np.newaxis, ..., slice(*span)]
        valid = np.asarray(np.isfinite(part).all(axis=1))
        logit = _logit(probability[np.newaxis, :, slice(*span)]) * np.float32(voice.temperature)
        both = np.stack([np.zeros_like(logit), logit], axis=1)
        land, water = local_likelihood(np.nan_to_num(part), valid, both)[0]
        return np.asarray(water - land)

    said = np.zeros(probability.shape, dtype=np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for (span, weights), word in zip(spans.items(), pool.map(window, spans), strict=True):
            said[:, slice(*span)] += weights * word
    return said


def _spans(length: int) -> dict[Span, Floats]:
    """Windows along an axis, and their weights, which sum to 1 at every pixel.

    A weight falls from the window's centre to the next ones; what the end of the axis makes the
    same window counts together.
    """
    places = np.arange(length) + 0.5
    found: dict[Span, Floats] = {}
    for centre in range(0, length + SIDE, SIDE):
        span = max(centre - SIDE, 0), min(centre + SIDE, length)
        weights = 1 - np.abs(places[slice(*span)] - centre) / SIDE
        found[span] = found.get(span, np.float32(0)) + weights.astype(np.float32)
    return found


def _share(percent: Bytes) -> Floats:
    known = percent != NODATA
    return np.where(known, percent / np.float32(100), np.float32(np.nan)).astype(np.float32)


def _percent(probability: Floats) -> Bytes:
    percent = np.rint(100 * np.nan_to_num(probability)).astype(np.uint8)
    percent[np.isnan(probability)] = NODATA
    return percent


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(np.nan_to_num(probability, nan=0.5), _SUREST, 1 - _SUREST)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float32)


def _weighed(probability: Floats, said: Floats, voice: Voice) -> Floats:
    logit = _logit(probability) + voice.weight / voice.temperature * said
    weighed = 1 / (1 + np.exp(-logit))
    return np.where(np.isnan(probability), np.float32(np.nan), weighed).astype(np.float32)
