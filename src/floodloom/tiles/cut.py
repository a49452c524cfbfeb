"""Where tiles are cut, and which are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of, transformer
from floodloom.raster.recipe import Recipe
from floodloom.raster.windows import Window, plan_windows
from floodloom.tiles.settings import Split, TileSettings
from floodloom.tiles.store import tile_dataset

BLOCK_SPLITS = ("train", "validation", "test")
BLOCK_SHARES = (0.6, 0.2, 0.2)
"""Shares of the tiles that lie on each of these sides."""
LEAST_VALID = 0.5
"""Least share of pixels with data in a tile."""


def split_blocks(tiles: xr.Dataset) -> xr.Dataset:
    """Split tiles from west to east: 60 % are training, 20 % validation, 20 % test ground.

    Weaker than holding out events (one storm, one sensor setting), and named so wherever it is
    reported, but no pixel is on two sides: tiles that reach over a border are left out.

    Parameters
    ----------
    tiles
        Tiles of one scene with the index column `col`.

    Returns
    -------
    xr.Dataset
        The tiles with their `split` set, without those on a border.
    """
    if tiles.sizes["tile"] == 0:
        return tiles
    left = tiles.col.values
    right = left + tiles.sizes["x"]
    borders = np.quantile(left, np.cumsum(BLOCK_SHARES[:2]), method="lower")
    part = np.searchsorted(borders, left, side="right")
    whole = np.searchsorted(borders, right - 1, side="right") == part
    split = np.asarray(BLOCK_SPLITS)[part]
    return tiles.assign_coords(split=("tile", split)).isel(tile=np.flatnonzero(whole))


def balanced_windows(
    label: NDArray[np.uint8], valid: NDArray[np.bool_], size: int, count: int, seed: int
) -> list[Window]:
    """Draw windows at random in space, each class centring the same number of them.

    Parameters
    ----------
    label
        (y, x) uint8 classes, 255 = ignore.
    valid
        (y, x) bool, where there are data.
    size
        Side of a window, px.
    count
        Number of windows.
    seed
        Seed of the draw.

    Returns
    -------
    list of Window
        Windows inside the raster, moved inward where a centre lies near the edge. Where a pixel is
        drawn again, as it is of sparse labels, it lies anywhere in its window.

    Raises
    ------
    InputError
        If no labelled pixel has data, or the raster is smaller than a window.

    References
    ----------
    Volpi and Tuia (2017), Dense semantic labeling of subdecimeter resolution images with
    convolutional neural networks, IEEE TGRS 55(2), section III-C: random, class-balanced patches.
    """
    height, width = label.shape
    if min(height, width) < size:
        raise InputError(f"tiles: a scene of {height}x{width} px holds no tile of {size} px")
    drawn = np.random.default_rng(seed)
    usable = valid & (label != IGNORE)
    classes = [int(value) for value in np.unique(label[usable])]
    if not classes:
        raise InputError("tiles: no labelled pixel has data; check that labels overlay the scene")
    windows: list[Window] = []
    seen: set[Window] = set()
    for position, value in enumerate(classes):
        share = count // len(classes) + (position < count % len(classes))
        for row, col in _drawn(usable & (label == value), share, drawn):
            window = _window_at(row - size // 2, col - size // 2, size, label.shape)
            if window in seen:
                down, right = drawn.integers(0, size, 2)
                window = _window_at(row - int(down), col - int(right), size, label.shape)
            windows.append(window)
            seen.add(window)
    return windows


def _drawn(
    mask: NDArray[np.bool_], count: int, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw rows and columns of set pixels, row by row: all at once they are 16 bytes a pixel."""
    before = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    picks = random.integers(0, before[-1], count)
    rows = np.searchsorted(before, picks, side="right") - 1
    return [
        (int(row), int(np.flatnonzero(mask[row])[pick - before[row]]))
        for row, pick in zip(rows, picks, strict=True)
    ]


def _window_at(top: int, left: int, size: int, shape: tuple[int, int]) -> Window:
    """Return the window with this corner, moved inward where it reaches beyond the raster."""
    top, left = (
        int(np.clip(at, 0, side - size)) for at, side in zip((top, left), shape, strict=True)
    )
    return Window(top, left, size, size)


_ROWS = 512  # read at once, as high as a scene's chunks


@dataclass(frozen=True)
class Source:
    """A scene to cut: its inputs and what overlays them pixel by pixel.

    `inputs` is (band, y, x) float32 with NaN = no data, `label` (y, x) uint8 with 255 = ignore,
    `optical` (channel, y, x) float32 reflectance with NaN = cloud or missing; `whole` (y, x) uint8
    whether ground that isn't labelled by pixel holds water (1) or not (0), 255 unknown; `split` the
    side that its data set publishes, which `blocks` leaves it on.
    """

    inputs: xr.DataArray
    label: NDArray[np.uint8]
    event: str
    scene: str
    orbit_pass: str
    optical: xr.DataArray | None = None
    whole: NDArray[np.uint8] | None = None
    split: Split | None = None


