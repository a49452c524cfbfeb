"""An optical product read onto a grid, as reflectance with clouds blanked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from floodloom.errors import InputError
from floodloom.raster.grid import quiet_about_georeference
from floodloom.raster.windows import cropped
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
        optionally a band `cloud` (1 = cloud or shadow) or `scl`. Without either, clouds are told
        by their brightness and whiteness.
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
    with _opened(path) as raster:
        have = _names(raster, names, path)
        chosen = chosen_bands(have, bands, str(path))
        place = {name: position for position, name in enumerate(have, start=1)}
        scaling = scaling_of(raster.tags(), raster.dtypes[place[chosen[0]] - 1])
    image = _Image(Path(path), geobox, chosen, place, scaling)
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

    path: Path
    geobox: GeoBox
    chosen: Sequence[str]
    place: Mapping[str, int]
    scaling: Scaling

    def piece(self, block_info: Mapping[Any, Any]) -> NDArray[np.float32]:
        """Return (channel, y, x) of the piece that dask asks for."""
        rows, cols = (slice(*ends) for ends in block_info[None]["array-location"][1:])
        with _opened(self.path) as raster:
            return self._read(raster, self.geobox[rows, cols])

    def _read(self, raster: rasterio.DatasetReader, geobox: GeoBox) -> NDArray[np.float32]:
        masked = CLOUD in self.place or SCENE_CLASSES in self.place
        margin = 0 if masked else REACH_PX  # a cloud beside the piece throws its shadow into it
        image = self._reflectance(raster, geobox.pad(margin) if margin else geobox)
        seen = self._marked_clear(raster, geobox) if masked else seen_by_indices(image)
        bands = [cropped(band, margin) for band in image.values()]
        return np.where(cropped(seen, margin), np.stack(bands), np.float32(np.nan))

    def _marked_clear(self, raster: rasterio.DatasetReader, geobox: GeoBox) -> NDArray[np.bool_]:
        """Return where the file's own mask sees the ground."""
        if CLOUD in self.place:
            cloud = _warped(raster, geobox, [self.place[CLOUD]], Resampling.nearest, None)[0]
            return np.asarray(cloud < 0.5)
        indexes = [self.place[SCENE_CLASSES]]
        return seen_by_classes(_warped(raster, geobox, indexes, Resampling.nearest, 0.0)[0])

    def _reflectance(
        self, raster: rasterio.DatasetReader, geobox: GeoBox
    ) -> dict[str, NDArray[np.float32]]:
        indexes = [self.place[band] for band in self.chosen]
        numbers = _warped(raster, geobox, indexes, Resampling.bilinear, self.scaling.nodata)
        return {
            band: self.scaling.reflectance(values)
            for band, values in zip(self.chosen, numbers, strict=True)
        }


@contextmanager
def _opened(path: str | Path) -> Iterator[rasterio.DatasetReader]:
    try:
        with quiet_about_georeference():
            raster = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: not a readable optical image ({error})") from error
    with raster:
        if raster.crs is None:
            raise InputError(f"{path}: the optical image needs a CRS; give a georeferenced one")
        try:
            yield raster
        except rasterio.errors.RasterioError as error:
            raise InputError(f"{path}: can't be read ({error}); fetch it again") from error


def _names(
    raster: rasterio.DatasetReader, given: Sequence[str], path: str | Path
) -> tuple[str, ...]:
    if given and len(given) != raster.count:
        raise InputError(
            f"{path}: {len(given)} names were given for {raster.count} bands; name every band"
        )
    described = given or raster.descriptions
    if None in described:
        raise InputError(
            f"{path}: needs a description of every band, such as B03 or green; describe them or "
            "set `optical_names`"
        )
    found = tuple(band_name(name) for name in described)
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise InputError(
            f"{path}: several bands are called {', '.join(twice)} (of {', '.join(described)}); "
            "name every band in `optical_names`, each another one"
        )
    return found


def _warped(
    raster: rasterio.DatasetReader,
    geobox: GeoBox,
    indexes: list[int],
    resampling: Resampling,
    nodata: float | None,
) -> NDArray[np.float32]:
    height, width = geobox.shape.yx
    with WarpedVRT(
        raster,
        crs=geobox.crs.to_wkt(),
        transform=geobox.affine,
        height=height,
        width=width,
        resampling=resampling,
        src_nodata=nodata if raster.nodata is None else raster.nodata,
        nodata=np.nan,
        dtype="float32",
    ) as warped:
        values: NDArray[np.float32] = warped.read(indexes)
    return values
