"""The one way from a scene store to the bands that a network sees."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.raster.recipe import Normalisation, Recipe
from floodloom.raster.store import recipe_of
from floodloom.sentinel1.bands import CO_POLARISED, CROSS_POLARISED, POLARISATIONS, RANGES
from floodloom.sentinel1.decibel import power_to_decibel

_RATIO_RANGE = (-15.0, 0.0)
_FLOOR = 1e-6
_HIGHEST = 400.0  # dB, beyond what float32 holds
_STATISTICS_PIXELS = 4_000_000
_USUAL_DB = dict.fromkeys(CO_POLARISED, (-12.4, 4.2)) | dict.fromkeys(CROSS_POLARISED, (-19.4, 4.3))
"""Mean and standard deviation of a scene: medians of 300 simulated chips."""
BEFORE = "before_"
"""Prefix of the bands that come from the pre-event scene."""


def compose_inputs(
    scene: xr.Dataset,
    recipe: Recipe,
    *,
    before: xr.Dataset | None = None,
    absent: Collection[str] = (),
) -> xr.DataArray:
    """Compose the input bands of a network from a scene and, where asked, its pre-event scene.

    Parameters
    ----------
    scene
        Scene store with (y, x) float32 variables: linear power, or display values.
    recipe
        Which bands in which order and how they are normalised. `ratio` is VH/VV in decibel
        (HH/HV scenes: HV/HH); `one_minus_ratio` is 1 - VH/VV, kept to 0..1 (Paul and Ganju 2021,
        arXiv 2107.08369); a name with `before_` is taken from the pre-event scene. Angles and
        heights have ranges of their own, see `floodloom.sentinel1.bands.RANGES`.
    before
        Pre-event scene on the same grid.
    absent
        Bands that the scene, or the pre-event scene, may lack: they are 0 wherever the others have
        data, as the network saw them in training.

    Returns
    -------
    xr.DataArray
        (band, y, x) float32, as lazy as the scene. Fixed normalisation maps the recipe's decibel
        range to -1..1 (ratio: -15..0 dB) and clips; scene normalisation subtracts the mean and
        divides by the standard deviation that the scene store carries, of backscatter by those of
        the whole scene in decibel. Display values for a network that sees backscatter get the mean
        and the standard deviation of a usual scene. NaN where there is no data.

    Raises
    ------
    InputError
        If a band, the pre-event scene or the statistics are missing.
    """
    bands: dict[str, xr.DataArray] = {}
    lacking = lacking_bands(scene, recipe, before, absent)
    for name in recipe.bands:
        if name in lacking:
            continue
        source, band = _source(name, scene, before)
        if source is None:
            raise InputError(f"band {name}: no pre-event scene was given")
        bands[name] = _normalised(source, band, recipe).drop_vars("time", errors="ignore")
    for name in lacking:
        bands[name] = _neutral(bands, name)
    ordered = [bands[name] for name in recipe.bands]
    stacked = xr.concat(ordered, dim="band", join="override", coords="minimal", compat="override")
    return stacked.assign_coords(band=list(recipe.bands)).transpose("band", "y", "x")


def lacking_bands(
    scene: xr.Dataset, recipe: Recipe, before: xr.Dataset | None, absent: Collection[str]
) -> list[str]:
    """Return the bands that are 0 in `compose_inputs`, which takes the same."""
    sources = {name: _source(name, scene, before) for name in recipe.bands if name in absent}
    return [name for name, (held, band) in sources.items() if held is None or band not in held]


def _source(
    name: str, scene: xr.Dataset, before: xr.Dataset | None
) -> tuple[xr.Dataset | None, str]:
    return (before, name.removeprefix(BEFORE)) if name.startswith(BEFORE) else (scene, name)


def _neutral(bands: Mapping[str, xr.DataArray], name: str) -> xr.DataArray:
    """Return a band that the scene lacks: 0 where another has data."""
    if not bands:
        raise InputError(f"band {name}: not in the scene, nor is any other that a network sees")
    there = next(iter(bands.values()))
    neutral: xr.DataArray = there * np.float32(0)
    return neutral.rename(name)


def _normalised(scene: xr.Dataset, band: str, recipe: Recipe) -> xr.DataArray:
    pairs = zip(CO_POLARISED, CROSS_POLARISED, strict=True)
    co, cross = next((pair for pair in pairs if pair[0] in scene), ("hh", "hv"))
    if band == "one_minus_ratio":
        powers = [_variable(scene, name) for name in (cross, co)]
        share = powers[0] / powers[1].clip(min=_FLOOR)
        known = np.isfinite(powers[0]) & np.isfinite(powers[1])
        return (1 - share.clip(0, 1)).where(known).astype(np.float32)
    if recipe.quantity == "display" and (band not in RANGES or _has_statistics(scene, band)):
        return standardised(scene, band)
    if band in RANGES:
        return _scaled(_variable(scene, band), RANGES[band])
    if band != "ratio" and band not in POLARISATIONS and band in scene:
        raise InputError(
            f"band {band}: neither backscatter nor one of {', '.join(RANGES)}, so how it is scaled "
            "isn't known; leave it out"
        )
    if band == "ratio":
        decibel = _backscatter(scene, cross) - _backscatter(scene, co)
    else:
        decibel = _backscatter(scene, band)
    if recipe.normalisation == "scene":
        return _by_its_own_statistics(decibel)
    return _scaled(decibel, _RATIO_RANGE if band == "ratio" else recipe.db_range)


def _backscatter(scene: xr.Dataset, band: str) -> xr.DataArray:
    """Return a band in decibel; display values as if their scene were a usual one."""
    if "recipe" not in scene.attrs or recipe_of(scene).quantity != "display":
        return to_decibel(_variable(scene, band))
    mean, deviation = _USUAL_DB[band]
    usual: xr.DataArray = mean + deviation * standardised(scene, band)
    return usual.astype(np.float32)


def to_decibel(power: xr.DataArray) -> xr.DataArray:
    """Return linear power in decibel; zero and below become -60 dB, NaN and infinity NaN."""
    return _by_pixel(_decibel, power)


def _decibel(power: Floats) -> Floats:
    decibel = np.maximum(power, np.float32(_FLOOR), dtype=np.float32)
    power_to_decibel(decibel, out=decibel)
    decibel[decibel > _HIGHEST] = (
        np.nan
    )  # infinite power; clipped to its range it would be bright land
    return decibel


def _scaled(band: xr.DataArray, limits: tuple[float, float]) -> xr.DataArray:
    low, high = limits

    def scale(values: Floats) -> Floats:
        scaled = np.clip(values, low, high)
        scaled -= low
        scaled *= 2 / (high - low)
        scaled -= 1
        return scaled

    return _by_pixel(scale, band)


def _by_pixel(function: Callable[[Floats], Floats], values: xr.DataArray) -> xr.DataArray:
    """Apply a function that makes one array and works in place, as new memory takes longest."""
    found: xr.DataArray = xr.apply_ufunc(
        function, values, dask="parallelized", output_dtypes=[np.float32]
    )
    return found


def standardised(scene: xr.Dataset, band: str) -> xr.DataArray:
    """Return a band of display values less the mean of its whole scene, over the deviation.

    Parameters
    ----------
    scene
        Scene store that carries its statistics.
    band
        Name of the band, (y, x) float32.

    Returns
    -------
    xr.DataArray
        (y, x) float32, standard deviations; NaN where there are no data.

    Raises
    ------
    InputError
        If the band or its statistics are missing.
    """
    mean, deviation = _stored_statistics(scene, band)
    values: xr.DataArray = (_variable(scene, band) - mean) / deviation
    return values.astype(np.float32)


def _has_statistics(scene: xr.Dataset, band: str) -> bool:
    return band in json.loads(scene.attrs.get("statistics", "{}"))


def _stored_statistics(scene: xr.Dataset, band: str) -> tuple[float, float]:
    try:
        mean, deviation = map(float, json.loads(scene.attrs.get("statistics", "{}"))[band])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"band {band}: the scene carries no statistics for it; ingest it again"
        ) from error
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise InputError(
            f"band {band}: the scene's mean is {mean:g} and its standard deviation {deviation:g}, "
            "which can't be; ingest it again"
        )
    return mean, deviation


def _by_its_own_statistics(decibel: xr.DataArray) -> xr.DataArray:
    """Standardise by the whole scene, of which an even part is read: offsets and gains cancel."""
    step = max(math.isqrt(decibel.size // _STATISTICS_PIXELS), 1)
    mean, deviation = standardisation(decibel[::step, ::step])
    return ((decibel - mean) / deviation).astype(np.float32)


def _variable(scene: xr.Dataset, band: str) -> xr.DataArray:
    if band not in scene:
        have = ", ".join(str(name) for name in scene.data_vars)
        source = Path(str(scene.encoding.get("source", ""))).name
        of = f"{source}: " if source else ""
        raise InputError(f"{of}band {band}: not in the scene, which has {have}")
    return scene[band]


def standardisation(values: xr.DataArray | np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of the valid values, the latter at least 1e-6."""
    array = np.asarray(values, dtype=np.float64)
    valid = array[np.isfinite(array)]
    if valid.size == 0:
        return 0.0, 1.0
    deviation = float(valid.std())
    return float(valid.mean()), deviation if deviation > _FLOOR else 1.0


def inputs_recipe(
    scene: xr.Dataset,
    bands: tuple[str, ...],
    normalisation: Normalisation = "fixed",
) -> Recipe:
    """Return the recipe of the inputs made from a scene.

    Display-stretched scenes are standardised by their own statistics; backscatter is scaled as
    `normalisation` states: by fixed constants, or by the statistics of its whole scene, which a
    changed offset or gain of the sensor doesn't touch.
    """
    product = recipe_of(scene)
    scaled_by = "scene" if product.quantity == "display" else normalisation
    return product.for_inputs(bands, normalisation=scaled_by)
