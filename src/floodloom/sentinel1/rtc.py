"""Terrain-corrected GeoTIFF products of others, read as scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.windows import Window

from floodloom.errors import InputError
from floodloom.raster.flags import FLAG_ATTRS, Flag
from floodloom.raster.grid import geobox_of, spacing_m
from floodloom.raster.recipe import Recipe
from floodloom.raster.reproject import reprojected
from floodloom.raster.store import stamp
from floodloom.sentinel1.rtc_products import RtcProduct, Scale, find_rtc

_CHUNK = 2048
_SAMPLES = 4

Chunks = tuple[tuple[int, ...], tuple[int, ...]]


def read_rtc(path: Path) -> xr.Dataset:
    """Read a terrain-corrected product lazily.

    Parameters
    ----------
    path
        Folder of the product, or the file of one of its polarisations; the others beside it are
        read as well. Known are Planetary Computer's sentinel-1-rtc, ASF HyP3 RTC, OPERA RTC-S1 (a
        burst) and pyroSAR's products, under their own names.

    Returns
    -------
    Dataset
        A scene on the product's grid, chunked along its tiles or strips: polarisations (y, x)
        float32, linear power, NaN = no data, what noise removal made negative set to 0; `flags`
        (y, x) uint8; `incidence_angle` and `local_incidence_angle` (y, x) float32, degrees, where
        the product has them; attributes and recipe as far as the product's names state them.
        Noise is taken as removed, which is each producer's default.

    Raises
    ------
    InputError
        If there isn't exactly one product of a known kind, a file can't be read or has no CRS, the
        files lie on different grids, or values contradict the scale that the name promises.
    """
    product = find_rtc(path)
    grid = _common_grid(product)
    _require_scale(product)
    chunks = _chunks(next(iter(product.bands.values())))
    signed = {
        band: _by_block(
            linear_power, _values(file, chunks, product.nodata), product.scale, dtype=np.float32
        )
        for band, file in product.bands.items()
    }
    scene = xr.Dataset({band: wrap_xr(da.maximum(v, 0), grid) for band, v in signed.items()})
    for band in signed:
        long_name = f"{band.upper()} {product.quantity}, linear power"
        scene[band].attrs.update(units="1", long_name=long_name)
    scene["flags"] = wrap_xr(_flags(product, list(signed.values()), chunks), grid)
    scene["flags"].attrs.update(FLAG_ATTRS)
    for name, file in product.angles.items():
        degrees = _values(file, chunks, product.nodata) * np.float32(product.angle_unit)
        scene[name] = wrap_xr(degrees, grid)
        scene[name].attrs.update(units="degree", long_name=name.replace("_", " "))
    recipe = Recipe(
        quantity=product.quantity,
        noise_removed=True,
        flattened=product.flattened,
        speckle_filter=product.speckle_filter,
        spacing=spacing_m(float(abs(grid.resolution.x)), grid.crs),
    )
    history = f"read from {product.title} {Path(path).name}"
    return stamp(
        scene.assign_attrs(title=product.title, history=history, **product.attributes), recipe
    )


def mosaic_rtc(scenes: Sequence[xr.Dataset], grid: GeoBox) -> dict[str, da.Array]:
    """Put the terrain-corrected products of one pass onto a grid, lazily.

    Parameters
    ----------
    scenes
        As `read_rtc` gives them; where they overlap, the first that saw the ground counts. Layers
        that not all of them have are left out.
    grid
        The event's grid.

    Returns
    -------
    dict
        (y, x) dask arrays by layer: bilinear in linear power and in degrees, flags of the nearest
        pixel.
    """
    common = [str(name) for name in scenes[0] if all(name in scene for scene in scenes)]
    first, *others = [_onto(scene[common], grid) for scene in scenes]
    for other in others:
        seen, seen_there = (layers["flags"] & Flag.NODATA.value == 0 for layers in (first, other))
        # What none of them saw keeps the reasons of all.
        unseen = other["flags"] | da.where(seen_there, np.uint8(0), first["flags"])
        rest = {**other, "flags": unseen}
        first = {name: da.where(seen, layer, rest[name]) for name, layer in first.items()}
    return first


def _onto(scene: xr.Dataset, grid: GeoBox) -> dict[str, da.Array]:
    layers = {}
    for name, layer in scene.data_vars.items():
        how, outside = ("nearest", Flag.NODATA.value) if name == "flags" else ("bilinear", np.nan)
        layers[str(name)] = reprojected(layer, grid, how, outside)
    return layers


def linear_power(values: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Return linear power from power, amplitude or decibel; NaN stays NaN."""
    if scale == "decibel":
        return np.asarray(np.float32(10.0) ** (values / np.float32(10.0)))
    return values * values if scale == "amplitude" else values


def _common_grid(product: RtcProduct) -> GeoBox:
    files = [*product.bands.values(), *product.angles.values()]
    files += [product.mask] if product.mask else []
    first = geobox_of(files[0])
    for file in files:
        grid = geobox_of(file)
        if grid.crs is None:
            raise InputError(f"{file}: has no CRS; assign one, for example with gdal_edit -a_srs")
        same = grid.crs == first.crs and grid.affine.almost_equals(first.affine, 1e-6)
        if not same or grid.shape != first.shape:
            raise InputError(
                f"{file}: lies on another grid ({_extent(grid)}) than {files[0].name} "
                f"({_extent(first)}); fetch the product again"
            )
    return first


