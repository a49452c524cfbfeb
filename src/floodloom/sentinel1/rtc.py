"""Backscatter that others have calibrated and terrain-corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasterio.windows import Window as RasterWindow
from scipy.ndimage import maximum_filter, minimum_filter

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.raster.align import reproject_layer
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import spacing_m
from floodloom.raster.opener import open_raster
from floodloom.raster.recipe import FLAG_ATTRS, Flag, Recipe
from floodloom.raster.store import stamp
from floodloom.raster.windows import Window
from floodloom.sentinel1.bands import decibel_to_power
from floodloom.sentinel1.rtc_products import RtcProduct, find_rtc

Scale = Literal["power", "amplitude", "decibel"]

_LEAST, _MOST = -80.0, 45.0  # dB; noise floors lie near -30, corner reflectors below 40
_USUAL = {"power": (0.0, 3.0), "amplitude": (0.0, 1.7), "decibel": (-45.0, 5.0)}
MARGIN = 7
"""Side of a square that can't be zeros by chance, px."""

BACKSCATTER: dict[Scale, Kind] = {
    "power": Kind("backscatter (linear power)", low=-1.0, high=float(decibel_to_power(_MOST))),
    "amplitude": Kind("backscatter (amplitude)", low=-1.0, high=10 ** (_MOST / 20)),
    "decibel": Kind("backscatter (decibel)", low=_LEAST, high=_MOST),
}
"""What numbers backscatter can be. Removing the noise leaves power a little below 0."""


def linear_power(values: Floats, scale: Scale) -> Floats:
    """Return linear power from power, amplitude or decibel; NaN stays NaN."""
    if scale == "decibel":
        return decibel_to_power(values)
    return values * values if scale == "amplitude" else values


def require_scale(values: Floats, scale: Scale, name: str) -> None:
    """Check that numbers are what a scale gives.

    Parameters
    ----------
    values
        Any shape, some of the raster's numbers; NaN = no data.
    scale
        What they should be.
    name
        Of the raster, for messages.

    Raises
    ------
    InputError
        If they are mostly outside of what land and water give, or of the other scale.
    """
    kind = BACKSCATTER[scale]
    known = values[np.isfinite(values) & (values != 0)]
    known = known[(known > -9000) & (known < 60_000)]  # undeclared fill values
    if known.size == 0:
        return
    middle, least = float(np.median(known)), float(known.min())
    low, high = _USUAL[scale]
    if scale == "decibel" and least >= 0:
        raise InputError(
            f"{name}: its name states decibel but no value is negative, the least is "
            f"{least:.3g}: linear? Name it after its scale"
        )
    if scale != "decibel" and middle < 0:
        raise InputError(
            f"{name}: its name states {scale} but most values are negative, such as "
            f"{middle:.3g}: decibel? Convert it to linear power"
        )
    if not low <= middle <= high:
        raise InputError(
            f"{name}: {middle:.4g} is its median, which {kind.what} can't be; a scaled integer? "
            "Give its band the scale and offset (gdal_edit -scale -offset), or convert it"
        )


def empty_margins(bands: Sequence[Floats]) -> NDArray[np.bool_]:
    """Return where a scene is empty: squares of exact zeros in every band.

    A single pixel may be 0 where noise was removed, and 0 dB is a number like others; a whole
    neighbourhood that is 0 in all bands holds no data, whether the file declares it or not.

    Parameters
    ----------
    bands
        (y, x) float32 each, NaN = no data; what lies around them counts as empty.

    Returns
    -------
    ndarray
        (y, x) bool. A pixel's value depends on those less than `MARGIN` px away.
    """
    zero = np.zeros(bands[0].shape, dtype=bool)
    empty = np.ones(bands[0].shape, dtype=bool)
    for band in bands:
        zero |= band == 0
        empty &= (band == 0) | np.isnan(band)
    if zero.any():
        cores = minimum_filter(empty, MARGIN, mode="constant", cval=1)
        empty &= maximum_filter(cores, MARGIN, mode="constant", cval=0)
        return empty
    return zero


