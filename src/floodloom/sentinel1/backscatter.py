"""Scenes of backscatter that others have calibrated, and mostly terrain-corrected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window as RasterWindow

from floodloom.arrays import Floats
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.align import reproject_layer
from floodloom.raster.foreign import ForeignRaster, Kind, open_foreign
from floodloom.raster.grid import on_grid, pixel_height, spacing_m, unwound
from floodloom.raster.layers import Layer, Raster
from floodloom.raster.opener import open_raster
from floodloom.raster.points import ControlPoints, warp_by_points
from floodloom.raster.recipe import FLAG_ATTRS, Flag, Recipe
from floodloom.raster.store import stamp
from floodloom.raster.windows import Window
from floodloom.sentinel1.presets import BackscatterProduct
from floodloom.sentinel1.producers import find_product
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.sentinel1.statements import Meaning, linear_power, understand
from floodloom.texts import brief

MARGIN = 7
"""Side of a square that can't be zeros by chance, px."""
POINTS = "control_points"
"""Attribute of a scene in the image's own pixels: the points that place it."""


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
        cores = scipy.ndimage.minimum_filter(empty, MARGIN, mode="constant", cval=1)
        empty &= scipy.ndimage.maximum_filter(cores, MARGIN, mode="constant", cval=0)
        return empty
    return zero


_NOTHING = BackscatterSettings()
_CHUNK = 2048
_SAME_PX = 1e-6

_ANGLE = Kind("angle map")

Chunks = tuple[tuple[int, ...], tuple[int, ...]]
BlockInfo = dict[int | None, Any]


def read_backscatter(
    path: Path, stated: BackscatterSettings = _NOTHING, *, log: bool = True
) -> xr.Dataset:
    """Read backscatter of others lazily.

    Parameters
    ----------
    path
        Folder of a product, or the file of one of its polarisations, to which those of the others
        beside it belong: GeoTIFF, VRT of files in its folder, NetCDF, or a Zarr store. Products of
        Planetary Computer (sentinel-1-rtc), ASF HyP3, OPERA RTC-S1 (a burst) and pyroSAR are known
        by their names.
    stated
        What is stated of it.
    log
        Report in one line what was taken for what, and why.

    Returns
    -------
    Dataset
        See `scene_of`.

    Raises
    ------
    InputError
        If there isn't exactly one product, or as `scene_of`.
    """
    return scene_of(find_product(path), stated, name=str(path), log=log)


def scene_of(
    product: BackscatterProduct,
    stated: BackscatterSettings,
    *,
    name: str,
    log: bool = True,
    placed: bool = True,
) -> xr.Dataset:
    """Read a product lazily.

    Parameters
    ----------
    product
        Its files, and what their names state.
    stated
        What is stated of it beside, which counts before all else.
    name
        What it is called in messages.
    log
        Report in one line what was taken for what, and why.
    placed
        Refuse what has no CRS.

    Returns
    -------
    Dataset
        A scene on the product's grid, chunked along its tiles or strips: polarisations (y, x)
        float32, linear power, NaN = no data, what noise removal made negative set to 0; `flags`
        (y, x) uint8; `incidence_angle` and `local_incidence_angle` (y, x) float32, degrees, where
        the product has them; attributes and recipe as far as they are known. Noise is taken as
        removed, which is each producer's default, except from digital numbers. One that control
        points alone place is in the image's own pixels, with these in `POINTS`.

    Raises
    ------
    InputError
        If a file can't be read or has no place, the files lie on different grids, what has to be
        known can't be, or values contradict it.
    """
    known = understand(product, stated, placed=placed)
    first = next(iter(known.layers.values())).raster
    grid, chunks = unwound(first.geobox), _chunks(first)
    angles = _angles(product)
    _require_one_grid(known.layers, angles, product)

    # Power below 0, which the removal of noise leaves, is flagged before it is cut off.
    signed = dict(zip(known.layers, _power(known, grid, chunks), strict=True))
    scene = xr.Dataset({band: on_grid(da.maximum(v, 0), grid) for band, v in signed.items()})
    for band in signed:
        long_name = f"{band.upper()} {known.quantity}, linear power"
        scene[band].attrs.update(units="1", long_name=long_name)
    scene["flags"] = on_grid(_flags(product, list(signed.values()), chunks), grid)
    scene["flags"].attrs.update(FLAG_ATTRS)

    for angle, raster in angles.items():
        degrees = _values(raster, chunks) * np.float32(product.angle_unit)
        scene[angle] = on_grid(degrees, grid)
        scene[angle].attrs.update(units="degree", long_name=angle.replace("_", " "))

    history = f"read from {product.title} {Path(name).name}: {known.reasons}"
    if log:
        get_logger(__name__).info("%s: %s: %s", name, product.title, known.reasons)
    if first.points is not None:
        scene = _by_points(scene, first.points)
    return stamp(
        scene.assign_attrs(title=product.title, history=history, **product.attributes),
        _recipe(known, product, grid),
    )


def _by_points(scene: xr.Dataset, points: ControlPoints) -> xr.Dataset:
    return scene.assign_attrs({POINTS: points, "footprint": list(points.footprint)})


def _recipe(known: Meaning, product: BackscatterProduct, grid: GeoBox) -> Recipe:
    height = pixel_height(grid)
    spacing = height if grid.crs is None else spacing_m(height, grid.crs)
    points = next(iter(known.layers.values())).raster.points
    return Recipe(
        quantity=known.quantity,
        noise_removed=known.scale != "dn",
        flattened=known.flattened,
        speckle_filter=product.speckle_filter,
        spacing=spacing if points is None else None,
    )


