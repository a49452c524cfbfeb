"""The maps of a run as a static STAC collection."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pystac

from floodloom.errors import InputError
from floodloom.files import read_json

_NO_ITEM = (pystac.STACError, pystac.STACTypeError)
_EARTH = [-180.0, -90.0, 180.0, 90.0]


def collection_of(name: str, title: str, items: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Describe maps as a STAC collection.

    Parameters
    ----------
    name, title
        Identifier and title.
    items
        STAC items by their addresses, relative to the collection.

    Returns
    -------
    dict
        The collection, which links its items. Its extent is theirs, and all of the Earth where none
        has a place.
    """
    boxes = [list(item["bbox"]) for item in items.values() if item.get("bbox")]
    times = [time for item in items.values() for time in _times(item["properties"])]
    extent = pystac.Extent(
        pystac.SpatialExtent([_around(boxes), *(boxes if len(boxes) > 1 else [])]),
        pystac.TemporalExtent([[min(times, default=None), max(times, default=None)]]),
    )
    found = pystac.Collection(
        name, "Flood maps of Sentinel-1 scenes, made by floodloom.", extent, title=title,
        license="other",
    ).to_dict(include_self_link=False)  # fmt: skip
    found["links"] = [
        {"rel": "item", "href": quote(address), "type": pystac.MediaType.GEOJSON}
        for address in items
    ]
    return found


def items_of(paths: Sequence[Path], folder: Path) -> dict[str, Mapping[str, Any]]:
    """Read STAC items, by their paths relative to the folder of their collection.

    Raises
    ------
    InputError
        If one can't be read or isn't one.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for path in paths:
        content = read_json(path)
        try:
            pystac.Item.from_dict(content)
            list(_times(content["properties"]))
        except (*_NO_ITEM, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: no STAC item ({error}); run `delineate` again") from error
        way = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
        found[way if way.startswith("../") else f"./{way}"] = content
    return found


def _times(properties: Mapping[str, Any]) -> list[datetime]:
    names = ("datetime", "start_datetime", "end_datetime")
    given = [properties[name] for name in names if properties.get(name)]
    return [pystac.utils.str_to_datetime(text) for text in given]


def _around(boxes: Sequence[Sequence[float]]) -> list[float]:
    """West, south, east and north of all; of all longitudes where one crosses 180°."""
    if not boxes:
        return list(_EARTH)
    west, south, east, north = zip(*boxes, strict=True)
    if any(left > right for left, right in zip(west, east, strict=True)):
        return [_EARTH[0], min(south), _EARTH[2], max(north)]
    return [min(west), min(south), max(east), max(north)]
