"""Readers of rasters, stores, checkpoints and features."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from safetensors import safe_open

from floodloom.learning.checkpoint import load_checkpoint
from floodloom.raster.features import read_features
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.layers import open_layers
from floodloom.raster.store import open_store, recipe_of
from floodloom.tiles.labels import labels_on_grid
from floodloom.tiles.store import open_tiles

from .harness import Trial
from .making import geotiff
from .mutations import BYTES, JSON, TEXT, XML, Choices, mutate, restructured
from .reader import Reader, reader

_AS_TEXT = ("format", "fingerprint", "digest")
"""Fields of a checkpoint that aren't JSON."""


@reader("checkpoint")
def checkpoint(place: Trial) -> Reader:
    """Checkpoint, with the network that is made of it."""
    source, path = place.event / "model.safetensors", place.file("m.safetensors", b"")
    good = load_checkpoint(source)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = load_checkpoint(path)
        assert np.isfinite(found.temperature)
        assert found.temperature > 0
        with safe_open(path, "pt") as stored:  # damage can't be noticed without a digest
            has_digest = "digest" in (stored.metadata() or {})
        for name, tensor in found.weights.items():
            assert torch.equal(tensor, good.weights[name]) or not has_digest
        found.model()

    return Reader((source.read_bytes(),), read, (BYTES, (_of_head,), (_of_metadata,)))


def _of_head(choose: Choices, content: bytes) -> bytes:
    """Change the header as a text."""
    return mutate(choose, content[:3000], TEXT) + content[3000:]


def _of_metadata(choose: Choices, content: bytes) -> bytes:
    """Change what a checkpoint states of itself, each field JSON of its own."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        head = json.loads(content[8 : 8 + length])
        fields = head["__metadata__"]
        plain = {k: v if k in _AS_TEXT else json.loads(v) for k, v in fields.items()}
    except (struct.error, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return content
    changed = restructured(choose, plain)
    if not isinstance(changed, dict):
        return content
    head["__metadata__"] = {
        k: v if k in _AS_TEXT and isinstance(v, str) else json.dumps(v) for k, v in changed.items()
    }
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


_KINDS = {
    "label": Kind("label raster", low=0, high=2, whole=True, unknown=(255,)),
    "elevation": Kind("elevation raster", low=-500.0, high=9000.0),
}
_FORMS: dict[str, dict[str, Any]] = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16, "nodata": 2, "BIGTIFF": "YES"},
}


def _raster(kind: Kind, form: str, place: Trial) -> Reader:
    """GeoTIFF of others."""
    numbers = np.arange(32 * 32).reshape(32, 32) % 3
    dtype = np.uint8 if kind.whole else np.float32
    path, how = place.given / f"{form}.tif", _FORMS[form]
    made = geotiff(path, numbers.astype(dtype), tags={"NOTE": "x"}, compress="deflate", **how)
    seeds = (made.read_bytes(),)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        raster = open_foreign(path, kind)
        found = raster.read()
        assert tuple(raster.geobox.shape.yx) == found.shape
        known = found[~np.isnan(found)]
        assert ((known >= kind.low) & (known <= kind.high)).all()

    return Reader(seeds, read, (BYTES,), is_slow=True)


for _kind in _KINDS:
    for _form in _FORMS:
        reader(f"{_kind}-{_form}")(partial(_raster, _KINDS[_kind], _form))


def _of_others(folder: Path) -> dict[str, Path]:
    """Write one small image in each format that backscatter of others comes in."""
    folder.mkdir()
    numbers = np.random.default_rng(0).normal(-12, 3, (16, 16)).astype("float32")
    geotiff(folder / "a.tif", numbers)
    rectangle = '<{} xOff="0" yOff="0" xSize="16" ySize="16"/>'
    (folder / "s.vrt").write_text(
        '<VRTDataset rasterXSize="16" rasterYSize="16"><SRS>EPSG:32633</SRS><GeoTransform>450000,'
        '10,0,5081000,0,-10</GeoTransform><VRTRasterBand dataType="Float32" band="1"><Scale>1'
        '</Scale><SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>'
        f"1</SourceBand>{rectangle.format('SrcRect')}{rectangle.format('DstRect')}</SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    coords = {"y": 5e6 - 10.0 * np.arange(16), "x": 5e5 + 10.0 * np.arange(16)}
    scene = xr.Dataset({"vv": (("y", "x"), numbers)}, coords=coords)
    scene.to_netcdf(folder / "s.nc", engine="scipy")
    scene.to_zarr(folder / "two.zarr", zarr_format=2, consolidated=False)
    scene.to_zarr(folder / "three.zarr", zarr_format=3, consolidated=False)
    return {
        "vrt": folder / "s.vrt",
        "netcdf-3": folder / "s.nc",
        "zarr-2": folder / "two.zarr" / "vv" / ".zarray",
        "zarr-3": folder / "three.zarr" / "vv" / "zarr.json",
    }


_MUTATIONS = {
    "vrt": (XML,),
    "netcdf-3": (BYTES,),
    "zarr-2": (TEXT, JSON),
    "zarr-3": (TEXT, JSON),
}


def _backscatter(form: str, place: Trial) -> Reader:
    """Backscatter of others."""
    path = _of_others(place.given / "others")[form]
    source = path.parents[1] if form.startswith("zarr") else path
    seeds = (path.read_bytes(),)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        for layer in open_layers(source, Kind("backscatter")):
            assert layer.raster.numbers(band=layer.band).ndim == 2

    return Reader(seeds, read, _MUTATIONS[form], is_slow=True)


for _form in _MUTATIONS:
    reader(_form)(partial(_backscatter, _form))


def _metadata(place: Trial, name: str, inner: str, read: Callable[[Path], object]) -> Reader:
    """Metadata of a store, or of what lies within it, read by a function of the store."""
    store = place.copy(name)
    path = store / inner / "zarr.json"
    seeds = (path.read_bytes(),)

    def read_content(content: bytes) -> None:
        path.write_bytes(content)
        read(store)

    return Reader(seeds, read_content, (TEXT, JSON), is_slow=True)


def _recipe(store: Path) -> None:
    assert recipe_of(open_store(store)).fingerprint


@reader("scene-store")
def scene_store(place: Trial) -> Reader:
    """Metadata of a scene store: its group's, with the recipe."""
    return _metadata(place, "scene.zarr", "", _recipe)