def mosaic_backscatter(scenes: Sequence[xr.Dataset], grid: GeoBox) -> dict[str, da.Array]:
    """Put the backscatter of others of one pass onto a grid, lazily.

    Parameters
    ----------
    scenes
        As `read_backscatter` gives them; where they overlap, the first that saw the ground counts.
        Layers that not all of them have are left out.
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
    points = scene.attrs.get(POINTS)
    for name, layer in scene.data_vars.items():
        how, outside = ("nearest", Flag.NODATA.value) if name == "flags" else ("bilinear", np.nan)
        if points is None:
            layers[str(name)] = reproject_layer(layer, grid, how, outside)
        else:
            smooth = how == "bilinear"
            layers[str(name)] = warp_by_points(layer.data, points, grid, outside, smooth=smooth)
    return layers


def _angles(product: BackscatterProduct) -> dict[str, ForeignRaster]:
    """Open the maps of angles, in which the product's own no data is none either."""
    kind = replace(_ANGLE, unknown=product.states.nodata)
    files = product.angles.items()
    return {name: open_foreign(file, kind, within=product.within) for name, file in files}


def _require_one_grid(
    layers: Mapping[str, Layer], angles: Mapping[str, ForeignRaster], product: BackscatterProduct
) -> None:
    first = next(iter(layers.values()))
    grids = {str(layer.file): layer.raster.geobox for layer in layers.values()}
    grids |= {raster.path: raster.geobox for raster in angles.values()}
    if product.mask:
        mask = open_foreign(product.mask, Kind("mask"), within=product.within)
        grids[str(product.mask)] = mask.geobox
    wanted = first.raster.geobox
    for file, grid in grids.items():
        same = grid.crs == wanted.crs and _px_apart(grid, wanted) < _SAME_PX
        if not same or grid.shape != wanted.shape:
            raise InputError(
                f"{file}: lies on another grid ({_extent(grid)}) than {first.file.name} "
                f"({_extent(wanted)}); fetch the product again"
            )
    for layer in layers.values():
        if layer.raster.points != first.raster.points:
            raise InputError(
                f"{layer.file}: has other ground control points than {first.file.name}; fetch the "
                "product again"
            )


def _px_apart(one: GeoBox, other: GeoBox) -> float:
    """Return the greatest distance of the corners of two grids, px."""
    height, width = other.shape.yx
    corners = [(col, row) for col in (0, width) for row in (0, height)]
    moved = [~other.affine @ (one.affine @ corner) for corner in corners]
    return float(np.abs(np.subtract(moved, corners)).max())


def _extent(grid: GeoBox) -> str:
    height, width = grid.shape.yx
    code = grid.crs and grid.crs.to_epsg()
    crs = f"EPSG:{code}" if code else brief(grid.crs and grid.crs.proj.name)
    return f"{height}x{width} px at {grid.affine.c:.12g} {grid.affine.f:.12g}, {crs}"


def _chunks(raster: Raster) -> Chunks:
    rows, cols = raster.block
    shape = tuple(raster.geobox.shape.yx)
    wide = _CHUNK if cols < shape[1] else shape[1]
    high = max(_CHUNK * _CHUNK // wide, 1)
    sides = max(high // rows, 1) * rows, max(wide // cols, 1) * cols
    chunks: Chunks = da.core.normalize_chunks(sides, shape)  # type: ignore[no-untyped-call]
    return chunks


def _values(raster: ForeignRaster, chunks: Chunks) -> da.Array:
    """Return a raster lazily, float32, NaN = no data."""

    def block(block_info: BlockInfo) -> NDArray[np.float32]:
        return raster.read(_place(block_info))

    return _by_block(block, chunks=chunks, dtype=np.float32)


def _power(known: Meaning, grid: GeoBox, chunks: Chunks) -> list[da.Array]:
    """Return linear power of each band lazily, float32, NaN = no data, signed as it is stored."""

    def block(block_info: BlockInfo) -> NDArray[np.float32]:
        around, inner = _with_surroundings(_place(block_info), grid)
        bands = [known.numbers(name, around) for name in known.layers]
        empty = empty_margins(bands)[inner]
        power = np.stack([linear_power(band[inner], known.scale) for band in bands])
        return np.where(empty, np.float32(np.nan), power)

    count = len(known.layers)
    return list(_by_block(block, chunks=((count,), *chunks), dtype=np.float32, dims=3))


def _with_surroundings(part: Window, grid: GeoBox) -> tuple[Window, tuple[slice, slice]]:
    """Return a part with what its margins depend on, and where it lies in that."""
    top, left = max(part.row - MARGIN, 0), max(part.col - MARGIN, 0)
    bottom = min(part.row + part.height + MARGIN, int(grid.shape.y))
    right = min(part.col + part.width + MARGIN, int(grid.shape.x))
    inner = Window(part.row - top, part.col - left, part.height, part.width)
    return Window(top, left, bottom - top, right - left), inner.slices


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


def _flags(product: BackscatterProduct, signed: list[da.Array], chunks: Chunks) -> da.Array:
    if product.mask is None:
        return _by_block(block_flags, product, None, *signed, dtype=np.uint8)
    mask = _mask(product.mask, product.within, chunks)
    return _by_block(block_flags, product, mask, *signed, dtype=np.uint8)


def block_flags(
    product: BackscatterProduct, mask: NDArray[np.integer] | None, *signed: NDArray[np.floating]
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
