"""`make bench-seasonal`: what several dates before a flood are worth where water is seasonal.

Places with a river that is high on half of the dates and ponds that come and go are simulated, and
water is mapped on each date with a classifier's errors. Its likelihoods are two Gaussians of VV and
VH, dB, of means over 3 x 3 px; the mean of their ratio over 7 x 7 px stands for the context that a
network sees. They are fitted on the place itself, so that speckle, wind, season, plants and mixed
pixels make the errors, or on other places, where the classifier misses more of the water. The model
that floodloom brings maps them, too; it sees the first date before beside that of the flood. Scored
is what `delineate` makes of one date before the flood, taken in turn, and of several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import uniform_filter

from benchmarks.record import record
from floodloom.arrays import Bytes, Doubles, Floats, Mask
from floodloom.learning.inference import Ensemble, load_ensemble
from floodloom.mapping.change import change_from_dates, speckle_spread
from floodloom.mapping.delineate import Evidence, delineate_flood
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.water import water_occurrence
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.placing import mean_percent
from floodloom.raster.product import FloodClass
from floodloom.sentinel1.decibel import power_to_decibel
from floodloom.simulate.series import SEASONAL, Series, make_series
from floodloom.tiles.inputs import compose_inputs

SIZE, PLACES, TRAINING = 128, 30, 15
DATES = (1, 2, 3, 5)
Z_SCORES = (None, 1.0, 2.0, 3.0)
_FIRST_TRAINING = 10_000
_SMOOTH, _CONTEXT = 3, 7
_INDEPENDENT = 2.0
_PRIOR = 0.1
_MOST = 8.0  # a single pixel's log-likelihood ratio
_FLOOR = 1e-4
_EVERY = 7


@dataclass(frozen=True)
class Classifier:
    """Two Gaussians of VV and VH, dB: means (2,) and inverse covariances of land and water."""

    means: tuple[Doubles, Doubles]
    precisions: tuple[Doubles, Doubles]

    def percent(self, power: Floats) -> Bytes:
        """Return the probability of water, (y, x) uint8 percent, of an image (2, y, x)."""
        levels = smoothed_decibel(power)
        land, water = (
            _log_likelihood(levels, mean, precision)
            for mean, precision in zip(self.means, self.precisions, strict=True)
        )
        ratio = uniform_filter(np.clip(water - land, -_MOST, _MOST), _CONTEXT)
        logit = _INDEPENDENT * ratio + np.log(_PRIOR / (1 - _PRIOR))
        return np.asarray(np.rint(100 / (1 + np.exp(-logit))), np.uint8)


@dataclass(frozen=True)
class DefaultModel:
    """The network that floodloom brings."""

    ensemble: Ensemble

    @classmethod
    def load(cls) -> DefaultModel:
        """Read it from the package."""
        return cls(load_ensemble([DEFAULT_CHECKPOINT]))

    def percent(self, power: Floats, before: Floats | None = None) -> Bytes:
        """Return the probability of water, (y, x) uint8 percent, of an image (2, y, x)."""
        recipe, accepts = self.ensemble.recipe, self.ensemble.accepts
        earlier = None if before is None else _bands(before)
        absent = () if accepts is None else accepts.absent
        inputs = compose_inputs(_bands(power), recipe, before=earlier, absent=absent)
        water = self.ensemble.probabilities(inputs.values[np.newaxis])[0, 1]
        return np.asarray(np.rint(100 * water), np.uint8)


def _bands(power: Floats) -> xr.Dataset:
    pairs = zip(("vv", "vh"), power, strict=True)
    return xr.Dataset({name: (("y", "x"), band) for name, band in pairs})


Mapper = Classifier | DefaultModel


def _log_likelihood(levels: Floats, mean: Doubles, precision: Doubles) -> Doubles:
    apart = np.moveaxis(levels, 0, -1) - mean
    distance = np.einsum("...i,ij,...j", apart, precision, apart)
    return np.asarray((np.linalg.slogdet(precision)[1] - distance) / 2)


def smoothed_decibel(power: Floats) -> Floats:
    """Return the level of the mean over 3 x 3 px, (2, y, x), dB."""
    mean = uniform_filter(power, (0, _SMOOTH, _SMOOTH))
    return np.asarray(power_to_decibel(np.maximum(mean, _FLOOR)), np.float32)


def fit(places: Iterable[Series]) -> Classifier:
    """Fit the Gaussians to land, and to water that isn't hidden, on all dates of places."""
    land, water = [], []
    for series in places:
        is_open = (series.label == 1) | series.visible
        wet_after = np.isin(series.label, (1, 2, SEASONAL))
        for image, wet in [*zip(series.before, series.water, strict=True),
                           (series.after, wet_after)]:  # fmt: skip
            levels = smoothed_decibel(image)
            land.append(levels[:, ~wet][:, ::_EVERY])
            water.append(levels[:, wet & is_open])
    sides = [np.concatenate(side, axis=1).astype(np.float64) for side in (land, water)]
    means = tuple(side.mean(axis=1) for side in sides)
    precisions = tuple(np.linalg.inv(np.cov(side)) for side in sides)
    return Classifier((means[0], means[1]), (precisions[0], precisions[1]))