@reader("scene-array")
def scene_array(place: Trial) -> Reader:
    """Metadata of an array of a scene store, and its numbers."""
    return _metadata(place, "scene.zarr", "vv", open_store)


@reader("tile-store")
def tile_store(place: Trial) -> Reader:
    """Metadata of a tile store."""
    return _metadata(place, "tiles.zarr", "", open_tiles)


_GRID = GeoBox.from_bbox((450000, 5080000, 450320, 5080320), crs="EPSG:32633", shape=(32, 32))


@reader("label-features")
def label_features(place: Trial) -> Reader:
    """Labels as GeoJSON, burnt on a grid."""
    path = place.file("labels.geojson", "")
    shapes = [
        shapely.box(450050, 5080050, 450150, 5080150),
        shapely.Point(450200, 5080200),
        shapely.LineString([(450010, 5080300), (450200, 5080290)]),
    ]
    columns = {"class": ["flood", "dry", "permanent_water"], "width_m": [None, None, 20.0]}
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32633")
    seed = json.loads(frame.to_json(drop_id=True))
    seed["crs"] = {"type": "name", "properties": {"name": "EPSG:32633"}}
    seeds = (json.dumps(seed).encode(),)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = labels_on_grid(path, _GRID)
        assert found.shape == (32, 32)
        assert set(np.unique(found)) <= {0, 1, 2, 255}

    return Reader(seeds, read, (TEXT, JSON), is_slow=True)


def _features(ending: str, place: Trial) -> Reader:
    """Features of a binary format, which GDAL reads."""
    path = place.given / f"x.{ending}"
    shapes = [shapely.box(450050, 5080050, 450150, 5080150), shapely.box(0, 0, 1, 1)]
    gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=shapes, crs="EPSG:32633").to_file(path)
    seeds = (path.read_bytes(),)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        read_features(path, "file of zones")

    return Reader(seeds, read, (BYTES,), is_slow=True)


for _ending in ("gpkg", "fgb"):
    reader(_ending)(partial(_features, _ending))
