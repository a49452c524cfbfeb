"""The files of a map, as pages link and show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from pydantic import Field

from floodloom.errors import InputError
from floodloom.mapping.zones import AREA_COLUMNS, WHOLE
from floodloom.settings import Count, Record, read_record

_TITLES = {
    "flood": "Flood map (GeoTIFF)",
    "polygons": "Polygons (GeoPackage)",
    "flatgeobuf": "Polygons (FlatGeobuf)",
    "likelihood": "Likelihood of flood (GeoTIFF)",
    "depth": "Depth of flood (GeoTIFF)",
    "areas": "Areas (CSV)",
}


class _Asset(Record):
    href: str
    size: Count = Field(default=0, alias="file:size")


class _Item(Record):
    assets: dict[str, _Asset]


def linked_products(item: Path, folder: Path) -> list[dict[str, Any]]:
    """Return title, href and size (bytes) of the files that a map's STAC item describes.

    Parameters
    ----------
    item
        The item; itself the last of the files.
    folder
        Where the page lies. Files that lie neither there nor below aren't linked, since the page
        may be sent around, and shows no other places.

    Raises
    ------
    InputError
        If the item can't be read or isn't one.
    """
    place = item.resolve().parent
    if not place.is_relative_to(folder.resolve()):
        return []
    way = place.relative_to(folder.resolve())
    found = [(title, path) for key, title in _TITLES.items() if (path := _file(item, key))]
    return [
        {
            "title": title,
            "href": quote((way / path.name).as_posix()),
            "size": path.stat().st_size,
        }
        for title, path in [*found, ("STAC item", item)]
    ]


def zones_beside(item: Path) -> list[dict[str, Any]]:
    """Return zone and area of each class, ha, of the zones of a map, by the table of its item.

    Raises
    ------
    InputError
        If item or table can't be read or aren't such.
    """
    path = _file(item, "areas")
    if path is None:
        return []
    try:
        table = pd.read_csv(path, dtype={"zone": str}, keep_default_na=False)
        areas = table[AREA_COLUMNS].astype(dict.fromkeys(AREA_COLUMNS[1:], float))
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: no table of areas ({reason}); run `delineate` again") from error
    return [
        {str(name): value for name, value in row.items()}
        for row in areas[areas["zone"] != WHOLE].to_dict("records")
    ]


def _file(item: Path, key: str) -> Path | None:
    """A file of an item that lies beside it."""
    asset = read_record(item, _Item).assets.get(key)
    if asset is None or Path(asset.href).name != asset.href:
        return None
    path = item.with_name(asset.href)
    return path if path.is_file() else None
