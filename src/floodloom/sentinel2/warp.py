"""An optical product read onto a grid, as reflectance with clouds blanked."""

from __future__ import annotations

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
from floodloom.sentinel2.bands import (
    CLOUD,
    SCENE_CLASSES,
    Scaling,
    band_name,
    chosen_bands,
    scaling_of,
)
from floodloom.sentinel2.clouds import REACH_PX, seen_by_classes, seen_by_indices

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
