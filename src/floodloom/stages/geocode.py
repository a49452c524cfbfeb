"""Backscatter in radar geometry → a scene store on a map grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.flags import FLAG_ATTRS, Flag
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, recipe_of, stamp, write_store
from floodloom.raster.windows import Window
from floodloom.sentinel1.elevation import ConstantHeight, ElevationModel, open_elevation
from floodloom.sentinel1.footprint import event_grid
from floodloom.sentinel1.geocode import ANGLES, Geocoding, Layers, geocode_block
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.speckle import FILTERS

_LOOKS = 4.4
_POLARISATIONS = ("vv", "vh", "hh", "hv")


def geocode(
    *,
    scene: Sequence[Path] | Path,
    out: Path,
    dem: Path | None = None,
    companions: Sequence[Path] = (),
    epsg: int | None = None,
    bounds: Sequence[float] | None = None,
    resolution: float = 10.0,
    flatten: bool = False,
    dem_heights: str = "ellipsoid",
    constant_height: float = 0.0,
    speckle_filter: str = "none",
    speckle_window: int = 5,
    chunk: int = 2048,
) -> Path:
    """Correct the scenes of one pass for the terrain and put them on one map grid.

    Parameters
    ----------
    scene
        Calibrated stores of one pass; where they overlap, the first that saw the ground counts.
    out
        Scene store to write (.zarr).
    dem
        Elevation raster, m. Without one, every pixel is put at `constant_height`, and the store
        says so.
    companions
        Calibrated stores of the event's other dates: the grid covers them, too, so that all dates
        overlay to the pixel.
    epsg
        EPSG code of the grid; the UTM zone of the scenes' centre when not given.
    bounds
        Left, bottom, right, top that the grid is kept to, in the units of its CRS.
    resolution
        Pixel spacing, in the units of the CRS.
    flatten
        Flatten the terrain by area projection; needs beta0 and gives gamma0.
    dem_heights
        What the elevations are measured from: ellipsoid, egm96 or egm2008.
    constant_height
        Height above the ellipsoid without `dem`, m.
    speckle_filter
        none, boxcar or lee.
    speckle_window
        Side of the filter's window, px.
    chunk
        Side of the blocks that are worked on at once, px; the result doesn't depend on it.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the elevations don't cover the scene, have no CRS or other heights, or the scenes aren't
        calibrated alike or to what flattening needs.
    """
    paths = [Path(scene)] if isinstance(scene, (str, Path)) else [Path(path) for path in scene]
    parts = [_open(path) for path in paths]
    recipe = recipe_of(parts[0])
    for path, part in zip(paths, parts, strict=True):
        recipe.require_scene(recipe_of(part), str(path))
    if flatten and recipe.quantity != "beta0":
        raise InputError(f"{paths[0]}: flattening needs beta0 but this is {recipe.quantity}")
    footprints = [part.attrs["footprint"] for part in (*parts, *map(_open, companions))]
    grid = event_grid(footprints, epsg, resolution, bounds, dem, str(paths[0]))
    metres = _metres_per_pixel(grid)
    elevation: ElevationModel | ConstantHeight = ConstantHeight(constant_height)
    if dem is not None:
        elevation = open_elevation(dem, dem_heights, metres)
    plans = [
        Geocoding(
            grid,
            ImageGeometry.from_json(part.attrs["geometry"]),
            elevation,
            metres,
            max(round(metres / float(recipe.spacing or metres)), 1),
            flatten,
        )
        for part in parts
    ]
    bands = tuple(name for name in _POLARISATIONS if name in parts[0])
    layers = _lazily(parts, bands, plans, chunk)
    if speckle_filter != "none":
        for band in bands:
            layers[band] = _filtered(layers[band], speckle_filter, speckle_window)
    made = _recipe(recipe, resolution, flatten, speckle_filter, speckle_window)
    dataset = _dataset(layers, grid, parts, _terrain_note(dem, dem_heights, constant_height))
    write_store(stamp(dataset, made), out, progress="geocoding")
    _report(out, dem)
    return Path(out)


def _open(path: Path) -> xr.Dataset:
    store = open_store(path, lazily=False)
    if "geometry" not in store.attrs:
        raise InputError(f"{path}: not a calibrated store; make one with `floodloom calibrate`")
    return store


def _metres_per_pixel(grid: GeoBox) -> float:
    unit = 111_320.0 if grid.crs.geographic else 1.0
    return float(abs(grid.resolution.y)) * unit


def _lazily(
    parts: Sequence[xr.Dataset], bands: tuple[str, ...], plans: Sequence[Geocoding], chunk: int
) -> dict[str, da.Array]:
    height, width = plans[0].geobox.shape.yx
    layers = [{name: part[name] for name in (*bands, "flags")} for part in parts]
    shared = dask.delayed((layers, list(plans)), traverse=False)
    block = dask.delayed(_mosaicked_block)
    dtypes = {**dict.fromkeys((*bands, *ANGLES), np.float32), "flags": np.uint8}
    rows: dict[str, list[list[da.Array]]] = {name: [] for name in dtypes}
    for row in range(0, height, chunk):
        windows = [
            Window(row, col, min(chunk, height - row), min(chunk, width - col))
            for col in range(0, width, chunk)
        ]
        made = [block(shared, bands, window) for window in windows]
        for name, dtype in dtypes.items():
            rows[name].append(
                [
                    da.from_delayed(b[name], (w.height, w.width), dtype)  # type: ignore[no-untyped-call]
                    for b, w in zip(made, windows, strict=True)
                ]
            )
    return {name: da.block(blocks) for name, blocks in rows.items()}  # type: ignore[no-untyped-call]


def _mosaicked_block(
    shared: tuple[list[Mapping[str, xr.DataArray]], list[Geocoding]],
    bands: tuple[str, ...],
    window: Window,
) -> Layers:
    merged: Layers | None = None
    for layers, plan in zip(*shared, strict=True):
        block = geocode_block(layers, bands, plan, window)
        if merged is None:
            merged = block
            continue
        missing = (merged["flags"] & Flag.NODATA.value != 0) & (
            block["flags"] & Flag.NODATA.value == 0
        )
        for name in merged:
            merged[name][missing] = block[name][missing]
    if merged is None:
        raise InputError("geocode: no scene; give at least one calibrated store")
    return merged


def _filtered(layer: da.Array, name: str, window: int) -> da.Array:
    def apply(power: NDArray[np.float32]) -> NDArray[np.float32]:
        return FILTERS[name](power, window, _LOOKS)

    filtered: da.Array = layer.map_overlap(apply, depth=window, boundary="reflect", dtype="f4")
    return filtered


def _recipe(
    recipe: Recipe, resolution: float, flatten: bool, speckle_filter: str, window: int
) -> Recipe:
    filtered = speckle_filter if speckle_filter == "none" else f"{speckle_filter}-{window}"
    return recipe.model_copy(
        update={
            "quantity": "gamma0" if flatten else recipe.quantity,
            "flattened": flatten,
            "speckle_filter": filtered,
            "spacing": resolution,
        }
    )


def _terrain_note(dem: Path | None, dem_heights: str, constant_height: float) -> str:
    if dem is None:
        return f"put on the ellipsoid at {constant_height:g} m: no elevations were given"
    return f"terrain-corrected with {Path(dem).name} ({dem_heights} heights)"


def _dataset(
    layers: Mapping[str, da.Array], grid: GeoBox, parts: Sequence[xr.Dataset], note: str
) -> xr.Dataset:
    first = parts[0]
    dataset = xr.Dataset(
        {name: (("y", "x"), layer) for name, layer in layers.items()}, coords=xr_coords(grid)
    )
    for name in dataset.data_vars:
        if name in first:
            dataset[name].attrs.update(first[name].attrs)
    dataset["flags"].attrs.update(FLAG_ATTRS)
    for name in ANGLES:
        dataset[name].attrs.update(units="degree", long_name=name.replace("_", " "))
    kept = {k: v for k, v in first.attrs.items() if k not in ("geometry", "footprint")}
    history = "; ".join(str(part.attrs.get("history", "")) for part in parts)
    return dataset.assign_attrs({**kept, "history": f"{history}; {note}"})


def _report(out: Path, dem: Path | None) -> None:
    """Warn of pixels that became no data for want of an elevation."""
    flags = open_store(out).flags
    holes = int(((flags & Flag.NO_ELEVATION.value) != 0).sum())
    if holes:
        get_logger(__name__).warning("%s: %d px have no elevation and become no data", dem, holes)
