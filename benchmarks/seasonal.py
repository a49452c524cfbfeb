"""`make bench-seasonal`: what several dates before a flood are worth where water is seasonal.

Places with a river that is high on half of the dates and ponds that come and go are simulated. A
water map with a classifier's errors is made of each date: the posterior of two Gaussians of VV and
VH, dB, smoothed by 5 x 5 px, fitted on other simulated places. Scored is what `delineate` makes of
one date before the flood, taken in turn, and of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from benchmarks.record import record
from floodloom.arrays import Bytes, Floats, Mask
from floodloom.mapping.delineate import Evidence, delineate_flood, water_occurrence
from floodloom.mapping.earlier import change_from_dates, speckle_spread
from floodloom.mapping.settings import DelineateSettings
from floodloom.raster.placing import mean_percent
from floodloom.raster.product import FloodClass
from floodloom.sentinel1.bands import power_to_decibel
from floodloom.simulate.series import SEASONAL, Series, make_series

SIZE, PLACES, TRAINING = 256, 60, 30
DATES = (1, 2, 3, 5)
Z_SCORES = (None, 1.0, 1.5, 2.0, 3.0)
_FIRST_TRAINING = 10_000
_WINDOW = 5
_FLOOR = 1e-4


@dataclass(frozen=True)
class Classifier:
    """Two Gaussians of VV and VH, dB: means (2,) and inverse covariances of land and water."""

    means: tuple[NDArray[np.float64], NDArray[np.float64]]
    precisions: tuple[NDArray[np.float64], NDArray[np.float64]]

    def percent(self, power: Floats) -> Bytes:
        """Return the posterior probability of water, (y, x) uint8 percent; both as likely before.

        `power` is (2, y, x) float32, VV and VH, linear.
        """
        levels = smoothed_decibel(power)
        land, water = (
            _log_likelihood(levels, mean, precision)
            for mean, precision in zip(self.means, self.precisions, strict=True)
        )
        posterior = 1 / (1 + np.exp(np.clip(land - water, -50, 50)))
        return np.asarray(np.rint(100 * posterior), np.uint8)


def _log_likelihood(
    levels: Floats, mean: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    apart = np.moveaxis(levels, 0, -1) - mean
    distance = np.einsum("...i,ij,...j", apart, precision, apart)
    return np.asarray((np.linalg.slogdet(precision)[1] - distance) / 2)


def smoothed_decibel(power: Floats) -> Floats:
    """Return the level of the mean over 5 x 5 px, (2, y, x), dB."""
    mean = uniform_filter(power, (0, _WINDOW, _WINDOW))
    return np.asarray(power_to_decibel(np.maximum(mean, _FLOOR)), np.float32)


def fit(series: Iterable[Series]) -> Classifier:
    """Fit the Gaussians to where there is water and where there isn't on the dates before."""
    land, water = [], []
    for one in series:
        for image, wet in zip(one.before, one.water, strict=True):
            levels = smoothed_decibel(image)
            land.append(levels[:, ~wet])
            water.append(levels[:, wet])
    sides = [np.concatenate(side, axis=1).astype(np.float64) for side in (land, water)]
    means, precisions = zip(
        *((side.mean(axis=1), np.linalg.inv(np.cov(side))) for side in sides), strict=True
    )
    return Classifier(means, precisions)


def mapped(
    series: Series,
    percents: Sequence[Bytes],
    after: Bytes,
    dates: Sequence[int],
    settings: DelineateSettings,
) -> Bytes:
    """Return the classes (y, x) that `delineate` makes of some of the dates before the flood."""
    chosen = [percents[date] for date in dates]
    evidence = Evidence(after, mean_percent(chosen))
    if len(dates) > 1:
        pairs = [(percent, None) for percent in chosen]
        evidence = Evidence(
            after,
            evidence.before,
            occurrence=water_occurrence(pairs, settings, evidence.pixel_areas()),
            z_score=_z_score(series, dates),
        )
    return delineate_flood(evidence, settings)[0]


def _z_score(series: Series, dates: Sequence[int]) -> Floats:
    spread = speckle_spread(series.sensor.spacing)
    scores = [
        change_from_dates(series.after[band], series.before[list(dates), band], spread).z_score
        for band in range(2)
    ]
    stacked = np.stack([score for score in scores if score is not None])
    largest = np.abs(stacked).argmax(axis=0)
    return np.asarray(np.take_along_axis(stacked, largest[np.newaxis], axis=0)[0])


@dataclass
class Counts:
    """Pixels of permanent and seasonal water, of visible flood, and what became of them."""

    water: int = 0
    water_as_flood: int = 0
    flood: int = 0
    found: int = 0
    excluded: int = 0

    def add(self, classes: Bytes, series: Series) -> None:
        """Count a map."""
        water = np.isin(series.label, (1, SEASONAL))
        flood: Mask = (series.label == 2) & series.visible
        is_flood = classes == FloodClass.FLOOD.value
        self.water += int(water.sum())
        self.water_as_flood += int((water & is_flood).sum())
        self.flood += int(flood.sum())
        self.found += int((flood & is_flood).sum())
        self.excluded += int((flood & (classes == FloodClass.EXCLUDED.value)).sum())

    def figures(self) -> dict[str, float]:
        """Return shares: of the water, called flood; of the flood, found and excluded."""
        return {
            "water_as_flood": self.water_as_flood / max(self.water, 1),
            "flood_recall": self.found / max(self.flood, 1),
            "flood_excluded": self.excluded / max(self.flood, 1),
        }


def score(
    classifier: Classifier,
    seeds: Iterable[int],
    size: int,
    dates: Sequence[int],
    z_scores: Sequence[float | None] = (None,),
) -> dict[tuple[int, float | None], Counts]:
    """Score maps of so many dates, with each smallest z-score; of one date each is taken in turn.

    Returns
    -------
    dict
        Counts by number of dates and z-score.
    """
    counts = {(number, limit): Counts() for number in dates for limit in z_scores}
    for seed in seeds:
        series = make_series(seed, size, max(dates))
        percents = [classifier.percent(image) for image in series.before]
        after = classifier.percent(series.after)
        for (number, limit), count in counts.items():
            settings = DelineateSettings(minimum_z_score=limit)
            choices = [(date,) for date in range(max(dates))] if number == 1 else [range(number)]
            for chosen in choices:
                count.add(mapped(series, percents, after, chosen, settings), series)
    return counts


def trained(places: int, size: int) -> Classifier:
    """Return a classifier of other places than those that are scored."""
    seeds = range(_FIRST_TRAINING, _FIRST_TRAINING + places)
    return fit(make_series(seed, size, 1) for seed in seeds)


def main() -> None:
    """Take the figures."""
    counts = score(trained(TRAINING, SIZE), range(PLACES), SIZE, DATES, Z_SCORES)
    rows: list[dict[str, Any]] = [
        {"dates": number, "minimum_z_score": limit, **_rounded(count.figures())}
        for (number, limit), count in counts.items()
        if number > 1 or limit is None
    ]
    figures = {"places": PLACES, "size": SIZE, "training_places": TRAINING, "rows": rows}
    record("seasonal", figures, command="make bench-seasonal", seeds=[0])


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
