"""The levels of a scene, strip by strip: decibel, or standardised display values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from floodloom.arrays import Floats, Mask
from floodloom.classical.histograms import Bins, Scale, TileCounts, count_tiles
from floodloom.errors import InputError
from floodloom.raster.store import recipe_of
from floodloom.raster.windows import box_sum
from floodloom.sentinel1.bands import CO_POLARISED, POLARISATIONS
from floodloom.sentinel1.decibel import power_to_decibel
from floodloom.tiles.inputs import standardised

ROWS = 512
"""Rows of a strip, a multiple of the side of a tile."""

_WINDOW = 3  # px, of the mean against speckle
_FLOOR = 1e-6  # linear power, -60 dB
_BACKSCATTER = ("beta0", "sigma0", "gamma0")

_DECIBEL, _DECIBEL_CHANGE = Bins(-50.0, 0.25, 280), Bins(-35.0, 0.25, 280)
_DEVIATIONS, _DEVIATIONS_CHANGE = Bins(-6.0, 0.05, 320), Bins(-8.0, 0.05, 320)

_BRIGHTEST = {True: -15.0, False: -22.0}
"""Greatest mean of water in co- and cross-polarised backscatter, dB. Of a water class of -17.9 dB
at 35 degrees and a deviation of 2.75 (Bauer-Marschallinger et al. 2022, Remote Sensing 14(15),
3673, for VV) one deviation is brighter; what has a brighter mean is land on land."""
_LEAST_DROP = {True: -3.0, False: -0.5}
"""Greatest mean change that new water makes, dB, or standard deviations of display values."""


@dataclass(frozen=True)
class BackscatterScene:
    """A scene as baselines see it.

    Attributes
    ----------
    bands
        (y, x) float32 by polarisation, as lazy as the store: linear power or, of scenes without a
        physical scale, display values less the mean of the scene over its deviation. NaN = no data.
    before
        The same bands of the scene before, on the same grid; None without one.
    has_power
        Whether the bands are power.
    is_calibrated
        Whether that is beta0, sigma0 or gamma0.
    is_filtered
        Whether speckle was filtered; where it wasn't, levels are those of means of 3 x 3 px.
    low
        (y, x) bool, ground that water can stand on; None: all.
    reference
        (y, x) bool, where water is always; None: not known.
    """

    bands: Mapping[str, xr.DataArray]
    before: Mapping[str, xr.DataArray] | None = None
    has_power: bool = True
    is_calibrated: bool = True
    is_filtered: bool = False
    low: Mask | None = None
    reference: Mask | None = None

    @classmethod
    def of(
        cls,
        store: xr.Dataset,
        *,
        before: xr.Dataset | None = None,
        low: Mask | None = None,
        reference: Mask | None = None,
    ) -> BackscatterScene:
        """Return a scene store as baselines see it.

        Parameters
        ----------
        store
            Scene store.
        before
            Scene store before the flood, made the same way and on the same grid.
        low
            (y, x) bool, ground that water can stand on; all by default.
        reference
            (y, x) bool, where water is always; not known by default.

        Raises
        ------
        InputError
            If the store has no polarisation, or the scene before lacks one of its.
        """
        names = [name for name in POLARISATIONS if name in store]
        if not names:
            have = ", ".join(map(str, store.data_vars))
            raise InputError(f"baseline: needs vv, vh, hh or hv; the scene has {have}")
        if before is not None:
            names = [name for name in names if name in before]
        if not names:
            raise InputError("baseline: the scenes before and after share no polarisation")
        recipe = recipe_of(store)
        has_power = recipe.quantity != "display"
        stores = (store,) if before is None else (store, before)
        bands = [
            {name: one[name] if has_power else standardised(one, name) for name in names}
            for one in stores
        ]
        return cls(
            bands=bands[0],
            before=bands[1] if before is not None else None,
            has_power=has_power,
            is_calibrated=recipe.quantity in _BACKSCATTER,
            is_filtered=recipe.speckle_filter != "none",
            low=low,
            reference=reference,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        sizes = next(iter(self.bands.values())).sizes
        return sizes["y"], sizes["x"]

    @property
    def unit(self) -> str:
        """Unit of the levels."""
        return "dB" if self.has_power else "standard deviations"

    def scale(self, band: str, compared: bool) -> Scale:
        """Return what the levels of a band, or their changes, are."""
        if compared:
            bins = _DECIBEL_CHANGE if self.has_power else _DEVIATIONS_CHANGE
            return Scale(bins, _LEAST_DROP[self.has_power])
        bins = _DECIBEL if self.has_power else _DEVIATIONS
        if not (self.has_power and self.is_calibrated):
            return Scale(bins)
        return Scale(bins, _BRIGHTEST[band in CO_POLARISED])

    def count(self, band: str, compared: bool) -> TileCounts:
        """Return the histograms of a band, or of its change, by tiles, where ground is low."""
        strips = (
            (row, np.where(low, levels[band], np.float32(np.nan)))
            for row, levels, low in self.strips(compared, (band,))
        )
        return count_tiles(strips, self.shape, self.scale(band, compared))

    def strips(
        self, compared: bool, bands: tuple[str, ...] | None = None
    ) -> Iterator[tuple[int, dict[str, Floats], Mask]]:
        """Read the scene from top to bottom.

        Parameters
        ----------
        compared
            Give the change of levels since the scene before.
        bands
            Which; all by default.

        Yields
        ------
        row, levels, low
            First row; levels (y, x) float32 of the rows from there by band, NaN = no data; and
            (y, x) bool, where water can stand.
        """
        height, width = self.shape
        for row in range(0, height, ROWS):
            end = min(row + ROWS, height)
            levels = {band: self._levels(band, row, end, compared) for band in bands or self.bands}
            everywhere = np.ones((end - row, width), dtype=bool)
            yield row, levels, everywhere if self.low is None else self.low[row:end]

    def read(self, row: int, end: int) -> tuple[dict[str, Floats], Mask]:
        """Return the levels (y, x) float32 of some rows by band, and where (y, x) ground is low."""
        levels = {band: self._levels(band, row, end, compared=False) for band in self.bands}
        if self.low is not None:
            return levels, self.low[row:end]
        return levels, np.ones((end - row, self.shape[1]), dtype=bool)

    def _levels(self, band: str, row: int, end: int, compared: bool) -> Floats:
        after = self._read(self.bands[band], row, end)
        if not compared:
            return after
        if self.before is None:
            raise InputError("baseline: compares two dates, but no scene before was given")
        return np.asarray(after - self._read(self.before[band], row, end))

    def _read(self, band: xr.DataArray, row: int, end: int) -> Floats:
        """Levels (y, x) of some rows, by means of the neighbours that have data."""
        reach = 0 if self.is_filtered else _WINDOW // 2
        top = max(row - reach, 0)
        values = band.isel(y=slice(top, end + reach)).values.astype(np.float32, copy=False)
        known = np.isfinite(values)
        if reach:
            count = box_sum(known.astype(np.float32), _WINDOW)
            total = box_sum(np.where(known, values, np.float32(0)), _WINDOW)
            values = total / np.maximum(count, 1)
        if self.has_power:
            values = power_to_decibel(np.maximum(values, np.float32(_FLOOR)))
        levels = np.where(known, values, np.float32(np.nan))
        return np.asarray(levels[row - top : row - top + end - row])