_CHUNK = 2048
_SAMPLES = 4

_ANGLE = Kind("angle map")

Chunks = tuple[tuple[int, ...], tuple[int, ...]]
BlockInfo = dict[int | None, Any]


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
        files lie on different grids, or values contradict the scale that the name states.
    """
    product = find_rtc(path)
    found = _opened(product)
    _require_scale(product, found)
    first = found[next(iter(product.bands.values()))]
    grid, chunks = first.geobox, _chunks(first)
    rasters = [found[file] for file in product.bands.values()]

    # Power below 0, which the removal of noise leaves, is flagged before it is cut off.
    signed = dict(zip(product.bands, _power(rasters, product, chunks), strict=True))
    scene = xr.Dataset({band: wrap_xr(da.maximum(v, 0), grid) for band, v in signed.items()})
    for band in signed:
        long_name = f"{band.upper()} {product.quantity}, linear power"
        scene[band].attrs.update(units="1", long_name=long_name)
    scene["flags"] = wrap_xr(_flags(product, list(signed.values()), chunks), grid)
    scene["flags"].attrs.update(FLAG_ATTRS)

    for name, file in product.angles.items():
        degrees = _values(found[file], chunks, product.nodata) * np.float32(product.angle_unit)
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
        layers[str(name)] = reproject_layer(layer, grid, how, outside)
    return layers


def _opened(product: RtcProduct) -> dict[Path, ForeignRaster]:
    """Open the files that hold numbers, on one grid."""
    kind = BACKSCATTER[product.scale]
    files = dict.fromkeys(product.bands.values(), kind)
    files |= dict.fromkeys(product.angles.values(), _ANGLE)
    found = {f: open_foreign(f, kind, within=product.within) for f, kind in files.items()}
    _require_one_grid(found, product)
    return found


def _require_one_grid(found: Mapping[Path, ForeignRaster], product: RtcProduct) -> None:
    grids = {file: raster.geobox for file, raster in found.items()}
    if product.mask:
        mask = open_foreign(product.mask, Kind("mask"), within=product.within)
        grids[product.mask] = mask.geobox
    name, first = next(iter(grids.items()))
    for file, grid in grids.items():
        if grid.crs is None:
            raise InputError(f"{file}: has no CRS; assign one, for example with gdal_edit -a_srs")
        same = grid.crs == first.crs and grid.affine.almost_equals(first.affine, 1e-6)
        if not same or grid.shape != first.shape:
            raise InputError(
                f"{file}: lies on another grid ({_extent(grid)}) than {name.name} "
                f"({_extent(first)}); fetch the product again"
            )


def _extent(grid: GeoBox) -> str:
    height, width = grid.shape.yx
    return f"{height}x{width} px at {grid.affine.c:.12g} {grid.affine.f:.12g}, {grid.crs}"


def _require_scale(product: RtcProduct, found: Mapping[Path, ForeignRaster]) -> None:
    """Refuse a product whose numbers contradict the scale that its name states."""
    for file in product.bands.values():
        blocks = [block.ravel() for block in _samples(found[file], product.nodata)]
        require_scale(np.concatenate(blocks), product.scale, str(file))


def _samples(raster: ForeignRaster, nodata: float) -> Iterator[NDArray[np.float32]]:
    """Yield some blocks from all over a raster."""
    rows, cols = raster.block
    height, width = raster.geobox.shape.yx
    for row in np.linspace(0, (height - 1) // rows, _SAMPLES).astype(int) * rows:
        for col in np.linspace(0, (width - 1) // cols, _SAMPLES).astype(int) * cols:
            part = Window(row, col, min(rows, height - row), min(cols, width - col))
            yield _without(raster.numbers(part), nodata)


def _chunks(raster: ForeignRaster) -> Chunks:
    rows, cols = raster.block
    shape = tuple(raster.geobox.shape.yx)
    wide = _CHUNK if cols < shape[1] else shape[1]
    high = max(_CHUNK * _CHUNK // wide, 1)
    sides = max(high // rows, 1) * rows, max(wide // cols, 1) * cols
    chunks: Chunks = da.core.normalize_chunks(sides, shape)  # type: ignore[no-untyped-call]
    return chunks


def _values(raster: ForeignRaster, chunks: Chunks, nodata: float) -> da.Array:
    """Return a raster lazily, float32, NaN = no data."""

    def block(block_info: BlockInfo) -> NDArray[np.float32]:
        return _without(raster.read(_place(block_info)), nodata)

    return _by_block(block, chunks=chunks, dtype=np.float32)


def _power(rasters: Sequence[ForeignRaster], product: RtcProduct, chunks: Chunks) -> list[da.Array]:
    """Return linear power of each band lazily, float32, NaN = no data, signed as it is stored."""

    def block(block_info: BlockInfo) -> NDArray[np.float32]:
        part = _place(block_info)
        around, inner = _with_surroundings(part, rasters[0].geobox)
        bands = [_without(raster.read(around), product.nodata) for raster in rasters]
        empty = empty_margins(bands)[inner]
        power = np.stack([linear_power(band[inner], product.scale) for band in bands])
        return np.where(empty, np.float32(np.nan), power)

    return list(_by_block(block, chunks=((len(rasters),), *chunks), dtype=np.float32, dims=3))


def _with_surroundings(part: Window, grid: GeoBox) -> tuple[Window, tuple[slice, slice]]:
    """Return a part with what its margins depend on, and where it lies in that."""
    top, left = max(part.row - MARGIN, 0), max(part.col - MARGIN, 0)
    bottom = min(part.row + part.height + MARGIN, int(grid.shape.y))
    right = min(part.col + part.width + MARGIN, int(grid.shape.x))
    inner = Window(part.row - top, part.col - left, part.height, part.width)
    return Window(top, left, bottom - top, right - left), inner.slices


def _without(numbers: NDArray[np.float32], nodata: float) -> NDArray[np.float32]:
    numbers[numbers == nodata] = np.nan
    return numbers


def _place(block_info: BlockInfo) -> Window:
    (top, bottom), (left, right) = block_info[None]["array-location"][-2:]
    return Window(top, left, bottom - top, right - left)


def _mask(path: Path, within: Path | None, chunks: Chunks) -> da.Array:
    """Return a product's own mask lazily, as it is stored."""
    with open_raster(path, "mask", within=within) as raster:
        dtype = np.dtype(raster.dtypes[0])
    if dtype.kind not in "iu":
        raise InputError(f"{path}: {dtype} values, but a mask has bits; fetch the product again")

    def block(block_info: BlockInfo) -> NDArray[np.generic]:
        part = _place(block_info)
        with open_raster(path, "mask", within=within) as raster:
            stored: NDArray[np.generic] = raster.read(
                1, window=RasterWindow(part.col, part.row, part.width, part.height)
            )
        return stored

    return _by_block(block, chunks=chunks, dtype=dtype)


def _by_block(
    function: Callable[..., Any], *arrays: Any, dtype: Any, dims: int = 2, **options: Any
) -> da.Array:
    made: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        function, *arrays, dtype=dtype, meta=np.empty((0,) * dims, dtype), **options
    )
    return made


def _flags(product: RtcProduct, signed: list[da.Array], chunks: Chunks) -> da.Array:
    if product.mask is None:
        return _by_block(block_flags, product, None, *signed, dtype=np.uint8)
    mask = _mask(product.mask, product.within, chunks)
    return _by_block(block_flags, product, mask, *signed, dtype=np.uint8)


def block_flags(
    product: RtcProduct, mask: NDArray[np.integer] | None, *signed: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the flags of a block.

    Parameters
    ----------
    product
        Its producer, which gives the bits of the mask their meaning.
    mask
        (y, x) integer, the product's own mask, if it has one.
    signed
        (y, x) floating for each polarisation, linear power as the product states it, NaN = no
        data.

    Returns
    -------
    ndarray
        (y, x) uint8: no data where the first polarisation has none or the mask marks none, below
        the noise where any polarisation is negative, layover and shadow by the mask.
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
