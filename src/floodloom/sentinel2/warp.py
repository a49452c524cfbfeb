"""An optical product read onto a grid, as reflectance with clouds blanked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from floodloom.errors import InputError
from floodloom.raster.grid import quiet_about_georeference
from floodloom.sentinel2.bands import CLOUD, SCENE_CLASSES, band_name, chosen_bands, scaling_of
from floodloom.sentinel2.clouds import seen_by_classes, seen_by_indices


def optical_on_grid(
    path: str | Path, geobox: GeoBox, *, bands: Sequence[str] = (), names: Sequence[str] = ()
) -> xr.DataArray:
    """Read an optical image onto a grid and blank its clouds and cloud shadows.

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

    Returns
    -------
    xr.DataArray
        (channel, y, x) float32 reflectance by bilinear interpolation; NaN where cloudy or missing.

    Raises
    ------
    InputError
        If the raster can't be opened, has no CRS, its bands have no names, or one is missing.
    """
    with _opened(path) as raster:
        have = _names(raster, names, path)
        chosen = chosen_bands(have, bands, str(path))
        place = {name: position for position, name in enumerate(have, start=1)}
        scaling = scaling_of(raster.tags(), raster.dtypes[place[chosen[0]] - 1])
        numbers = _warped(
            raster, geobox, [place[b] for b in chosen], Resampling.bilinear, scaling.nodata
        )
        image = {b: scaling.reflectance(n) for b, n in zip(chosen, numbers, strict=True)}
        seen = _seen(raster, geobox, place, image)
    stacked = np.where(seen, np.stack(list(image.values())), np.float32(np.nan))
    return xr.DataArray(stacked, dims=("channel", "y", "x"), coords={"channel": list(chosen)})


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
        yield raster


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


def _seen(
    raster: rasterio.DatasetReader,
    geobox: GeoBox,
    place: Mapping[str, int],
    image: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.bool_]:
    if CLOUD in place:
        cloud = _warped(raster, geobox, [place[CLOUD]], Resampling.nearest, None)[0]
        return np.asarray(cloud < 0.5)
    if SCENE_CLASSES in place:
        nearest = _warped(raster, geobox, [place[SCENE_CLASSES]], Resampling.nearest, 0.0)
        return seen_by_classes(nearest[0])
    return seen_by_indices(image)


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
