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
from floodloom.outputs import writes
from floodloom.raster.flags import FLAG_ATTRS, Flag
from floodloom.raster.grid import metres_per_pixel, spacing_m
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, recipe_of, stamp, write_store
from floodloom.sentinel1.elevation import ConstantHeight, ElevationModel, open_elevation
from floodloom.sentinel1.elevation_source import HIGHEST, LOWEST
from floodloom.sentinel1.footprint import event_grid, footprint_of
from floodloom.sentinel1.geocode import ANGLES, Geocoding
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.mosaic import Part, mosaic_layers
from floodloom.sentinel1.passes import common_polarisations, grouped_by_pass, require_one_pass
from floodloom.sentinel1.rtc import mosaic_rtc, read_rtc
from floodloom.sentinel1.rtc_products import is_rtc
from floodloom.sentinel1.speckle import despeckle, require_filter

_LOOKS = 4.4
_SHARD = 1536
_CALIBRATED = "geometry"
_OWN_TO_CALIBRATION = (_CALIBRATED, "footprint")


@writes("out")
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
    dem_heights: str | None = None,
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
        HyP3, OPERA, pyroSAR), in the polarisations that all of them have; where they overlap, the
        first that saw the ground counts.
    out
        Scene store to write (.zarr).
    dem
        Elevation raster, or a folder of its tiles. Without one, every pixel is put at
        `constant_height`, and the store and the log say so.
    companions
        The event's other dates, in the same form: the grid covers them, too, so that all dates
        overlay to the pixel.
    epsg
        EPSG code of the grid; when not given, the UTM zone of the middle of all dates' scenes, or
        UPS (32661, 32761) beyond 84 degrees north and 80 south.
    bounds
        Left, bottom, right, top that the grid is kept to, in the units of its CRS.
    resolution
        Pixel spacing, in the units of the CRS.
    flatten
        Flatten the terrain by area projection; needs beta0 and gives gamma0.
    dem_heights
        What the elevations are measured from: ellipsoid, egm96 or egm2008; what their CRS says when
        not given.
    constant_height
        Height above the ellipsoid without `dem`, m.
    speckle_filter
        none, boxcar, lee, lee_sigma, refined_lee, gamma_map, or multitemporal, which filters the
        date together with its companions; those of one pass are one date.
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
        If the elevations don't cover the scene, have no CRS or other heights, the scenes aren't
        made alike, not of one pass, without a common polarisation or not as flattening needs, or
        the grid would be absurdly large or coarse or can't show them in one piece.
    """
    paths = [Path(scene)] if isinstance(scene, (str, Path)) else [Path(path) for path in scene]
    if dem is None and not is_rtc(paths[0]):
        get_logger(__name__).warning(
            "no elevations: every pixel is put at %g m, and what lies off it is displaced",
            constant_height,
        )
    if speckle_filter != "none":
        require_filter(speckle_filter)
    opened = _open_alike([*paths, *map(Path, companions)])
    scenes, others = opened[: len(paths)], opened[len(paths) :]
    recipe = recipe_of(scenes[0])
    if flatten and recipe.quantity != "beta0":
        raise InputError(f"{paths[0]}: flattening needs beta0 but this is {recipe.quantity}")
    named = {str(path): part for path, part in zip(paths, scenes, strict=True)}
    require_one_pass({name: part.attrs for name, part in named.items()})
    bands = common_polarisations(named)

    ready = is_rtc(paths[0])
    footprints = [footprint_of(part) for part in opened]
    grid = event_grid(footprints, epsg, resolution, bounds, None if ready else dem, str(paths[0]))
    # Only this filter looks at other dates; for the grid their footprints are enough.
    dates = [scenes, *(grouped_by_pass(others) if speckle_filter == "multitemporal" else ())]
    if ready:
        mosaics = [mosaic_rtc(date, grid) for date in dates]
        note = "put on the event's grid"
    else:
        height = _elevation(dem, dem_heights, constant_height, grid)
        mosaics = [_mosaic(date, bands, grid, height, flatten, chunk) for date in dates]
        note = _terrain_note(dem, height, constant_height)

    layers = dict(mosaics[0])
    if speckle_filter != "none":
        for band in bands:
            images = [mosaic[band] for mosaic in mosaics if band in mosaic]
            layers[band] = despeckle(images, speckle_filter, speckle_window, _LOOKS)
    spacing = spacing_m(resolution, grid.crs)
    made = _recipe(recipe, spacing, flatten, speckle_filter, speckle_window)
    dataset = _dataset(layers, grid, scenes, note)
    write_store(stamp(dataset, made), out, progress="geocoding", shard=_SHARD)
    _report(out, dem)
    return Path(out)


def _open_alike(paths: Sequence[Path]) -> list[xr.Dataset]:
    """Open scenes that must be of one kind and made alike."""
    opened = [_open(path) for path in paths]
    recipe, calibrated = recipe_of(opened[0]), _CALIBRATED in opened[0].attrs
    for path, scene in zip(paths, opened, strict=True):
        if (_CALIBRATED in scene.attrs) != calibrated:
            kinds = ("a terrain-corrected product", "a calibrated store")
            raise InputError(
                f"{path}: {kinds[not calibrated]}, but {paths[0]} is {kinds[calibrated]}; "
                "give scenes of one kind"
            )
        recipe.require_scene(recipe_of(scene), str(path))
    return opened


def _open(path: Path) -> xr.Dataset:
    if is_rtc(path):
        return read_rtc(path)
    store = open_store(path, lazily=False)
    if _CALIBRATED not in store.attrs:
        raise InputError(f"{path}: not a calibrated store; make one with `floodloom calibrate`")
    _require_geometry(store, path)
    return store


def _require_geometry(store: xr.Dataset, path: Path) -> None:
    """Check what a calibrated store says of its place, which decides how much is made of it."""
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


def _mosaic(
    scenes: Sequence[xr.Dataset],
    bands: tuple[str, ...],
    grid: GeoBox,
    elevation: ElevationModel | ConstantHeight,
    flatten: bool,
    chunk: int,
) -> dict[str, da.Array]:
    """Put the scenes of one pass together, in as many of the polarisations as all of them have."""
    have = tuple(band for band in bands if all(band in scene for scene in scenes))
    parts = [_part(scene, grid, elevation, flatten) for scene in scenes]
    return mosaic_layers(parts, have, chunk) if have else {}


def _elevation(
    dem: Path | None, dem_heights: str | None, constant_height: float, grid: GeoBox
) -> ElevationModel | ConstantHeight:
    if dem is None:
        if not LOWEST <= constant_height <= HIGHEST:
            raise InputError(
                f"constant_height {constant_height:g}: no height on this planet; give one from "
                f"{LOWEST:g} to {HIGHEST:g} m"
            )
        return ConstantHeight(constant_height)
    return open_elevation(dem, dem_heights, metres_per_pixel(grid))


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


def _recipe(
    recipe: Recipe, spacing: float, flatten: bool, speckle_filter: str, window: int
) -> Recipe:
    update: dict[str, object] = {"spacing": spacing}
    if flatten:
        update |= {"quantity": "gamma0", "flattened": True}
    if speckle_filter != "none":
        update["speckle_filter"] = f"{speckle_filter}-{window}"
    return recipe.model_copy(update=update)


def _terrain_note(
    dem: Path | None, height: ElevationModel | ConstantHeight, constant_height: float
) -> str:
    if dem is None or isinstance(height, ConstantHeight):
        return f"put on the ellipsoid at {constant_height:g} m: no elevations were given"
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
    kept = {k: v for k, v in first.attrs.items() if k not in _OWN_TO_CALIBRATION}
    history = "; ".join(str(scene.attrs.get("history", "")) for scene in scenes)
    return dataset.assign_attrs({**kept, "history": f"{history}; {note}"})


def _report(out: Path, dem: Path | None) -> None:
    """Warn of pixels that became no data for want of an elevation."""
    flags = open_store(out).flags
    holes = int(((flags & Flag.NO_ELEVATION.value) != 0).sum())
    if holes:
        get_logger(__name__).warning("%s: %d px have no elevation and become no data", dem, holes)
