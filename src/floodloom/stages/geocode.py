"""Backscatter in radar geometry, or terrain-corrected by others → a scene store on a map grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import dask.array as da
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.flags import FLAG_ATTRS, Flag
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, recipe_of, stamp, write_store
from floodloom.sentinel1.elevation import ConstantHeight, ElevationModel, open_elevation
from floodloom.sentinel1.footprint import event_grid, footprint_of, metres_per_pixel
from floodloom.sentinel1.geocode import ANGLES, Geocoding
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.mosaic import Part, mosaic_layers
from floodloom.sentinel1.rtc import mosaic_rtc, read_rtc
from floodloom.sentinel1.rtc_products import is_rtc
from floodloom.sentinel1.speckle import despeckle, require_filter

_LOOKS = 4.4
_SHARD = 1536
_POLARISATIONS = ("vv", "vh", "hh", "hv")
_OWN_TO_CALIBRATION = ("geometry", "footprint")


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
    chunk: int = 1536,
) -> Path:
    """Correct the scenes of one pass for the terrain and put them on one map grid.

    Parameters
    ----------
    scene
        Calibrated stores of one pass, or terrain-corrected products of others (Planetary Computer,
        HyP3, OPERA, pyroSAR); where they overlap, the first that saw the ground counts.
    out
        Scene store to write (.zarr).
    dem
        Elevation raster, m. Without one, every pixel is put at `constant_height`, and the store and
        the log say so.
    companions
        The event's other dates, in the same form: the grid covers them, too, so that all dates
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
        none, boxcar, lee, lee_sigma, refined_lee, gamma_map, or multitemporal, which filters the
        date together with its companions.
    speckle_window
        Side of the filter's window, px; odd.
    chunk
        Greatest side of the blocks that are worked on at once, px; the result doesn't depend on it.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the elevations don't cover the scene, have no CRS or other heights, or the scenes aren't
        made alike or not as flattening needs.
    """
    paths = [Path(scene)] if isinstance(scene, (str, Path)) else [Path(path) for path in scene]
    if dem is None and not is_rtc(paths[0]):
        get_logger(__name__).warning(
            "no elevations: every pixel is put at %g m, and what lies off it is displaced",
            constant_height,
        )
    if speckle_filter != "none":
        require_filter(speckle_filter)
    opened = [_open(path) for path in (*paths, *companions)]
    scenes = opened[: len(paths)]
    recipe = recipe_of(scenes[0])
    for path, other in zip((*paths, *companions), opened, strict=True):
        recipe.require_scene(recipe_of(other), str(path))
    if flatten and recipe.quantity != "beta0":
        raise InputError(f"{paths[0]}: flattening needs beta0 but this is {recipe.quantity}")
    ready = is_rtc(paths[0])
    elevations = None if ready else dem
    footprints = [footprint_of(part) for part in opened]
    grid = event_grid(footprints, epsg, resolution, bounds, elevations, str(paths[0]))
    bands = tuple(name for name in _POLARISATIONS if name in scenes[0])
    if ready:
        dates = [mosaic_rtc(scenes, grid)]
        dates += [mosaic_rtc([other], grid) for other in opened[len(paths) :]]
        note = "put on the event's grid"
    else:
        height = _elevation(dem, dem_heights, constant_height, grid)
        parts = [_part(part, grid, height, recipe, flatten) for part in opened]
        dates = [mosaic_layers(parts[: len(paths)], bands, chunk)]
        dates += [mosaic_layers([part], bands, chunk) for part in parts[len(paths) :]]
        note = _terrain_note(dem, dem_heights, constant_height)
    layers = dict(dates[0])
    if speckle_filter != "none":
        for band in bands:
            images = [date[band] for date in dates]
            layers[band] = despeckle(images, speckle_filter, speckle_window, _LOOKS)
    made = _recipe(recipe, resolution, flatten, speckle_filter, speckle_window)
    dataset = _dataset(layers, grid, scenes, note)
    write_store(stamp(dataset, made), out, progress="geocoding", shard=_SHARD)
    _report(out, dem)
    return Path(out)


def _open(path: Path) -> xr.Dataset:
    if is_rtc(path):
        return read_rtc(path)
    store = open_store(path, lazily=False)
    if "geometry" not in store.attrs:
        raise InputError(f"{path}: not a calibrated store; make one with `floodloom calibrate`")
    return store


def _elevation(
    dem: Path | None, dem_heights: str, constant_height: float, grid: GeoBox
) -> ElevationModel | ConstantHeight:
    if dem is None:
        return ConstantHeight(constant_height)
    return open_elevation(dem, dem_heights, metres_per_pixel(grid))


def _part(
    scene: xr.Dataset,
    grid: GeoBox,
    elevation: ElevationModel | ConstantHeight,
    recipe: Recipe,
    flatten: bool,
) -> Part:
    metres = metres_per_pixel(grid)
    plan = Geocoding(
        geobox=grid,
        geometry=ImageGeometry.from_json(scene.attrs["geometry"]),
        elevation=elevation,
        metres_per_pixel=metres,
        looks=max(round(metres / float(recipe.spacing or metres)), 1),
        flatten=flatten,
    )
    return Part({str(name): layer for name, layer in scene.data_vars.items()}, plan)


def _recipe(
    recipe: Recipe, resolution: float, flatten: bool, speckle_filter: str, window: int
) -> Recipe:
    update: dict[str, object] = {"spacing": resolution}
    if flatten:
        update |= {"quantity": "gamma0", "flattened": True}
    if speckle_filter != "none":
        update["speckle_filter"] = f"{speckle_filter}-{window}"
    return recipe.model_copy(update=update)


def _terrain_note(dem: Path | None, dem_heights: str, constant_height: float) -> str:
    if dem is None:
        return f"put on the ellipsoid at {constant_height:g} m: no elevations were given"
    return f"terrain-corrected with {Path(dem).name} ({dem_heights} heights)"


def _dataset(
    layers: Mapping[str, da.Array], grid: GeoBox, scenes: Sequence[xr.Dataset], note: str
) -> xr.Dataset:
    first = scenes[0]
    dataset = xr.Dataset(
        {name: (("y", "x"), layer) for name, layer in layers.items()}, coords=xr_coords(grid)
    )
    for name in dataset.data_vars:
        if name in first:
            attributes = first[name].attrs
            dataset[name].attrs.update(
                {k: attributes[k] for k in ("units", "long_name") if k in attributes}
            )
    dataset["flags"].attrs.update(FLAG_ATTRS)
    for name in ANGLES:
        if name in dataset:
            dataset[name].attrs.update(units="degree", long_name=name.replace("_", " "))
    kept = {k: v for k, v in first.attrs.items() if k not in _OWN_TO_CALIBRATION}
    history = "; ".join(str(scene.attrs.get("history", "")) for scene in scenes)
    return dataset.assign_attrs({**kept, "history": f"{history}; {note}"})


def _report(out: Path, dem: Path | None) -> None:
    """Warn of pixels that became no data for want of an elevation."""
    flags = open_store(out).flags
    holes = int(((flags & Flag.NO_ELEVATION.value) != 0).sum())
    if holes:
        get_logger(__name__).warning("%s: %d px have no elevation and become no data", dem, holes)
