"""Readers of texts: configuration, scene sheet, STAC items and catalogues, ledger, listing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import shapely
import yaml

from floodloom.acquire.item import Asset, read_asset, read_item
from floodloom.acquire.orbits import LISTING, listed_orbits
from floodloom.config.load import load_config, load_scenes
from floodloom.config.text import check_keys, read_text
from floodloom.errors import InputError
from floodloom.prepare.area import box_of
from floodloom.prepare.candidates import candidate_of
from floodloom.prepare.search import scenes_of
from floodloom.prepare.settings import Area
from floodloom.watch.ledger import FILE, Ledger

from .harness import Trial
from .mutations import JSON, TABLE, TEXT
from .reader import Reader, reader

CONFIG: dict[str, Any] = {
    "run": {"name": "x", "models": ["unet"], "seeds": [0], "rounds": 1},
    "scenes": "s.tsv",
    "events": {"e": {"split": "target", "mapped": True}, "f": {"split": "train"}},
    "geocode": {"resolution": 10.0, "epsg": 32633, "bounds": [0.0, 0.0, 1.0, 1.0]},
    "tile": {"size": 64, "bands": ["vv", "vh"]},
    "train": {"epochs": 2, "learning_rate": 0.001},
}
SHEET = (
    "scene\tevent\trole\tsource\tsha256\n"
    "a\te\tafter\tsimulated\t\n"
    "b\te\tbefore\thttps://host/b.zip?token=x\t\n"
    f"c\tf\tafter\thttps://host/c.zip\t{'0' * 64}\n"
).encode()
ITEM: dict[str, Any] = {
    "type": "Feature",
    "id": "a",
    "assets": {
        "product": {"href": "x.zip", "file:size": 1000, "file:checksum": "1220" + "0" * 64},
        "thumbnail": {"href": "https://host/x.png"},
    },
}
_RING = [[14.0, 45.0], [15.0, 45.0], [15.0, 46.0], [14.0, 45.0]]
SCENE: dict[str, Any] = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "collection": "sentinel-1-grd",
    "id": "S1A_IW_GRDH_1SDV_20230514T165821_20230514T165846_048531_05D66C_9C3D",
    "geometry": {"type": "Polygon", "coordinates": [_RING]},
    "bbox": [14.0, 45.0, 15.0, 46.0],
    "properties": {
        "datetime": "2023-05-14T16:58:21Z",
        "sar:polarizations": ["VV", "VH"],
        "sar:instrument_mode": "IW",
        "sat:orbit_state": "ascending",
        "sat:relative_orbit": 117,
        "processing:datetime": "2023-05-14T20:00:00Z",
    },
    "links": [],
    "assets": {"product": {"href": "https://host/a.zip", "file:size": 1000}},
}
CATALOGUE: dict[str, Any] = {
    "type": "Catalog",
    "stac_version": "1.0.0",
    "id": "c",
    "description": "d",
    "links": [{"rel": "item", "href": "./item.json"}, {"rel": "root", "href": "./c.json"}],
}
AREA: dict[str, Any] = {
    "type": "FeatureCollection",
    "crs": {"type": "name", "properties": {"name": "EPSG:4326"}},
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "a"},
            "geometry": {"type": "Polygon", "coordinates": [_RING]},
        }
    ],
}
_BOX, _SINCE = (14.0, 45.0, 15.0, 46.0), datetime(2023, 5, 10, tzinfo=UTC)


def _of_json(value: Any, read: Callable[[bytes], object]) -> Reader:
    return Reader((json.dumps(value).encode(),), read, (TEXT, JSON))


@reader("configuration")
def configuration(place: Trial) -> Reader:
    """Configuration of a run; Snakemake parses it first, and refuses itself what isn't YAML."""
    path = place.file("c.yaml", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        check_keys(path)
        try:
            parsed = yaml.safe_load(read_text(path, "c.yaml"))
        except (yaml.YAMLError, ValueError, TypeError):
            return
        config = load_config(parsed, "c.yaml")
        for name in (*config.events, config.run.name):
            assert name.isprintable()
            assert 0 < len(name) <= 100
            assert not set(name) & set("/\\{}")
            assert name.strip(". ")

    seeds = (yaml.safe_dump(CONFIG).encode(), json.dumps(CONFIG).encode())  # JSON is YAML, too
    return Reader(seeds, read, (TEXT, JSON))


@reader("scene-sheet")
def scene_sheet(place: Trial) -> Reader:
    """Table of scenes."""
    config, path = load_config(CONFIG), place.file("s.tsv", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        for name, scene in load_scenes(config, place.given).items():
            assert name == scene.name
            assert scene.event in config.events
            assert scene.role in ("before", "after")
            assert not set(name) & set("/\\{}\n\0")
            assert scene.source.isprintable()

    return Reader((SHEET,), read, (TABLE,))


@reader("item")
def item(place: Trial) -> Reader:
    """Asset of a STAC item."""
    path = place.file("i.json", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        _require_inside(read_asset(str(path), "product"), place.given)

    return _of_json(ITEM, read)


def _require_inside(asset: Asset, folder: Path) -> None:
    """Where a file lies is an address of the web or beneath the item's folder."""
    assert asset.size is None or asset.size >= 0
    remote = asset.source.lower().startswith(("http://", "https://"))
    assert remote or Path(asset.source).resolve().is_relative_to(folder.resolve())
    if asset.digest is not None:
        bytes.fromhex(asset.digest[1])


@reader("item-of-scene")
def item_of_scene(place: Trial) -> Reader:
    """STAC item of a scene, from which is chosen what is mapped."""
    path = place.file("i.json", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = candidate_of(read_item(str(path)), str(path))
        assert found.taken.tzinfo is None
        assert found.found.outline is not None
        assert found.found.outline.area > 0
        assert np.isfinite(found.found.outline.bounds).all()
        assert found.age >= ([], "")

    return _of_json(SCENE, read)


@reader("catalogue")
def catalogue(place: Trial) -> Reader:
    """Static STAC catalogue with one item, searched for scenes; no address is asked."""
    place.file("item.json", json.dumps(SCENE))
    path = place.file("c.json", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        refusal = InputError("no network")
        with patch("floodloom.acquire.download.open_address", side_effect=refusal):
            found = scenes_of(str(path), _BOX, _SINCE)
        assert all(one.found.outline is not None for one in found)

    return _of_json(CATALOGUE, read)


@reader("catalogue-item")
def catalogue_item(place: Trial) -> Reader:
    """The item that a static STAC catalogue names."""
    name = str(place.file("c.json", json.dumps(CATALOGUE)))
    path = place.file("item.json", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = scenes_of(name, _BOX, _SINCE)
        assert all(shapely.box(*_BOX).intersects(one.found.outline) for one in found)

    return _of_json(SCENE, read)


@reader("area")
def area(place: Trial) -> Reader:
    """GeoJSON of the area that is mapped."""
    path = place.file("a.geojson", "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        box = box_of(Area(aoi=path))
        assert box is not None
        west, south, east, north = box
        assert np.isfinite(box).all()
        assert west <= east
        assert south <= north

    return _of_json(AREA, read)


LEDGER: dict[str, Any] = {
    "since": "2023-05-10T00:00:00Z",
    "looked": "2023-05-15T00:00:00Z",
    "passes": {
        "ascending-117-20230514": {"taken": "2023-05-14T16:58:21Z", "state": "mapped"},
        "ascending-117-20230526": {
            "taken": "2023-05-26T16:58:21Z", "attempts": 1, "reason": "x", "cleared": False,
        },
    },
}  # fmt: skip


@reader("ledger")
def ledger(place: Trial) -> Reader:
    """What a watch keeps of its passes."""
    path = place.file(FILE, "")

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = Ledger.read(place.given)
        assert found is not None
        assert {*dict(found.waiting()), *dict(found.mapped())} <= set(found.passes)

    return _of_json(LEDGER, read)


@reader("orbit-listing")
def orbit_listing(place: Trial) -> Reader:
    """A page that lists orbit files."""
    path = place.file("listing.xml", "")
    environment = {**os.environ, LISTING: str(path)}
    name = "S1A_OPER_AUX_POEORB_OPOD_20230603T080000_V20230513T225942_20230515T005942.EOF"
    seeds = (f"<a><Key>{name}</Key><Key>https://host/{name}.zip</Key></a>".encode(),)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        with patch("os.environ", environment):
            found = listed_orbits("POEORB", "S1A", "20230514")
        for address in found.values():
            assert address.lower().startswith(("http://", "https://"))

    return Reader(seeds, read, (TEXT,))
