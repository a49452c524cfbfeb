"""Geocoding of a scene, and of the slices of a pass into one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from floodloom.raster.recipe import Flag
from floodloom.raster.windows import Window, crop
from floodloom.sentinel1.flatten import (
    Places,
    beta_areas,
    flattening_ratio,
    in_shadow,
    sample_bilinear,
    sample_nearest,
)
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.locate import (
    Lattice,
    build_lattice,
    image_of_nodes,
    lattice_step,
    least_spacing_m,
    locate_block,
)
from floodloom.sentinel1.terrain import TerrainView, reach_m, view_terrain

ANGLES = ("incidence_angle", "local_incidence_angle")
"""Names of the layers of angles, degrees."""

Layers = dict[str, NDArray[Any]]


class Elevation(Protocol):
    """Where heights above the ellipsoid come from."""

    def read(self, geobox: GeoBox, window: Window, step: int) -> NDArray[np.float32]:
        """Return the heights at the pixel centres of a window, (y, x) float32, m."""

    def height_range(self, geobox: GeoBox, step: int) -> tuple[float, float]:
        """Return the least and the greatest height on a grid, m."""


@dataclass(frozen=True)
class Geocoding:
    """How a calibrated scene is put onto a grid.

    `geobox` is the map grid, `looks` how many pixels in a row and in a column are averaged into
    one of its pixels. `flatten` divides by the area that the radar illuminates.
    """

    geobox: GeoBox
    geometry: ImageGeometry
    elevation: Elevation
    metres_per_pixel: float
    looks: int = 1
    flatten: bool = False
    heights: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        heights = self.elevation.height_range(self.fine_grid, self.step)
        object.__setattr__(self, "heights", heights)

    @cached_property
    def fine_grid(self) -> GeoBox:
        """The grid before `looks` by `looks` pixels are averaged."""
        height, width = self.geobox.shape.yx
        affine = self.geobox.affine @ self.geobox.affine.scale(1 / self.looks)
        return GeoBox((height * self.looks, width * self.looks), affine, self.geobox.crs)

    @cached_property
    def step(self) -> int:
        """Pixels between the nodes of the lattice."""
        return lattice_step(self.metres_per_pixel / self.looks)

    @cached_property
    def reach(self) -> int:
        """Pixels over which layover and shadow can reach, in whatever direction."""
        angles = self.incidence
        near, far = float(angles.min()) - 0.5, float(angles.max()) + 0.5
        # In degrees, pixels near the poles are much narrower than high.
        spacing = min(self.metres_per_pixel / self.looks, least_spacing_m(self.fine_grid))
        return math.ceil(reach_m(self.heights, (near, far)) / spacing)

    @cached_property
    def margin(self) -> int:
        """Pixels around a window whose elevations decide what is seen in it."""
        return (2 if self.flatten else 1) * (self.reach + 2)

    @cached_property
    def lattice(self) -> Lattice:
        """Nodes of the whole grid, solved once for all windows."""
        height, width = self.fine_grid.shape.yx
        whole = _grown(Window(0, 0, height, width), self.margin)
        return build_lattice(self.fine_grid, whole, self.geometry, self.heights, self.step)

    def misses(self, window: Window) -> bool:
        """Whether no height that occurs puts a pixel of a window on the radar's image."""
        line, pixel = image_of_nodes(self.lattice.around(window))
        return bool(
            line.max() < -1
            or line.min() > self.geometry.lines
            or pixel.max() < -1
            or pixel.min() > self.geometry.samples
        )

    @cached_property
    def incidence(self) -> NDArray[np.float64]:
        """Incidence angle of the image's samples, degrees."""
        return self.geometry.incidence_angles()

    @cached_property
    def beta_area(self) -> NDArray[np.float64]:
        """Area of the image's samples in the slant range plane, m²."""
        return beta_areas(self.geometry)


