"""How land has become brighter since before a flood, and from where on that is unusual.

Where water stands among stems, it and they are corners that send the signal back (double bounce):
land with tall plants is then brighter than before, most of all in co-polarisation, while wetter
soil and growing plants raise both polarisations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.log import get_logger
from floodloom.mapping.sources import rows_of
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import rows_onto_grid
from floodloom.raster.recipe import Recipe
from floodloom.raster.rows import ReadRows, Rows, around
from floodloom.raster.store import open_store, recipe_of
from floodloom.raster.windows import box_sum
from floodloom.sentinel1.bands import CO_POLARISED, CROSS_POLARISED
from floodloom.sentinel1.decibel import power_to_decibel

WINDOW = 9
"""Side of the window whose mean is compared, px. At 10 m it leaves speckle of .5 dB in a change,
and a stand of trees is rarely smaller."""

LEAST_CHANGE_DB = 1.0
"""Change that is unusual at least, however alike two dates are: the radiometric accuracy of
Sentinel-1, 1 dB (3 sigma) by its requirement."""

UNUSUAL, DOUBTFUL = 3.0, 1.5
"""Robust standard deviations above the median of all land from which a change is unusual, and from
which it may belong to an unusual one beside it."""

BRIGHT = 0.75
"""Share of the land that is darker after the flood than what is taken for flooded plants."""

_FLOOR = 1e-6  # linear power, -60 dB
_BINS = np.arange(-80.0, 80.0, 0.02)  # dB
_LEAST_LAND = 1000  # px, from which a distribution is known
_NORMAL = 1.4826  # standard deviations of a median absolute deviation
_ORBITS = ("orbit_direction", "relative_orbit")
_log = get_logger(__name__)


@dataclass(frozen=True)
class Backscatter:
    """Linear power of a date, (y, x) float32 by rows, NaN = no data, of two polarisations."""

    co: Rows
    cross: Rows


@dataclass(frozen=True)
class Pair:
    """Backscatter after a flood and before it, on the grid of a map."""

    after: Backscatter
    before: Backscatter


def read_pair(scene: Path, before: Sequence[Path], grid: GeoBox) -> Pair | None:
    """Open scenes whose brightness can be compared.

    Parameters
    ----------
    scene
        Scene store after the flood.
    before
        Scene stores before it; of several, their mean.
    grid
        Grid of the map.

    Returns
    -------
    Pair or None
        None, and a line in the log, if they aren't of one orbit, grid and quantity, are display
        values, or lack a polarisation of either kind.
    """
    stores = [open_store(path, whole_rows=True) for path in (scene, *before)]
    bands = _bands(stores)
    if not before or bands is None or not _comparable(stores):
        _log.info("%s: flood under plants isn't looked for: that takes backscatter in two "
                  "polarisations, before the flood from the same orbit, too", scene)  # fmt: skip
        return None

    def placed(store: xr.Dataset, path: Path, band: str) -> Rows:
        return rows_onto_grid(rows_of(store[band]), geobox_of(store), grid, np.nan, str(path))

    after, earlier = (
        [
            [placed(store, path, band) for store, path in zip(part, paths, strict=True)]
            for band in bands
        ]
        for part, paths in ((stores[:1], (scene,)), (stores[1:], before))
    )
    return Pair(
        Backscatter(*(layers[0] for layers in after)),
        Backscatter(*(_mean_of_dates(layers) for layers in earlier)),
    )


def _bands(stores: Sequence[xr.Dataset]) -> tuple[str, str] | None:
    """Return the co- and cross-polarised bands that all scenes have."""
    for pair in zip(CO_POLARISED, CROSS_POLARISED, strict=True):
        if all(band in store for band in pair for store in stores):
            return pair
    return None


def _comparable(stores: Sequence[xr.Dataset]) -> bool:
    first, *others = stores
    recipe = recipe_of(first)
    if recipe.quantity == "display":
        return False
    return all(
        geobox_of(other) == geobox_of(first)
        and _calibration(recipe_of(other)) == _calibration(recipe)
        and all(_agree(first.attrs.get(key), other.attrs.get(key)) for key in _ORBITS)
        for other in others
    )


def _calibration(recipe: Recipe) -> tuple[object, ...]:
    return recipe.quantity, recipe.flattened


def _agree(one: object, other: object) -> bool:
    """Tell whether two statements agree; what isn't stated does."""
    texts = [str("" if text is None else text).lower() for text in (one, other)]
    return not all(texts) or texts[0] == texts[1]


def _mean_of_dates(layers: Sequence[Rows]) -> Rows:
    if len(layers) == 1:
        return layers[0]
    height, width = layers[0].shape

    def read(start: int, stop: int) -> Floats:
        count, total = (np.zeros((stop - start, width), np.float32) for _ in range(2))
        for layer in layers:
            power = layer[start:stop]
            known = np.isfinite(power)
            count += known
            total += np.where(known, power, np.float32(0))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)

    return ReadRows((height, width), read)


