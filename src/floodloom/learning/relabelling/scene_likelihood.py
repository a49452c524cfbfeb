"""The local likelihood of a whole scene, added to its prediction.

What `local_likelihood` gives for a tile is given here for every place of a scene: by windows on a
fixed grid, each of which hands over to the next, so that neither the network's windows nor the
order of work shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from floodloom.arrays import NODATA
from floodloom.learning.inference import Ensemble
from floodloom.learning.relabelling.local_likelihood import LikelihoodWeighting, local_likelihood

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Span = tuple[int, int]

SIDE = 256
"""Distance of the windows' centres, px; a window is twice as large. A tile up to this side is one
window."""

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
    spans = _spans(height)
    percent = np.empty((0, 0, width), dtype=np.uint8)
    image = np.empty((inputs.sizes["band"], 0, width), dtype=np.float32)
    likelihood = np.zeros((0, width), dtype=np.float32)
    top = 0  # row of the scene that the three start at
    for ((first, last), weights), following in zip(
        spans.items(), [*(begin for begin, _ in list(spans)[1:]), height], strict=True
    ):
        while top + percent.shape[1] < last:
            _, part = next(predicted)
            percent = np.concatenate([percent, part], axis=1) if percent.size else part
        more = slice(top + image.shape[1], last)
        fresh = inputs.isel(y=more).transpose("band", "y", "x").values
        image = np.concatenate([image, fresh], axis=1)
        likelihood = np.pad(likelihood, ((0, last - top - len(likelihood)), (0, 0)))
        inside = slice(first - top, last - top)
        band = _band_likelihood(_share(percent[0, inside]), image[:, inside], weighting, threads)
        likelihood[inside] += weights[:, np.newaxis] * band
        done = following - top
        if done:
            ready = percent[:, :done].copy()
            ready[0] = _percent(_weighed(_share(ready[0]), likelihood[:done], weighting))
            yield top, ready
            percent, image, likelihood = percent[:, done:], image[:, done:], likelihood[done:]
            top = following


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
    likelihood = np.zeros(probability.shape, dtype=np.float32)
    for (first, last), weights in _spans(len(likelihood)).items():
        band = _band_likelihood(probability[first:last], image[:, first:last], weighting, 1)
        likelihood[first:last] += weights[:, np.newaxis] * band
    return _weighed(probability, likelihood, weighting)


def _band_likelihood(
    probability: Floats, image: Floats, weighting: LikelihoodWeighting, threads: int
) -> Floats:
    """Log-likelihood of water against land, (y, x), of a band of windows."""
    spans = _spans(image.shape[2])

    def window(span: Span) -> Floats:
        part = image[np.newaxis, ..., slice(*span)]
        valid = np.asarray(np.isfinite(part).all(axis=1))
        logit = _logit(probability[np.newaxis, :, slice(*span)]) * np.float32(weighting.temperature)
        both = np.stack([np.zeros_like(logit), logit], axis=1)
        land, water = local_likelihood(np.nan_to_num(part), valid, both)[0]
        return np.asarray(water - land)

    likelihood = np.zeros(probability.shape, dtype=np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for (span, weights), part in zip(spans.items(), pool.map(window, spans), strict=True):
            likelihood[:, slice(*span)] += weights * part
    return likelihood


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


def _weighed(probability: Floats, likelihood: Floats, weighting: LikelihoodWeighting) -> Floats:
    share = weighting.weight / weighting.temperature
    logit = _logit(probability) + share * likelihood
    weighed = 1 / (1 + np.exp(-logit))
    return np.where(np.isnan(probability), np.float32(np.nan), weighed).astype(np.float32)