def geocode_block(
    scene: Mapping[str, xr.DataArray], bands: tuple[str, ...], plan: Geocoding, window: Window
) -> Layers:
    """Geocode a window of the grid.

    Parameters
    ----------
    scene
        Calibrated layers (line, pixel), read lazily: the bands as float32 linear power, `flags`.
    bands
        Names of the backscatter layers.
    plan
        How.
    window
        In pixels of the plan's grid.

    Returns
    -------
    dict
        (y, x) arrays: the bands as float32 linear power, `incidence_angle` and
        `local_incidence_angle` as float32 degrees, NaN = no data; `flags` uint8. The result doesn't
        depend on how the grid is cut into windows.
    """
    k = plan.looks
    fine = Window(window.row * k, window.col * k, window.height * k, window.width * k)
    if plan.misses(fine):
        return _unseen(bands, (window.height, window.width))
    margin = plan.margin
    elevation = plan.elevation.read(plan.fine_grid, _grown(fine, margin), plan.step)
    lattice = plan.lattice.around(_grown(fine, margin))
    around = margin // 2 if plan.flatten else 0  # of what lies there, some may be imaged here
    wide = _grown(fine, around)
    holes = np.isnan(elevation)
    filled = np.where(holes, np.float32(lattice.middle), elevation)
    all_places = Places(*locate_block(lattice, wide, crop(filled, margin - around)))
    places, holes = all_places.crop(around), crop(holes, margin)
    part = places.window(plan.geometry.lines, plan.geometry.samples)
    if part is None:
        return _unseen(bands, (window.height, window.width))
    view = view_terrain(lattice, wide, elevation, margin - around, around)
    image = {name: scene[name].isel(_slices(part)).values for name in (*bands, "flags")}
    if plan.flatten:
        image = _flattened(image, bands, plan, part, all_places, view.area)
    layers = _sampled(image, bands, part, places, view.crop(around))
    _blank_holes(layers, bands, holes)
    return _multilooked(layers, k) if k > 1 else layers


def _unseen(bands: tuple[str, ...], shape: tuple[int, int]) -> Layers:
    blank = {name: np.full(shape, np.nan, dtype=np.float32) for name in (*bands, *ANGLES)}
    return {**blank, "flags": np.full(shape, Flag.NODATA.value, dtype=np.uint8)}


def _sampled(
    image: Layers, bands: tuple[str, ...], part: Window, places: Places, view: TerrainView
) -> Layers:
    layers: Layers = {band: sample_bilinear(image[band], part, places) for band in bands}
    flags = sample_nearest(image["flags"], part, places, Flag.NODATA.value)
    unseen = flags & Flag.NODATA.value > 0
    for name, angle in zip(ANGLES, (view.incidence_angle, view.local_incidence_angle), strict=True):
        angle[unseen] = np.nan
        layers[name] = angle
    view.flags[unseen] = 0
    flags |= view.flags
    flags |= np.isnan(layers[bands[0]]) * np.uint8(Flag.NODATA.value)
    return {**layers, "flags": flags}


def _blank_holes(layers: Layers, bands: tuple[str, ...], holes: NDArray[np.bool_]) -> None:
    flags = layers["flags"]
    imaged = holes & (flags & Flag.NODATA.value == 0)
    flags[imaged] = Flag.NODATA.value | Flag.NO_ELEVATION.value
    for band in bands:
        layers[band][holes] = np.nan


def _flattened(
    image: Layers,
    bands: tuple[str, ...],
    plan: Geocoding,
    part: Window,
    places: Places,
    area: NDArray[np.float32],
) -> Layers:
    """Divide a part of the image by the area that all facets imaged there show to the radar."""
    ratio = flattening_ratio(places, area, part, plan.beta_area)
    shadow = in_shadow(ratio, plan.incidence[part.col : part.col + part.width])
    ratio[shadow] = np.nan
    flat: Layers = {band: np.asarray(image[band] / ratio, dtype=np.float32) for band in bands}
    flags = image["flags"] | np.where(shadow, Flag.SHADOW.value, 0).astype(np.uint8)
    return {**flat, "flags": flags}