def _extent(grid: GeoBox) -> str:
    height, width = grid.shape.yx
    return f"{height}x{width} px at {grid.affine.c:.12g} {grid.affine.f:.12g}, {grid.crs}"


def _require_scale(product: RtcProduct) -> None:
    for file in product.bands.values():
        values = np.concatenate([block.ravel() for block in _samples(file, product.nodata)])
        values = values[np.isfinite(values)]
        if values.size == 0:
            continue
        if product.scale != "decibel" and np.median(values) < 0:
            raise InputError(
                f"{file}: {product.scale} is promised by its name but most values are negative, "
                f"such as {np.median(values):.3g}: decibel? Convert it to linear power"
            )
        if product.scale == "decibel" and values.min() >= 0:
            raise InputError(
                f"{file}: decibel is promised by its name but no value is negative, "
                f"the least is {values.min():.3g}: linear? Name it after its scale"
            )


def _samples(path: Path, nodata: float) -> Iterator[NDArray[np.float32]]:
    """Yield some blocks from all over a raster, as they are stored."""
    with rasterio.open(path) as raster:
        height, width = raster.block_shapes[0]
        for row in np.linspace(0, (raster.height - 1) // height, _SAMPLES).astype(int):
            for col in np.linspace(0, (raster.width - 1) // width, _SAMPLES).astype(int):
                values = _read(path, raster.block_window(1, row, col))
                yield _valid(values, raster.nodata, nodata)


def _chunks(path: Path) -> Chunks:
    with rasterio.open(path) as raster:
        rows, cols = raster.block_shapes[0]
        shape = raster.height, raster.width
    wide = _CHUNK if cols < shape[1] else shape[1]
    high = max(_CHUNK * _CHUNK // wide, 1)
    sides = max(high // rows, 1) * rows, max(wide // cols, 1) * cols
    chunks: Chunks = da.core.normalize_chunks(sides, shape)  # type: ignore[no-untyped-call]
    return chunks


def _values(path: Path, chunks: Chunks, nodata: float) -> da.Array:
    """Return a raster lazily, float32, NaN = no data."""
    with rasterio.open(path) as raster:
        own = raster.nodata
    return _by_block(_valid, _stored(path, chunks), own, nodata, dtype=np.float32)


def _stored(path: Path, chunks: Chunks) -> da.Array:
    with rasterio.open(path) as raster:
        dtype = raster.dtypes[0]

    def block(block_info: dict[int | None, Any]) -> NDArray[np.generic]:
        (top, bottom), (left, right) = block_info[None]["array-location"]
        return _read(path, Window(left, top, right - left, bottom - top))

    return _by_block(block, chunks=chunks, dtype=dtype)


def _by_block(function: Callable[..., Any], *arrays: Any, dtype: Any, **options: Any) -> da.Array:
    made: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        function, *arrays, dtype=dtype, meta=np.empty((0, 0), dtype), **options
    )
    return made


def _read(path: Path, window: Window) -> NDArray[np.generic]:
    try:
        with rasterio.open(path) as raster:
            values: NDArray[np.generic] = raster.read(1, window=window)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: missing or damaged ({error}); fetch it again") from error
    return values


def _valid(values: NDArray[np.generic], own: float | None, nodata: float) -> NDArray[np.float32]:
    floats = values.astype(np.float32)
    missing = ~np.isfinite(floats) | (floats == nodata)
    if own is not None:
        missing |= floats == own
    floats[missing] = np.nan
    return floats


def _flags(product: RtcProduct, signed: list[da.Array], chunks: Chunks) -> da.Array:
    if product.mask is None:
        return _by_block(block_flags, product, None, *signed, dtype=np.uint8)
    mask = _stored(product.mask, chunks)
    return _by_block(block_flags, product, mask, *signed, dtype=np.uint8)


def block_flags(
    product: RtcProduct, mask: NDArray[np.integer] | None, *signed: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the flags of a block.

    Parameters
    ----------
    product
        Says what the bits of the mask mean.
    mask
        (y, x) integer, the product's own mask, if it has one.
    signed
        (y, x) floating for each polarisation, linear power as the product states it, NaN = no
        data.

    Returns
    -------
    ndarray
        (y, x) uint8: no data where the first polarisation or the mask says so, below the noise
        where any polarisation is negative, layover and shadow by the mask.
    """
    flags = np.where(np.isnan(signed[0]), Flag.NODATA.value, 0).astype(np.uint8)
    for values in signed:
        flags[values < 0] |= Flag.BELOW_NOISE.value
    if mask is not None:
        filled = mask == product.mask_fill
        for bit, flag in product.mask_bits.items():
            flags[(mask & bit > 0) & ~filled] |= flag.value
        flags[filled] |= Flag.NODATA.value
    return flags