def fitted_elsewhere(places: int, size: int) -> Classifier:
    """Fit a classifier on other places than those that are scored."""
    seeds = range(_FIRST_TRAINING, _FIRST_TRAINING + places)
    return fit(make_series(seed, size, 1) for seed in seeds)


@dataclass(frozen=True)
class Maps:
    """Water maps of a place, (y, x) uint8 percent, by a classifier."""

    series: Series
    before: Sequence[Bytes]
    after: Bytes

    def delineated(self, dates: Sequence[int], settings: DelineateSettings) -> Bytes:
        """Return the classes (y, x) of the flood map by some of the dates before."""
        chosen = [self.before[date] for date in dates]
        evidence = Evidence(self.after, mean_percent(chosen))
        if len(dates) > 1:
            pairs = [(percent, None) for percent in chosen]
            occurrence = water_occurrence(pairs, settings, evidence.pixel_areas())
            score = None if settings.minimum_z_score is None else self._z_score(dates)
            evidence = Evidence(self.after, evidence.before, occurrence=occurrence, z_score=score)
        return delineate_flood(evidence, settings).read()[0]

    def _z_score(self, dates: Sequence[int]) -> Floats:
        spread = speckle_spread(self.series.sensor.spacing)
        after, before = self.series.after, self.series.before[list(dates)]
        changes = [change_from_dates(after[b], before[:, b], spread) for b in range(2)]
        scores = np.stack([change.z_score for change in changes if change.z_score is not None])
        largest = np.abs(scores).argmax(axis=0)
        return np.asarray(np.take_along_axis(scores, largest[np.newaxis], axis=0)[0])


@dataclass
class Counts:
    """Pixels of permanent and seasonal water, of flood that darkens, and what became of them."""

    water: int = 0
    water_as_flood: int = 0
    flood: int = 0
    found: int = 0
    excluded: int = 0

    def add(self, classes: Bytes, series: Series) -> None:
        """Count a map."""
        water: Mask = np.isin(series.label, (1, SEASONAL))
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


Asked = tuple[int, float | None]
"""Number of dates before, and smallest z-score."""


def score(
    seeds: Iterable[int], size: int, asked: Sequence[Asked], classifier: Mapper | None = None
) -> Mapping[Asked, Counts]:
    """Score the maps of places; of one date before, each is taken in turn.

    `classifier` is that of all places; by default each place has its own.
    """
    most = max(number for number, _ in asked)
    counts = {one: Counts() for one in asked}
    for seed in seeds:
        series = make_series(seed, size, most)
        used = classifier or fit([series])
        maps = Maps(series, [used.percent(i) for i in series.before], _after(used, series))
        for (number, limit), count in counts.items():
            settings = DelineateSettings(minimum_z_score=limit)
            choices = [(date,) for date in range(most)] if number == 1 else [tuple(range(number))]
            for dates in choices:
                count.add(maps.delineated(dates, settings), series)
    return counts


def _after(used: Mapper, series: Series) -> Bytes:
    if isinstance(used, DefaultModel):
        return used.percent(series.after, series.before[0])
    return used.percent(series.after)


def main() -> None:
    """Take the figures."""
    asked = [(n, limit) for n in DATES for limit in Z_SCORES if n == 3 or limit is None]
    rows: list[dict[str, Any]] = []
    mappers: dict[str, Mapper | None] = {
        "the place": None,
        "other places": fitted_elsewhere(TRAINING, SIZE),
        "default model": DefaultModel.load(),
    }
    for fitted, classifier in mappers.items():
        for (number, limit), count in score(range(PLACES), SIZE, asked, classifier).items():
            shares = {name: round(value, 4) for name, value in count.figures().items()}
            rows.append({"fitted": fitted, "dates": number, "minimum_z_score": limit, **shares})
    figures = {"places": PLACES, "size": SIZE, "training_places": TRAINING, "rows": rows}
    record("seasonal", figures, command="make bench-seasonal", seeds=[0])


if __name__ == "__main__":
    main()
