"""The scenes of one pass → one scene on a map grid, whoever corrects them for the terrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import dask.array as da
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.content import format_of
from floodloom.raster.grid import metres_per_pixel, spacing_m
from floodloom.raster.recipe import FLAG_ATTRS, Flag, Recipe
from floodloom.raster.store import open_store, recipe_of, stamp
from floodloom.sentinel1.backscatter import POINTS, mosaic_backscatter, read_backscatter
from floodloom.sentinel1.elevation import ConstantHeight, ElevationModel, open_elevation
from floodloom.sentinel1.footprint import (
    MARGIN_DEG,
    common_polarisations,
    event_grid,
    footprint_of,
    group_by_pass,
    require_one_pass,
)
from floodloom.sentinel1.geocode import ANGLES, Geocoding, Part, mosaic_layers
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.producers import is_backscatter
from floodloom.sentinel1.settings import BackscatterSettings, GeocodeSettings
from floodloom.sentinel1.speckle import despeckle

_LOOKS = 4.4
_SPECKLE_WINDOW = 5  # px; narrow rivers stay
_CALIBRATED = "geometry"
_OWN_TO_IMAGE = (_CALIBRATED, "footprint", POINTS)


def open_alike(paths: Sequence[Path], stated: BackscatterSettings) -> list[xr.Dataset]:
    """Open calibrated stores, or backscatter of others, that must be made alike.

    Parameters
    ----------
    paths
        Where they lie.
    stated
        What is stated of backscatter of others.

    Raises
    ------
    InputError
        If one can't be read, is damaged, or is of another kind or made otherwise than the first.
    """
    opened = [_open(path, stated) for path in paths]
    recipe, calibrated = recipe_of(opened[0]), _CALIBRATED in opened[0].attrs
    for path, scene in zip(paths, opened, strict=True):
        if (_CALIBRATED in scene.attrs) != calibrated:
            kinds = ("backscatter of others", "a calibrated store")
            raise InputError(
                f"{path}: {kinds[not calibrated]}, but {paths[0]} is {kinds[calibrated]}; "
                "give scenes of one kind"
            )
        recipe.require_alike(recipe_of(scene), str(path))
    return opened


def _open(path: Path, stated: BackscatterSettings) -> xr.Dataset:
    if is_backscatter(path):
        return read_backscatter(path, stated)
    if path.exists() and format_of(path) != "zarr":
        raise InputError(
            f"{path}: neither a calibrated store nor backscatter (GeoTIFF, NetCDF, Zarr or VRT); "
            "calibrate a product with `floodloom calibrate`"
        )
    store = open_store(path, lazily=False)
    if _CALIBRATED not in store.attrs:
        raise InputError(f"{path}: not a calibrated store; make one with `floodloom calibrate`")
    _require_geometry(store, path)
    return store


def _require_geometry(store: xr.Dataset, path: Path) -> None:
    """Check what a calibrated store states of its place, which decides how much is made of it."""
    try:
        geometry = ImageGeometry.from_json(store.attrs[_CALIBRATED])
        if (geometry.lines, geometry.samples) != (store.sizes["line"], store.sizes["pixel"]):
            raise ValueError(f"{geometry.lines} x {geometry.samples} px aren't the store's")
        west, south, east, north = (float(side) for side in store.attrs["footprint"])
        whole = west <= east <= west + 360 and -90 <= south <= north <= 90
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: its geometry is damaged ({error}); calibrate it again"
        ) from error
    if not whole:
        raise InputError(f"{path}: its footprint is damaged; calibrate it again")


def map_scene(
    paths: Sequence[Path],
    opened: Sequence[xr.Dataset],
    dem: Path | None,
    settings: GeocodeSettings,
) -> xr.Dataset:
    """Return the scenes of one pass on one map grid, lazily.

    Parameters
    ----------
    paths
        Where they come from; where they overlap, the first that saw the ground counts.
    opened
        The scenes (line, pixel), and after them the event's other dates, which the grid covers too.
    dem
        Elevation raster, or a folder of its tiles.
    settings
        How to geocode.

    Returns
    -------
    Dataset
        (y, x) float32, linear power, by polarisation, with angles and `flags`.

    Raises
    ------
    InputError
        If they aren't of one pass, have no polarisation in common, or aren't as flattening needs.
    """
    scenes, others = opened[: len(paths)], opened[len(paths) :]
    recipe, ready = recipe_of(scenes[0]), _CALIBRATED not in scenes[0].attrs
    if settings.flatten and recipe.quantity != "beta0":
        raise InputError(f"{paths[0]}: flattening needs beta0 but this is {recipe.quantity}")
    named = {str(path): part for path, part in zip(paths, scenes, strict=True)}
    require_one_pass({name: part.attrs for name, part in named.items()})
    bands = common_polarisations(named)

    footprints = [footprint_of(part) for part in opened]
    within = None if ready else dem
    placed = ready and not any(POINTS in part.attrs for part in opened)
    grid = event_grid(
        footprints, settings.epsg, settings.resolution, settings.bounds, within, str(paths[0]),
        margin=0.0 if placed else MARGIN_DEG,
    )  # fmt: skip

    # Only this filter looks at other dates; for the grid their footprints are enough.
    with_others = settings.speckle_filter == "multitemporal"
    dates = [scenes, *(group_by_pass(others) if with_others else ())]
    if ready:
        mosaics = [mosaic_backscatter(date, grid) for date in dates]
        note = "put on the event's grid"
    else:
        height = _elevation(dem, settings, grid)
        mosaics = [_mosaic(date, bands, grid, height, settings) for date in dates]
        note = _terrain_note(dem, height)

    layers = dict(mosaics[0])
    if settings.speckle_filter != "none":
        for band in bands:
            images = [mosaic[band] for mosaic in mosaics if band in mosaic]
            layers[band] = despeckle(images, settings.speckle_filter, _SPECKLE_WINDOW, _LOOKS)
    return stamp(_dataset(layers, grid, scenes, note), _recipe(recipe, grid, settings))


def _mosaic(
    scenes: Sequence[xr.Dataset],
    bands: tuple[str, ...],
    grid: GeoBox,
    elevation: ElevationModel | ConstantHeight,
    settings: GeocodeSettings,
) -> dict[str, da.Array]:
    """Put the scenes of one pass together, in as many of the polarisations as all of them have."""
    have = tuple(band for band in bands if all(band in scene for scene in scenes))
    parts = [_part(scene, grid, elevation, settings.flatten) for scene in scenes]
    return mosaic_layers(parts, have) if have else {}


def _elevation(
    dem: Path | None, settings: GeocodeSettings, grid: GeoBox
) -> ElevationModel | ConstantHeight:
    if dem is None:
        return ConstantHeight(settings.constant_height)
    return open_elevation(dem, settings.dem_heights, metres_per_pixel(grid))


def _part(
    scene: xr.Dataset,
    grid: GeoBox,
    elevation: ElevationModel | ConstantHeight,
    flatten: bool,
) -> Part:
    metres = metres_per_pixel(grid)
    plan = Geocoding(
        geobox=grid,
        geometry=ImageGeometry.from_json(scene.attrs["geometry"]),
        elevation=elevation,
        metres_per_pixel=metres,
        looks=max(round(metres / float(recipe_of(scene).spacing or metres)), 1),
        flatten=flatten,
    )
    return Part({str(name): layer for name, layer in scene.data_vars.items()}, plan)


def _recipe(recipe: Recipe, grid: GeoBox, settings: GeocodeSettings) -> Recipe:
    update: dict[str, object] = {"spacing": spacing_m(settings.resolution, grid.crs)}
    if settings.flatten:
        update |= {"quantity": "gamma0", "flattened": True}
    if settings.speckle_filter != "none":
        update["speckle_filter"] = f"{settings.speckle_filter}-{_SPECKLE_WINDOW}"
    return recipe.model_copy(update=update)


def _terrain_note(dem: Path | None, height: ElevationModel | ConstantHeight) -> str:
    if dem is None or isinstance(height, ConstantHeight):
        return f"put on the ellipsoid at {height.height:g} m: no elevations were given"
    return f"terrain-corrected with {Path(dem).name} ({height.datum} heights)"


def _dataset(
    layers: Mapping[str, da.Array], grid: GeoBox, scenes: Sequence[xr.Dataset], note: str
) -> xr.Dataset:
    first = scenes[0]
    dataset = xr.Dataset(
        {name: (("y", "x"), layer) for name, layer in layers.items()},
        coords=xr_coords(grid, always_yx=True),
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
    kept = {k: v for k, v in first.attrs.items() if k not in _OWN_TO_IMAGE}
    history = "; ".join(str(scene.attrs.get("history", "")) for scene in scenes)
    return dataset.assign_attrs({**kept, "history": f"{history}; {note}"})


def warn_of_holes(store: Path, dem: Path | None) -> None:
    """Warn of pixels that became no data for want of an elevation."""
    flags = open_store(store).flags
    holes = int(((flags & Flag.NO_ELEVATION.value) != 0).sum())
    if holes:
        get_logger(__name__).warning("%s: %d px have no elevation and become no data", dem, holes)
