"""Stores of tiles, and tiles of two stores that show the same ground."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import dask.array as da
import numpy as np
import shapely
import xarray as xr

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.recipe import Accepted, Recipe
from floodloom.raster.store import open_store, recipe_of, write_store

_COLUMN_TYPES: dict[str, type] = {
    "row": np.int64,
    "col": np.int64,
    "left": np.float64,
    "bottom": np.float64,
    "right": np.float64,
    "top": np.float64,
    "tile_label": np.uint8,
}

_AT_ONCE = 64
_INSET = 1e-3  # of a tile's side
_log = get_logger(__name__)


def write_tiles(tiles: xr.Dataset, path: str | Path) -> Path:
    """Write a tile store, whole or not at all; the tile index lies in its coordinates."""
    return write_store(tiles, path, chunk=1024, shard=1024)


def open_tiles(paths: str | Path | Sequence[str | Path]) -> xr.Dataset:
    """Open one tile store, or several as one.

    Parameters
    ----------
    paths
        Store or stores. Where only some have optical images, the others' are all NaN. Of optical
        channels those are kept that all images have.

    Returns
    -------
    xr.Dataset
        `image` (tile, band, y, x) float32 normalised, NaN = no data; `label` (tile, y, x) uint8,
        255 = ignore; optional `optical` (tile, channel, y, x) float32 reflectance 0-1, NaN = cloud
        or missing. Along `tile`: tile_id, event, scene, split, row, col, valid_fraction and
        fraction_<class>.

    Raises
    ------
    InputError
        If a store is missing or no tile store, or optical images have no channel in common.
    RecipeMismatchError
        If the stores disagree on what their bands mean; the message names the field.
    """
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not several:
        raise InputError("tiles: no tile store was given")
    stores = [_open_one(Path(path)) for path in several]
    if len(stores) == 1:
        return stores[0]
    first = recipe_of(stores[0])
    for path, store in zip(several[1:], stores[1:], strict=True):
        first.require_inputs(recipe_of(store), str(path))
        _require_like(stores[0], store, str(path))
    return concatenate_tiles(_with_common_channels(several, stores))


def concatenate_tiles(stores: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put tile sets of one recipe behind one another; missing optical images become NaN."""
    filled = _with_optical([s for s in stores if s.sizes["tile"]] or list(stores[:1]))
    columns = set.intersection(*({str(name) for name in store.coords} for store in filled))
    trimmed = [store.drop_vars(set(store.coords) - columns) for store in filled]
    return xr.concat(
        trimmed,
        dim="tile",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def _open_one(path: Path) -> xr.Dataset:
    store = open_store(path)
    if "image" not in store or "tile" not in store.dims:
        raise InputError(f"{path}: not a tile store; make one with `floodloom tile`")
    _require_classes(store, path)
    columns = {name: c for name, c in store.coords.items() if c.ndim == 1}
    return store.assign_coords({name: (c.dims, _loaded(c)) for name, c in columns.items()})


def _require_classes(store: xr.Dataset, path: Path) -> None:
    stated = store.attrs.get("classes")
    try:
        names = json.loads(str(stated))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: classes are {stated!r}, no list of names; cut the tiles again")


def _loaded(column: xr.DataArray) -> np.ndarray:
    values: np.ndarray = column.values
    return values if values.dtype.kind in "fiub" else np.array(values.tolist(), dtype=str)


def _require_like(first: xr.Dataset, other: xr.Dataset, name: str) -> None:
    if first.attrs.get("classes") != other.attrs.get("classes"):
        raise InputError(
            f"{name}: classes are {other.attrs.get('classes')} but the first store's are "
            f"{first.attrs.get('classes')}; cut both with the same classes"
        )
    if first.sizes["y"] != other.sizes["y"]:
        raise InputError(
            f"{name}: tiles are {other.sizes['y']} px but the first store's are "
            f"{first.sizes['y']} px; cut both with the same size"
        )


def _with_common_channels(
    paths: Sequence[str | Path], stores: Sequence[xr.Dataset]
) -> list[xr.Dataset]:
    """Return stores of which those with optical images have the same channels in the same order."""
    channels = {
        str(path): [str(channel) for channel in store.channel.values]
        for path, store in zip(paths, stores, strict=True)
        if "optical" in store
    }
    first = next(iter(channels.values()), [])
    common = [name for name in first if all(name in own for own in channels.values())]
    if channels and not common:
        described = ", ".join(f"{path} has {own}" for path, own in channels.items())
        raise InputError(f"tiles: no optical channel is in all images ({described}); leave one out")
    if all(own == common for own in channels.values()):
        return list(stores)
    _log.info("optical channels that all images have: %s", ", ".join(common))
    return [store.sel(channel=common) if "optical" in store else store for store in stores]


def _with_optical(stores: list[xr.Dataset]) -> list[xr.Dataset]:
    owner = next((store for store in stores if "optical" in store), None)
    if owner is None:
        return stores
    channels = owner.channel
    filled = []
    for store in stores:
        if "optical" not in store:
            shape = (store.sizes["tile"], channels.size, store.sizes["y"], store.sizes["x"])
            blank = da.full(shape, np.nan, dtype=np.float32, chunks=(_AT_ONCE, -1, -1, -1))  # type: ignore[no-untyped-call]
            store = store.assign(optical=(("tile", "channel", "y", "x"), blank))
            store = store.assign_coords(channel=channels)
        filled.append(store)
    return filled


def tile_dataset(
    image: np.ndarray | da.Array,
    label: np.ndarray,
    index: dict[str, list[object]],
    recipe: Recipe,
    classes: Sequence[str],
    optical: np.ndarray | da.Array | None = None,
    channels: Sequence[str] = (),
    *,
    valid: np.ndarray | None = None,
    accepts: Accepted | None = None,
) -> xr.Dataset:
    """Put tiles and their index together.

    Parameters
    ----------
    image
        (tile, band, y, x) float32, normalised, NaN = no data.
    label
        (tile, y, x) uint8, 255 = ignore.
    index
        Columns, one value per tile: tile_id, event, scene, split, row, col and, optionally,
        orbit_pass, the bounds left, bottom, right, top in degrees, and tile_label: 1 if the tile
        as a whole is known to hold class 1, 0 if it doesn't, 255 unknown.
    recipe
        Recipe of the inputs.
    classes
        Names of the label values 0, 1, ...
    optical
        (tile, channel, y, x) float32 reflectance, NaN = cloud or missing.
    channels
        Names of the optical channels.
    valid
        (tile,) share of the pixels with data in all bands, 0-1; counted in `image` by default.
    accepts
        Which other scenes the tiles stand for: a network that is trained on them takes those, too.

    Returns
    -------
    xr.Dataset
        As `open_tiles` gives it; valid and class fractions are added to the index.
    """
    variables: dict[str, object] = {
        "image": (("tile", "band", "y", "x"), image.astype(np.float32)),
        "label": (("tile", "y", "x"), label.astype(np.uint8), {"ignore": IGNORE}),
    }
    coordinates: dict[str, object] = {"band": list(recipe.bands)}
    if optical is not None:
        variables["optical"] = (("tile", "channel", "y", "x"), optical.astype(np.float32))
        coordinates["channel"] = list(channels)
    for name, values in index.items():
        coordinates[name] = ("tile", np.asarray(values, dtype=_COLUMN_TYPES.get(name, str)))
    if valid is None:
        valid = np.asarray(np.isfinite(image).all(axis=1).mean(axis=(1, 2)))
    coordinates["valid_fraction"] = ("tile", valid.astype(np.float32))
    coordinates |= _class_fractions(label, classes)
    attrs = {
        "recipe": recipe.model_dump_json(),
        "fingerprint": recipe.fingerprint,
        "classes": json.dumps(list(classes)),
    }
    tiles = xr.Dataset(variables, coordinates, attrs=attrs)
    return tiles if accepts is None else state_accepted(tiles, accepts)


def _class_fractions(label: np.ndarray, classes: Sequence[str]) -> dict[str, object]:
    """Return the share of each class in all pixels of each tile, as columns of the index."""
    pixels = max(label[0].size if len(label) else 1, 1)
    shares = [(label == value).reshape(len(label), -1).sum(axis=1) for value in range(len(classes))]
    return {
        f"fraction_{name}": ("tile", (share / pixels).astype(np.float32))
        for name, share in zip(classes, shares, strict=True)
    }


def with_labels(tiles: xr.Dataset, label: np.ndarray) -> xr.Dataset:
    """Return tiles with other labels (tile, y, x) uint8, 255 = ignore, and their fractions."""
    classes = json.loads(tiles.attrs["classes"])
    labelled = tiles.assign(label=(tiles["label"].dims, label, tiles["label"].attrs))
    return labelled.assign_coords(_class_fractions(label, classes))


def state_accepted(tiles: xr.Dataset, accepts: Accepted) -> xr.Dataset:
    """State which other scenes tiles stand for."""
    return tiles.assign_attrs(accepts=accepts.model_dump_json())


def refuse_leaks(tiles: xr.Dataset) -> None:
    """Check that no place seen on one pass lies both in the training split and outside it.

    Parameters
    ----------
    tiles
        Tile store with the index columns split, orbit_pass, left, bottom, right, top (degrees;
        NaN for tiles without georeference, which can't be checked).

    Raises
    ------
    InputError
        Naming the first pair of tiles that overlap.
    """
    if "left" not in tiles.coords:
        return
    left, bottom, right, top = (tiles[side].values for side in ("left", "bottom", "right", "top"))
    known = np.isfinite(left)
    training = np.flatnonzero(known & (tiles.split.values == "train"))
    held_out = np.flatnonzero(known & np.isin(tiles.split.values, ["validation", "test"]))
    # Neighbours share an edge, which rounding may draw twice.
    inset_x, inset_y = (right - left) * _INSET, (top - bottom) * _INSET
    boxes = shapely.box(left + inset_x, bottom + inset_y, right - inset_x, top - inset_y)
    tree = shapely.STRtree(boxes[training])
    same_pass, apart = tiles.orbit_pass.values, _apart_in_pixels(tiles)
    for one, other in tree.query(boxes[held_out], predicate="overlaps").T:
        first, second = training[other], held_out[one]
        if same_pass[first] == same_pass[second] and not apart(first, second):
            raise InputError(
                f"split: training tile {tiles.tile_id.values[first]} and "
                f"{tiles.split.values[second]} tile {tiles.tile_id.values[second]} show the same "
                "place on the same pass; put their events on one side"
            )


def _apart_in_pixels(tiles: xr.Dataset) -> Callable[[int, int], bool]:
    """Return whether two tiles are of one scene and share none of its pixels.

    On a grid that isn't north-up in degrees the boxes of neighbours overlap.
    """
    event, scene, row, col = (tiles[name].values for name in ("event", "scene", "row", "col"))
    size = tiles.sizes["y"]

    def apart(first: int, second: int) -> bool:
        one_scene = scene[first] == scene[second] and event[first] == event[second]
        distance = max(abs(row[first] - row[second]), abs(col[first] - col[second]))
        return bool(one_scene and distance >= size)

    return apart
