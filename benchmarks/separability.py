"""How well water can be told from land on the real chips at all, by each polarisation.

A Gaussian classifier of each chip is trained on one half of its squares and maps the other half,
whose labels it doesn't see: nothing that is trained elsewhere knows a chip's water as well. Where
even this finds none, a polarisation doesn't show it. Called by `make default-model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from floodloom.arrays import Doubles, Floats
from floodloom.learning.metrics.pixels import Counts, count

if TYPE_CHECKING:
    from benchmarks.default_model import Scored

_SQUARE_PX = 64
_MEANS_PX = (1, 3, 7, 15, 31)
_SPREADS_PX = (7, 15)
_FEWEST = 200


def separability(chips: Sequence[Scored]) -> dict[str, dict[str, float | dict[str, float]]]:
    """Return the IoU of water by the chips' own classifiers, pooled and by chip, of VV and both."""
    return {
        "vv": _scores(chips, bands=(0,)),
        "vv_and_vh": _scores(chips, bands=(0, 1)),
    }


def _scores(chips: Sequence[Scored], bands: tuple[int, ...]) -> dict[str, float | dict[str, float]]:
    counts = {chip.name: _counts(chip, bands) for chip in chips}
    pooled = sum(counts.values(), Counts())
    by_chip = {name: round(one.iou, 4) for name, one in counts.items()}
    return {"pooled_iou": round(pooled.iou, 4), "by_chip": by_chip}


def _counts(chip: Scored, bands: tuple[int, ...]) -> Counts:
    features = np.concatenate([_features(chip.decibel[band]) for band in bands])
    truth = chip.label > 0
    rows, cols = np.indices(truth.shape) // _SQUARE_PX
    half = (rows + cols) % 2 == 0
    water = np.zeros_like(truth)
    for trained, mapped in ((half, ~half), (~half, half)):
        known = trained & chip.known
        classes = [features[:, known & (truth == kind)] for kind in (False, True)]
        if min(one.shape[1] for one in classes) >= _FEWEST:
            dry, wet = (_log_density(one, features[:, mapped]) for one in classes)
            water[mapped] = wet > dry
    return count(water, truth, chip.known)


def _features(decibel: Floats) -> Floats:
    """Return means and spreads over windows (feature, y, x), dB; no data is the chip's mean."""
    known = np.isfinite(decibel)
    filled = np.where(known, decibel, decibel[known].mean()).astype(np.float64)
    means = [uniform_filter(filled, size) for size in _MEANS_PX]
    spreads = [
        np.log(uniform_filter(filled**2, size) - uniform_filter(filled, size) ** 2 + 1e-3)
        for size in _SPREADS_PX
    ]
    return np.stack(means + spreads).astype(np.float32)


def _log_density(samples: Floats, values: Floats) -> Doubles:
    """Return the log of share times Gaussian density at values (feature, n), up to a constant."""
    mean = samples.mean(axis=1, keepdims=True, dtype=np.float64)
    covariance = np.cov(samples) + 1e-6 * np.eye(len(samples))
    centred: NDArray[np.float64] = values - mean
    distance = (centred * np.linalg.solve(covariance, centred)).sum(axis=0)
    _, log_volume = np.linalg.slogdet(covariance)
    return np.asarray(np.log(samples.shape[1]) - (distance + log_volume) / 2)