def cut_tiles(
    source: Source, recipe: Recipe, *, classes: Sequence[str], settings: TileSettings
) -> xr.Dataset:
    """Cut tiles out of a scene.

    Parameters
    ----------
    source
        Scene, labels and optical image on one grid.
    recipe
        Recipe of the inputs.
    classes
        Names of the label values 0, 1, ...
    settings
        Where tiles are cut, and which side of the split they are on; scenes without any label are
        always target.

    Returns
    -------
    xr.Dataset
        Tiles with their index, see `floodloom.tiles.store.open_tiles`. The images are dask arrays:
        they are cut strip by strip where they are written or read, so that a scene needn't fit into
        memory.

    Raises
    ------
    InputError
        If labels or optical image don't have the scene's shape.
    """
    _require_shape(source, source.inputs.shape[1:])
    valid = _finite(source.inputs)
    label = np.where(valid, source.label, IGNORE).astype(np.uint8)
    labelled = bool((label != IGNORE).any())
    split = source.split if source.split and settings.split == "blocks" else settings.split
    windows = _windows(label, valid, settings, labelled)
    optical = source.optical
    tiles = tile_dataset(
        _lazy_tiles(source.inputs, windows, settings.size),
        _cut_out(label, windows, settings.size),
        _index(source, windows, split if labelled else "target"),
        recipe,
        classes,
        None if optical is None else _lazy_tiles(optical, windows, settings.size),
        () if optical is None else [str(c) for c in optical.channel.values],
        valid=_cut_out(valid, windows, settings.size).mean(axis=(1, 2)),
    )
    by_ground = labelled and split == "blocks"
    return split_blocks(tiles) if by_ground else tiles


def _windows(
    label: NDArray[np.uint8], valid: NDArray[np.bool_], settings: TileSettings, labelled: bool
) -> list[Window]:
    if settings.samples is not None and labelled:
        windows = balanced_windows(label, valid, settings.size, settings.samples, settings.seed)
    else:
        stride = min(settings.stride or settings.size, settings.size)
        height, width = valid.shape
        windows = plan_windows(height, width, settings.size, settings.size - stride)
    return [
        window
        for window in windows
        if min(window.height, window.width) == settings.size
        and valid[window.slices].mean() >= LEAST_VALID
    ]


def _finite(image: xr.DataArray) -> NDArray[np.bool_]:
    """Return (y, x): where all bands have data."""
    finite = xr.apply_ufunc(np.isfinite, image, dask="parallelized", output_dtypes=[bool])
    valid: NDArray[np.bool_] = finite.all(image.dims[0]).values
    return valid


def _lazy_tiles(image: xr.DataArray, windows: list[Window], size: int) -> da.Array:
    """Return (tile, band, y, x) float32, cut out of a few rows of the scene at a time."""
    shape = (image.shape[0], size, size)
    nothing = np.empty((0, *shape), np.float32)
    parts = [da.from_array(nothing, chunks=nothing.shape)]  # type: ignore[no-untyped-call]
    rows = np.array([window.row for window in windows], dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    downward = [windows[index] for index in order]
    for _, near in groupby(downward, lambda window: window.row // max(size, _ROWS)):
        found = list(near)
        top = found[0].row
        strip = image.data[:, top : found[-1].row + size]
        moved = [replace(window, row=window.row - top) for window in found]
        cut = delayed(_cut_out, pure=False)(strip, moved, size)
        parts.append(da.from_delayed(cut, (len(found), *shape), np.float32))  # type: ignore[no-untyped-call]
    together: da.Array = da.concatenate(parts)  # type: ignore[no-untyped-call]
    return together if (np.diff(rows) >= 0).all() else together[np.argsort(order)]


def _cut_out(array: NDArray[Any], windows: list[Window], size: int) -> NDArray[Any]:
    """Return (tile, ..., y, x) of (..., y, x)."""
    if not windows:
        return np.empty((0, *array.shape[:-2], size, size), dtype=array.dtype)
    return np.stack([array[(..., *window.slices)] for window in windows])


def _index(source: Source, windows: list[Window], split: str) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        "tile_id": [f"{source.scene}_{w.row:05d}_{w.col:05d}" for w in windows],
        "event": [source.event] * len(windows),
        "scene": [source.scene] * len(windows),
        "split": [split] * len(windows),
        "orbit_pass": [source.orbit_pass] * len(windows),
        "row": [w.row for w in windows],
        "col": [w.col for w in windows],
    }
    columns |= _bounds(geobox_of(source.inputs), windows)
    whole = source.whole
    columns["tile_label"] = [
        IGNORE if whole is None else _as_a_whole(whole[window.slices]) for window in windows
    ]
    return columns


def _as_a_whole(known: NDArray[np.uint8]) -> int:
    """1 if any part is known to hold water, 0 if all is known to hold none."""
    if (known == 1).any():
        return 1
    return IGNORE if (known == IGNORE).any() else 0


def _bounds(geobox: GeoBox, windows: list[Window]) -> dict[str, list[object]]:
    """Return the sides of each window's box in degrees, NaN without a CRS."""
    if geobox.crs is None or not windows:
        return {side: [math.nan] * len(windows) for side in ("left", "bottom", "right", "top")}
    rows = np.array([[w.row, w.row, w.row + w.height, w.row + w.height] for w in windows])
    cols = np.array([[w.col, w.col + w.width, w.col, w.col + w.width] for w in windows])
    x, y = geobox.pix2wld(cols, rows)
    longitude, latitude = transformer(geobox.crs.to_wkt(), "EPSG:4326").transform(x, y)
    return {
        "left": list(longitude.min(axis=1)),
        "bottom": list(latitude.min(axis=1)),
        "right": list(longitude.max(axis=1)),
        "top": list(latitude.max(axis=1)),
    }


def _require_shape(source: Source, shape: tuple[int, ...]) -> None:
    if source.label.shape != shape:
        raise InputError(
            f"{source.scene}: labels are {source.label.shape} px but the scene is {shape}; "
            "put them on the scene's grid"
        )
    if source.optical is not None and source.optical.shape[1:] != shape:
        raise InputError(
            f"{source.scene}: the optical image is {source.optical.shape[1:]} px but the scene "
            f"is {shape}; align it first"
        )
