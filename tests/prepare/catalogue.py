"""A STAC API on this machine, with the files of its items, which sends parts of them too."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pystac
import shapely

from floodloom.prepare.found import look_at
from floodloom.sentinel1.settings import BackscatterSettings

SCENES, TILES = "sentinel-1-grd", "cop-dem-glo-30"
WATER, COVER, CORRECTED = "jrc-gsw", "esa-worldcover", "sentinel-1-rtc"
_CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
]


@dataclass
class Api:
    """What the server has, and what it was asked for.

    Attributes
    ----------
    items
        JSON of items; an `href` that begins with / is completed.
    files
        Content by path.
    secret
        Token that has to come along with the request for a file; addresses are signed by it, too.
    broken
        How many times a file is cut off in the middle.
    away
        Whether connections end without an answer.
    ranges
        Whether it sends parts of files.
    sent
        Bytes of files that it has sent, by path.
    asked
        Paths of the requests that came.
    """

    address: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    secret: str = ""
    broken: int = 0
    away: bool = False
    ranges: bool = True
    sent: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        """Return the JSON of a page of the API."""
        root = {"rel": "root", "href": self.address}
        if path in ("", "/"):
            ways = [("search", "/search"), ("data", "/collections"), ("self", "")]
            links = [{"rel": rel, "href": self.address + place} for rel, place in ways]
            made = {"type": "Catalog", "stac_version": "1.0.0", "id": "here", "description": "."}
            return {**made, "conformsTo": _CONFORMS, "links": [root, *links]}
        if path == "/collections":
            names = sorted({SCENES, "other", *(item["collection"] for item in self.items)})
            return {"collections": [collection(name) for name in names], "links": []}
        if path == "/search":
            return self._page(query)
        name = path.rpartition("/items/")[2]
        return next((self.complete(one) for one in self.items if one["id"] == name), None)

    def complete(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return an item with whole addresses."""
        signed = f"?sig={self.secret}" if self.secret else ""
        own = f"{self.address}/collections/{item['collection']}/items/{item['id']}{signed}"
        assets = {
            key: {**asset, "href": self.address + asset["href"] + signed}
            for key, asset in item["assets"].items()
        }
        return {**item, "assets": assets, "links": [{"rel": "self", "href": own}]}

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """Return two items that were searched for, and where the next are."""
        found = [
            item for item in self.items if item["collection"] in query["collections"][0].split(",")
        ]
        area = shapely.box(*map(float, query["bbox"][0].split(",")))
        found = [
            item for item in found if shapely.geometry.shape(item["geometry"]).intersects(area)
        ]
        if "datetime" in query:
            first, last = map(datetime.fromisoformat, query["datetime"][0].split("/"))
            when = [datetime.fromisoformat(one["properties"]["datetime"]) for one in found]
            found = [one for one, at in zip(found, when, strict=True) if first <= at <= last]
        start = int(query.get("token", ["0"])[0])
        again = "&".join(f"{k}={v[0]}" for k, v in query.items() if k != "token")
        following = f"{self.address}/search?{again}&token={start + 2}"
        links = [{"rel": "next", "href": following}] if start + 2 < len(found) else []
        page = [self.complete(one) for one in found[start : start + 2]]
        return {"type": "FeatureCollection", "features": page, "links": links}


@contextmanager
def served(api: Api) -> Iterator[Api]:
    """Answer until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            api.asked.append(parts.path)
            if api.away:
                return
            if parts.path in api.files:
                self._send_file(parts.path, api.files[parts.path].read_bytes())
                return
            page = api.answer(parts.path, parse_qs(parts.query))
            self._send(404 if page is None else 200, json.dumps(page).encode())

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def _send_file(self, path: str, body: bytes) -> None:
            if api.secret and self.headers.get("Authorization") != f"Bearer {api.secret}":
                self._send(401, b"who are you?")
                return
            asked = self.headers.get("Range") if api.ranges else None
            first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
            start, size = int(first), len(body)
            rest = body[start : int(last) + 1 if last else size]
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(rest)))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{start + len(rest) - 1}/{size}")
            self.send_header("ETag", '"a"')
            self.end_headers()
            if api.broken:
                api.broken -= 1
                rest = rest[: len(rest) // 2]
            api.sent[path] = api.sent.get(path, 0) + len(rest)
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        api.address = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield api
        http.shutdown()


def collection(name: str) -> dict[str, Any]:
    """A collection of items of anywhere and any time."""
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    made = {"type": "Collection", "stac_version": "1.0.0", "id": name, "description": "."}
    return {**made, "license": "other", "extent": extent, "links": []}


def item(
    name: str, when: str, outline: Any, assets: dict[str, Any], **stated: Any
) -> dict[str, Any]:
    """An item, of Sentinel-1 unless `collection` says otherwise."""
    place = stated.pop("collection", SCENES)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": place,
        "geometry": shapely.geometry.mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {"datetime": f"{when}+00:00", **stated},
        "assets": assets,
        "links": [],
    }


def item_of(product: Path, name: str, asset: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The item of a product, as Copernicus Data Space describes it; properties may be others."""
    found = look_at(product, BackscatterSettings())
    stated = {
        "platform": f"sentinel-{str(found.facts['platform'])[1:].lower()}",
        "sar:instrument_mode": "IW",
        "sar:polarizations": [one.upper() for one in found.polarisations],
        "sat:orbit_state": found.facts["orbit_direction"],
        "sat:relative_orbit": found.facts["relative_orbit"],
        "product:type": "IW_GRDH_1S",
        "processing:version": "003.61",
    }
    when = other.pop("when", f"{found.taken:%Y-%m-%dT%H:%M:%S}")
    outline = other.pop("outline", found.outline)
    return item(name, when, outline, {"Product": asset}, **{**stated, **other})


def static(folder: Path, items: list[dict[str, Any]]) -> Path:
    """Write a static catalogue of items whose files lie beside it; return its first file."""
    catalog = pystac.Catalog("here", ".")
    for one in items:
        place = catalog.get_child(one["collection"])
        if place is None:
            place = pystac.Collection.from_dict(collection(one["collection"]))
            catalog.add_child(place)
        place.add_item(pystac.Item.from_dict(one))
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"
