"""The clearest image of Sentinel-2 near a scene is found, and said why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import shapely
import yaml

from floodloom.config.load import load_config
from floodloom.errors import InputError
from floodloom.prepare.optical import image_beside
from tests.prepare.catalogue import Api, item, served
from tests.prepare.test_search import floodloom, place

IMAGES = "sentinel-2-l2a"
TAKEN = datetime(2023, 5, 14, 16, 58, 21)
BOX = (14.0, 45.0, 14.2, 45.2)
KEYS = ("blue", "green", "red", "nir", "swir16", "swir22", "scl")


def image(name: str, when: str, cloud: float | None, outline=None, **stated: object) -> dict:
    assets = {key: {"href": f"/{key}.tif", "file:size": 1_000_000} for key in KEYS}
    known = {} if cloud is None else {"eo:cloud_cover": cloud}
    outline = outline or shapely.box(13.5, 44.5, 14.7, 45.7)
    return item(name, when, outline, assets, collection=IMAGES, **known, **stated)


@pytest.fixture
def api() -> Iterator[Api]:
    west, east = shapely.box(13.5, 44.5, 14.1, 45.7), shapely.box(14.05, 44.5, 14.7, 45.7)
    images = [
        image("cloudy", "2023-05-14T10:00:00", 80.0),
        image("long-before", "2023-04-20T10:00:00", 0.0),
        image("half", "2023-05-15T10:00:00", 0.0, west),
        image("west", "2023-05-17T10:00:00", 6.0, west, **{"s2:processing_baseline": "05.09"}),
        image("west-old", "2023-05-17T10:00:00", 0.0, west, **{"s2:processing_baseline": "04.00"}),
        image("east", "2023-05-17T10:00:12", 4.0, east, **{"s2:processing_baseline": "05.09"}),
        image("later", "2023-05-22T10:00:00", 5.2),
        image("unknown", "2023-05-16T10:00:00", None),
    ]
    with served(Api(items=images)) as running:
        yield running


def test_the_clearest_that_shows_all_is_chosen(api) -> None:
    found = image_beside(api.address, BOX, TAKEN)
    assert [source.rpartition("/")[2] for source in found.sources] == ["east", "west"]
    assert found.reason.startswith(
        "east and west: shows all of the area, 5% cloud, 2.7 days after the scene; 4 others show "
        "less, or have more cloud; fetches: 2 tiles, about "
    )


def test_where_none_shows_all_the_most_counts(api) -> None:
    api.items = [one for one in api.items if one["id"] in ("half",)]
    found = image_beside(api.address, BOX, TAKEN)
    assert "half: shows 50% of the area, 0% cloud, 0.7 days after the scene; " in found.reason


def test_none_is_one_line(api) -> None:
    with pytest.raises(InputError, match=r"Sentinel-2 L2A: none of the area from 2020-.*--optical"):
        image_beside(api.address, BOX, datetime(2020, 5, 14))


def test_items_are_written_down_and_read(own, api, tmp_path: Path) -> None:
    around = shapely.box(*map(float, place(own).split(","))).buffer(0.5)
    api.items = [image("anywhere", "2023-05-15T10:00:00", 3.0, around)]
    given = ("--scenes", own / "post.SAFE", "--dem", own / "dem.tif", "--bbox", place(own))
    given = (*given, "--catalogue", api.address, "--optical", "--out", tmp_path / "x")
    run = floodloom({}, "init", *given)
    assert run.returncode == 0, run.stderr
    assert re.search(r"optical: anywhere: shows all of the area, 3% cloud, 0\.7 days", run.stdout)
    config = load_config(yaml.safe_load((tmp_path / "x" / "config.yaml").read_text()))
    assert config.events["x"].optical == (f"{api.address}/collections/{IMAGES}/items/anywhere",)