@dataclass(frozen=True)
class Brightening:
    """Of some rows (row, x): what was land on both dates, and float32 dB of means over it.

    `co` is the change of co-polarised backscatter, `ratio` that of co- over cross-polarised, and
    `level` the co-polarised backscatter after the flood; without `land` they mean nothing.
    """

    land: Mask
    co: Floats
    ratio: Floats
    level: Floats


def read_brightening(
    pair: Pair, land: Callable[[int, int], Mask], height: int, start: int, stop: int
) -> Brightening:
    """Compare rows of two dates.

    Parameters
    ----------
    pair
        Backscatter of both.
    land
        Returns where (row, x) some rows are land on both dates: water beside land would change
        means over both.
    height
        Of the map, px.
    start, stop
        The first row, and the one after the last.
    """
    reach = WINDOW // 2
    top, bottom = max(start - reach, 0), min(stop + reach, height)
    inner = slice(start - top, stop - top)
    layers = [pair.after.co, pair.after.cross, pair.before.co, pair.before.cross]
    known = land(top, bottom)
    for layer in layers:
        known = known & np.isfinite(layer[top:bottom])
    count = np.maximum(box_sum(known.astype(np.float32), WINDOW), 1)

    def level(layer: Rows) -> Floats:
        power, _ = around(layer, start, stop, reach)
        mean = box_sum(np.where(known, power, np.float32(0)), WINDOW) / count
        return np.asarray(power_to_decibel(np.maximum(mean, _FLOOR)[inner]), np.float32)

    after = level(pair.after.co)
    co = after - level(pair.before.co)
    ratio = co - (level(pair.after.cross) - level(pair.before.cross))
    return Brightening(known[inner], co, ratio, after)


@dataclass
class Distribution:
    """How often numbers of dB occur, to a fiftieth of one; the same in whatever order they come."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_BINS), np.int64))

    def add(self, values: Floats) -> None:
        """Add values, (n,) float32 dB."""
        number = np.rint((values - np.float32(_BINS[0])) / np.float32(_BINS[1] - _BINS[0]))
        number = np.clip(number, 0, len(_BINS) - 1).astype(np.int64)
        self.counts += np.bincount(number, minlength=len(_BINS))

    def quantile(self, share: float) -> float:
        """Return what a share (0-1) of the values don't exceed, dB."""
        return _quantile(_BINS, self.counts, share)

    def spread(self) -> float:
        """Return the standard deviation by the median absolute deviation, dB."""
        apart = np.abs(_BINS - self.quantile(0.5))
        order = np.argsort(apart, kind="stable")
        return _NORMAL * _quantile(apart[order], self.counts[order], 0.5)


def _quantile(values: Doubles, counts: NDArray[np.int64], share: float) -> float:
    passed = np.cumsum(counts)
    return float(values[np.searchsorted(passed, share * passed[-1])])


@dataclass(frozen=True)
class Limits:
    """From where on a change is doubtful, and unusual, and land is bright; all dB."""

    co: tuple[float, float]
    ratio: tuple[float, float]
    level: float

    def reached(self, found: Brightening) -> tuple[Mask, Mask]:
        """Return where (row, x) plants may stand in water, and where the change is unusual."""
        bright = found.land & (found.level >= self.level)
        doubtful, unusual = (
            bright & (found.co >= co) & (found.ratio >= ratio)
            for co, ratio in zip(self.co, self.ratio, strict=True)
        )
        return doubtful, unusual


def find_limits(parts: Iterable[Brightening]) -> Limits | None:
    """Find from where on land has changed unusually, by the distribution over all of it.

    Parameters
    ----------
    parts
        Of enough rows of a scene.

    Returns
    -------
    Limits or None
        Of both changes the median, by which rain or another season shifts a scene, and `DOUBTFUL`
        or `UNUSUAL` robust standard deviations, at least half of `LEAST_CHANGE_DB` or all of it;
        None where there is too little land.
    """
    co, ratio, level = Distribution(), Distribution(), Distribution()
    for part in parts:
        for distribution, values in ((co, part.co), (ratio, part.ratio), (level, part.level)):
            distribution.add(values[part.land])
    if co.counts.sum() < _LEAST_LAND:
        return None
    return Limits(_above(co), _above(ratio), level.quantile(BRIGHT))


def _above(change: Distribution) -> tuple[float, float]:
    middle, spread = change.quantile(0.5), change.spread()
    doubtful = max(LEAST_CHANGE_DB / 2, DOUBTFUL * spread)
    return middle + doubtful, middle + max(LEAST_CHANGE_DB, UNUSUAL * spread)