def _multilooked(layers: Layers, k: int) -> Layers:
    """Average k by k pixels: the mean of the known ones, and all of their flags but no data."""
    averaged: Layers = {}
    for name, layer in layers.items():
        blocks = layer.reshape(layer.shape[0] // k, k, layer.shape[1] // k, k)
        if name == "flags":
            averaged[name] = _merged_flags(np.asarray(blocks))
            continue
        known = np.isfinite(blocks)
        total = np.where(known, blocks, 0).sum(axis=(1, 3), dtype=np.float64)
        count = known.sum(axis=(1, 3))
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        averaged[name] = mean.astype(np.float32)
    return averaged


def _merged_flags(blocks: NDArray[Any]) -> NDArray[np.uint8]:
    flags: NDArray[np.uint8] = blocks.astype(np.uint8)
    seen = flags & Flag.NODATA.value == 0
    merged = np.bitwise_or.reduce(np.where(seen, flags, 0), axis=(1, 3))
    unseen = np.bitwise_or.reduce(flags, axis=(1, 3))
    return np.asarray(np.where(seen.any(axis=(1, 3)), merged, unseen), dtype=np.uint8)


def _grown(window: Window, margin: int) -> Window:
    return Window(
        window.row - margin,
        window.col - margin,
        window.height + 2 * margin,
        window.width + 2 * margin,
    )


def _slices(part: Window) -> dict[str, slice]:
    rows, cols = part.slices
    return {"line": rows, "pixel": cols}


_BLOCKS = 16  # of a small grid
_LARGEST = 1536  # side of a block, px: 300 MB a thread, and shards of the store


@dataclass(frozen=True)
class Part:
    """A calibrated scene (line, pixel), and how it is put onto the grid."""

    scene: Mapping[str, xr.DataArray]
    plan: Geocoding


def mosaic_layers(parts: Sequence[Part], bands: tuple[str, ...]) -> dict[str, da.Array]:
    """Geocode the scenes of one pass into one mosaic.

    Parameters
    ----------
    parts
        The scenes; where they overlap, the first that saw the ground counts.
    bands
        Names of the backscatter layers.

    Returns
    -------
    dict
        (y, x) dask arrays, as `geocode_block` gives them.
    """
    plan = parts[0].plan
    height, width = plan.geobox.shape.yx
    side = min(_LARGEST, _side(height * width, max(part.plan.margin for part in parts)))
    shared = delayed(list(parts), traverse=False)
    block = delayed(_mosaicked_block)
    dtypes: dict[str, Any] = {**dict.fromkeys((*bands, *ANGLES), np.float32), "flags": np.uint8}
    rows: dict[str, list[list[da.Array]]] = {name: [] for name in dtypes}
    for row in range(0, height, side):
        windows = [
            Window(row, col, min(side, height - row), min(side, width - col))
            for col in range(0, width, side)
        ]
        made = [block(shared, bands, window) for window in windows]
        for name, dtype in dtypes.items():
            rows[name].append(
                [
                    da.from_delayed(layers[name], (w.height, w.width), dtype)  # type: ignore[no-untyped-call]
                    for layers, w in zip(made, windows, strict=True)
                ]
            )
    return {name: da.block(blocks) for name, blocks in rows.items()}  # type: ignore[no-untyped-call]


def _side(pixels: int, margin: int) -> int:
    """Return a side at which a small grid gives every worker something to do, margins the less."""
    return max(math.ceil(math.sqrt(pixels / _BLOCKS) / 256) * 256, 256, 4 * margin)


def _mosaicked_block(parts: Sequence[Part], bands: tuple[str, ...], window: Window) -> Layers:
    first, *others = parts
    merged = geocode_block(first.scene, bands, first.plan, window)
    for part in others:
        unseen = merged["flags"] & Flag.NODATA.value > 0
        if not unseen.any():
            break
        other = geocode_block(part.scene, bands, part.plan, window)
        seen = unseen & (other["flags"] & Flag.NODATA.value == 0)
        for name, layer in merged.items():
            layer[seen] = other[name][seen]
        # What none of them saw keeps the reasons of all.
        merged["flags"][unseen & ~seen] |= other["flags"][unseen & ~seen]
    return merged
