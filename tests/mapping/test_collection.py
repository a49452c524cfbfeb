"""The collection of a run's maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from pystac.validation import stac_validator

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.mapping.collection import collection_of, items_of
from floodloom.mapping.item import collection_link, stac_item, write_item
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds, pixel_geobox


def write_map(folder: Path, left: float | None, when: str | None) -> Path:
    """A map without its details, and its item."""
    grid = pixel_geobox(40, 50)
    if left is not None:
        grid = grid_from_bounds((left, 5000000, left + 500, 5000400), 32633, 10.0)
    folder.mkdir(parents=True)
    path = write_cog(np.zeros((40, 50), "uint8"), folder / "flood.tif", geobox=grid, nodata=255)
    return write_item(
        stac_item(folder.name, grid, when, {"flood": path}, {}), folder / "flood.json"
    )


@pytest.fixture
def items(tmp_path: Path) -> list[Path]:
    return [
        write_map(tmp_path / "maps" / "tern", 400000, "2023-05-14T16:58:21"),
        write_map(tmp_path / "maps" / "gull", 700000, "2023-05-02T05:00:00"),
    ]


def test_every_link_leads_to_an_item_and_its_files(tmp_path: Path, items: list[Path]) -> None:
    content = collection_of("run", "A run", items_of(items, tmp_path))
    bare = json.loads(json.dumps(content))
    stac_validator.JsonSchemaSTACValidator().validate_core(
        bare, pystac.STACObjectType.COLLECTION, "1.1.0"
    )
    path = write_json(tmp_path / "collection.json", content)
    found = list(pystac.Collection.from_file(str(path)).get_items())
    assert [item.id for item in found] == ["tern", "gull"]
    for item in found:
        assert Path(item.assets["flood"].get_absolute_href()).is_file()


def test_extent_holds_all_items(tmp_path: Path, items: list[Path]) -> None:
    extent = collection_of("run", "A run", items_of(items, tmp_path))["extent"]
    whole, *each = extent["spatial"]["bbox"]
    assert each == [json.loads(path.read_text())["bbox"] for path in items]
    assert whole == [each[0][0], min(b[1] for b in each), each[1][2], max(b[3] for b in each)]
    assert extent["temporal"]["interval"] == [["2023-05-02T05:00:00Z", "2023-05-14T16:58:21Z"]]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], [-180.0, -90.0, 180.0, 90.0]),
        ([[179.0, -1.0, -179.0, 1.0], [10.0, 5.0, 11.0, 6.0]], [-180.0, -1.0, 180.0, 6.0]),
    ],
)
def test_extent_without_places_and_across_180_degrees(boxes: Any, expected: Any) -> None:
    time = {"datetime": "2023-05-14T16:58:21Z"}
    items = {str(at): {"bbox": box, "properties": time} for at, box in enumerate(boxes)}
    assert collection_of("run", "A run", items)["extent"]["spatial"]["bbox"][0] == expected


def test_map_without_georeference_is_in_it_too(tmp_path: Path) -> None:
    item = write_map(tmp_path / "plain", None, None)
    content = collection_of("run", "A run", items_of([item], tmp_path))
    assert content["links"][0]["href"] == "./plain/flood.json"


def test_items_may_lie_elsewhere(tmp_path: Path, items: list[Path]) -> None:
    beside = tmp_path / "else where"
    content = collection_of("run", "A run", items_of(items, beside))
    assert content["links"][0]["href"] == "../maps/tern/flood.json"
    found = pystac.Collection.from_file(str(write_json(beside / "c.json", content)))
    assert [item.id for item in found.get_items()] == ["tern", "gull"]


def test_an_item_links_back_to_its_collection(tmp_path: Path) -> None:
    place = tmp_path / "a run" / "collection.json"
    path = write_map(tmp_path / "a run" / "maps" / "tern", 400000, "2023-05-14T16:58:21")
    write_item(pystac.Item.from_file(str(path)), path, collection_link(place, path))
    item = pystac.Item.from_dict(json.loads(path.read_text()))
    assert item.collection_id == "a run"
    assert item.get_single_link("collection").href == "../../collection.json"
    stac_validator.JsonSchemaSTACValidator().validate_core(
        json.loads(path.read_text()), pystac.STACObjectType.ITEM, "1.1.0"
    )


def test_what_is_no_item_is_one_line(tmp_path: Path) -> None:
    for content in ([], {}, {"type": "Feature"}):
        path = write_json(tmp_path / "i.json", content)
        with pytest.raises(InputError, match=r"i\.json: no STAC item"):
            items_of([path], tmp_path)
