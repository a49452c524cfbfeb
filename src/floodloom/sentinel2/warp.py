"""Optical bands, on the grid of a scene."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from floodloom.errors import InputError
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.placing import place_raster
from floodloom.raster.windows import crop
from floodloom.sentinel2.indices import REACH_PX, seen_by_classes, seen_by_indices

CLOUD = "cloud"
"""Name of a band that is 1 under cloud or cloud shadow."""
SCENE_CLASSES = "scl"
"""Name of the scene classification of level 2A."""
SENTINEL2 = {
    "b01": "coastal", "b02": "blue", "b03": "green", "b04": "red", "b05": "red_edge_1",
    "b06": "red_edge_2", "b07": "red_edge_3", "b08": "nir", "b8a": "nir_narrow", "b09": "vapour",
    "b10": "cirrus", "b11": "swir", "b12": "swir_2",
}  # fmt: skip
"""Sentinel-2's bands by their number."""

_QUANTIFICATION, _OFFSET, _OFFSET_SINCE = 10_000.0, -1_000.0, 4.0
_SYNONYMS = {"swir1": "swir", "swir_1": "swir", "swir2": "swir_2", "nir08": "nir", "nir1": "nir"}


@dataclass(frozen=True)
class Scaling:
    """reflectance = (number + offset) / quantification; `nodata` numbers are no data."""

    quantification: float = 1.0
    offset: float = 0.0
    nodata: float | None = None

    def reflectance(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return reflectance, 0 and up, float32; NaN where there is no data."""
        scaled = np.maximum((numbers + self.offset) / self.quantification, 0)
        missing = ~np.isfinite(numbers)
        if self.nodata is not None:
            missing |= numbers == self.nodata
        return np.where(missing, np.nan, scaled).astype(np.float32)


def scaling_of(tags: Mapping[str, str], dtype: str) -> Scaling:
    """Return what the numbers of a product mean.

    Parameters
    ----------
    tags
        Metadata of the file. PROCESSING_BASELINE ("04.00" or "N0400") from 4 on adds the offset of
        -1000; BOA_ADD_OFFSET and QUANTIFICATION_VALUE win where they are written.
    dtype
        Type of the numbers. Floating-point numbers are reflectance already.

    Raises
    ------
    ValueError
        If a tag has a value that no product uses.
    """
    if np.issubdtype(np.dtype(dtype), np.floating):
        return Scaling()
    known = {name.upper(): value for name, value in tags.items()}
    offset = _OFFSET if _baseline(known.get("PROCESSING_BASELINE", "")) >= _OFFSET_SINCE else 0.0
    quantification = _number(known, "QUANTIFICATION_VALUE", _QUANTIFICATION)
    if quantification <= 0:
        raise ValueError(f"QUANTIFICATION_VALUE is {quantification:g}, but must be above 0")
    return Scaling(quantification, _number(known, "BOA_ADD_OFFSET", offset), nodata=0.0)


def _number(tags: Mapping[str, str], name: str, default: float) -> float:
    text = tags.get(name)
    try:
        found = default if text is None else float(text)
    except ValueError:
        found = np.nan
    if not np.isfinite(found):
        raise ValueError(f"{name} is {str(text)[:40]!r}, which is no number")
    return found


def _baseline(text: str) -> float:
    compact = re.fullmatch(r"N(\d\d)(\d\d)", text)
    if compact:
        return float(f"{compact[1]}.{compact[2]}")
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0


def band_name(description: str) -> str:
    """Return floodloom's name of a band: `green` for B03, b3 or Green."""
    name = description.strip().lower()
    number = re.fullmatch(r"b(\d)", name)
    name = f"b0{number[1]}" if number else name
    return SENTINEL2.get(name, _SYNONYMS.get(name, name))


def chosen_bands(have: Sequence[str], wanted: Sequence[str], path: str) -> tuple[str, ...]:
    """Return the reflectance bands to read, all there are if none is asked for.

    Raises
    ------
    InputError
        If one isn't there, or none at all.
    """
    spectral = tuple(name for name in have if name not in (CLOUD, SCENE_CLASSES))
    if not spectral:
        raise InputError(f"{path}: has no reflectance, only {', '.join(have)}; give the bands, too")
    missing = [name for name in wanted if name not in spectral]
    if missing:
        raise InputError(
            f"{path}: band {', '.join(missing)} is missing, it has {', '.join(spectral)}; give a "
            "product with that band"
        )
    return tuple(wanted) or spectral


BLOCK_PX = 2048
"""Side of the pieces in which an image is read."""

_OPTICAL = Kind("optical image", low=-1.0)
_BRIGHTEST = 10.0  # reflectance; what is beyond is a fill value, or counts of a sensor
_SATURATED = 65_535.0  # in the integers of Sentinel-2
_MASK = Kind("mask of clouds", masked=False)


def optical_on_grid(
    path: str | Path,
    geobox: GeoBox,
    *,
    bands: Sequence[str] = (),
    names: Sequence[str] = (),
    rows: tuple[int, ...] | None = None,
) -> xr.DataArray:
    """Bring an optical image onto a grid and blank its clouds and cloud shadows.

    The file's bands are looked at now, its pixels when they are asked for, piece by piece, so that
    a whole scene needs no more memory than some pieces.

    Parameters
    ----------
    path
        Raster with a CRS: reflectance as floating-point numbers or as Sentinel-2's integers, and
        optionally a band `cloud` (1 = cloud or shadow) or `scl`. Without either, clouds are
        recognised by their brightness and whiteness.
    geobox
        Grid of the radar scene, with a CRS.
    bands
        Which bands to read, such as green, nir, swir; all that are there by default.
    names
        Names of the file's bands where it doesn't describe them.
    rows
        Heights of the pieces, where they are to be those of other dask chunks; 2048 px by default.

    Returns
    -------
    xr.DataArray
        (channel, y, x) float32 reflectance by bilinear interpolation, as dask chunks; NaN where
        cloudy or missing.

    Raises
    ------
    InputError
        If the raster can't be opened, has no CRS, its bands have no names, or one is missing; when
        pixels are asked for, if they can't be read.
    """
    raster = _opened(path)
    have = _names(raster, names)
    chosen = chosen_bands(have, bands, str(path))
    place = {name: position for position, name in enumerate(have, start=1)}
    image = _Image(raster, geobox, chosen, place, _scaling(raster, place[chosen[0]]))
    shape = (len(chosen), *geobox.shape.yx)
    sides = (-1, rows or BLOCK_PX, BLOCK_PX)
    pieces = da.map_blocks(  # type: ignore[no-untyped-call]
        image.piece,
        chunks=da.core.normalize_chunks(sides, shape, dtype=np.float32),  # type: ignore[no-untyped-call]
        meta=np.empty((0, 0, 0), np.float32),
    )
    return xr.DataArray(pieces, dims=("channel", "y", "x"), coords={"channel": list(chosen)})


@dataclass(frozen=True)
class _Image:
    """An optical raster and what is read of it: `place` numbers its bands from 1."""

    raster: ForeignRaster
    geobox: GeoBox
    chosen: Sequence[str]
    place: Mapping[str, int]
    scaling: Scaling

    def piece(self, block_info: Mapping[Any, Any]) -> NDArray[np.float32]:
        """Return (channel, y, x) of the piece that dask asks for."""
        rows, cols = (slice(*ends) for ends in block_info[None]["array-location"][1:])
        geobox = self.geobox[rows, cols]
        masked = CLOUD in self.place or SCENE_CLASSES in self.place
        margin = 0 if masked else REACH_PX  # a cloud beside the piece throws its shadow into it
        image = self._reflectance(geobox.pad(margin) if margin else geobox)
        seen = self._marked_clear(geobox) if masked else seen_by_indices(image)
        bands = [crop(band, margin) for band in image.values()]
        return np.where(crop(seen, margin), np.stack(bands), np.float32(np.nan))

    def _marked_clear(self, geobox: GeoBox) -> NDArray[np.bool_]:
        """Return where the file's own mask sees the ground."""
        raster = replace(self.raster, kind=_MASK)
        if CLOUD in self.place:
            return np.asarray(place_raster(raster, geobox, band=self.place[CLOUD], log=False) < 0.5)
        return seen_by_classes(
            place_raster(raster, geobox, band=self.place[SCENE_CLASSES], log=False)
        )

    def _reflectance(self, geobox: GeoBox) -> dict[str, NDArray[np.float32]]:
        numbers = {
            name: place_raster(
                self.raster,
                geobox,
                resampling=Resampling.bilinear,
                band=self.place[name],
                log=False,
            )
            for name in self.chosen
        }
        # Reflectance is never 0 in every band: that is a margin that nobody declared.
        empty = np.all([band == 0 for band in numbers.values()], axis=0) & (len(numbers) > 1)
        return {
            name: self.scaling.reflectance(np.where(empty, np.float32(np.nan), band))
            for name, band in numbers.items()
        }


def _opened(path: str | Path) -> ForeignRaster:
    raster = open_foreign(path, _OPTICAL, bands=None)
    if np.issubdtype(np.dtype(raster.dtypes[0]), np.floating):
        raster = replace(raster, kind=replace(_OPTICAL, high=_BRIGHTEST))
    else:
        raster = replace(raster, kind=replace(_OPTICAL, unknown=(0.0, _SATURATED)))
    if raster.geobox.crs is None:
        raise InputError(f"{path}: the optical image needs a CRS; give a georeferenced one")
    return raster


def _scaling(raster: ForeignRaster, band: int) -> Scaling:
    """Return what numbers mean: reflectance, where the file scales them itself."""
    if raster.is_scaled(band):
        return Scaling()
    try:
        return scaling_of(raster.tags, raster.dtypes[band - 1])
    except ValueError as error:
        raise InputError(f"{raster.path}: {error}; correct the tag, or remove it") from error


def _names(raster: ForeignRaster, given: Sequence[str]) -> tuple[str, ...]:
    path, count = raster.path, len(raster.dtypes)
    if given and len(given) != count:
        raise InputError(
            f"{path}: {len(given)} names were given for {count} bands; name every band"
        )
    described = given or raster.descriptions
    if None in described:
        raise InputError(
            f"{path}: needs a description of every band, such as B03 or green; describe them or "
            "set `optical_names`"
        )
    found = tuple(band_name(str(name)) for name in described)
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise InputError(
            f"{path}: several bands are called {', '.join(twice)} (of "
            f"{', '.join(map(str, described))}); name every band in `optical_names`, each another "
            "one"
        )
    return found
