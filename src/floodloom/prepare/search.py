"""What STAC catalogues have of a place: scenes of Sentinel-1, and tiles of Copernicus DEM."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pystac
import pystac.errors
import pystac_client.errors
import pystac_client.exceptions
import shapely
from pystac.link import Link
from pystac_client import Client
from pystac_client.conformance import ConformanceClasses
from pystac_client.stac_api_io import StacApiIO

from floodloom.acquire.catalogues import (
    BACKSCATTER,
    CATALOGUES,
    CORRECTED,
    LAYERS,
    OPEN,
    OPTICAL,
    SCENES,
    Catalogue,
    Layer,
)
from floodloom.acquire.item import asset_of, read_text
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.prepare.candidates import Candidate, candidate_of, outline_of
from floodloom.prepare.checks import common
from floodloom.prepare.sizes import Size, size_of_part
from floodloom.raster.grid import Bounds
from floodloom.sentinel1.settings import BackscatterSettings
from floodloom.texts import brief, is_address, redact

_BEFORE, _AFTER = timedelta(days=60), timedelta(days=12)
"""How long before and after the begin of a flood scenes are looked for: an orbit repeats itself
after 12 days, with two satellites after 6."""
_MOST_ITEMS = 2000
_MOST_REQUESTS = 5000
_PER_PAGE = 100
_AROUND_DEG = 0.02
"""Beyond an area, for the corners of a map that is turned against it."""
_REMEDY = f"give {', '.join(CATALOGUES)}, or the address of a STAC API or of a catalog.json"
_LIBRARIES = (pystac.errors, pystac_client.errors, pystac_client.exceptions)
_NO_CATALOGUE: tuple[type[Exception], ...] = (
    *(
        error
        for module in _LIBRARIES
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading something else raises; the errors of the libraries have no base in common."""

Item = tuple[Mapping[str, Any], str]
"""JSON of an item, and where it lies."""


def catalogue_of(name: str) -> Catalogue:
    """Return a catalogue by its name, address or path.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if name not in CATALOGUES and not is_address(name) and not Path(name).is_file():
        raise InputError(f"{brief(name)}: {_REMEDY}")
    return CATALOGUES.get(name) or Catalogue(name)


_NOTHING = BackscatterSettings()


class NoSceneError(InputError):
    """A catalogue has no scene of an area and time."""


def scenes_of(
    name: str,
    box: Bounds,
    since: datetime,
    *,
    until: datetime | None = None,
    corrected: bool = False,
    backscatter: BackscatterSettings = _NOTHING,
) -> list[Candidate]:
    """Look for scenes of Sentinel-1.

    Parameters
    ----------
    name
        Name, address or path of the catalogue.
    box
        West, south, east and north of the area, degrees.
    since
        Begin of the flood, UTC.
    until
        End of what is looked for, UTC; 12 days after `since` when not given.
    corrected
        Look for scenes that others have corrected for the terrain. Named catalogues without any
        leave them to one that is open to everybody.
    backscatter
        What is stated of these.

    Raises
    ------
    InputError
        If the catalogue can't be read.
    NoSceneError
        If it has none.
    """
    catalogue = catalogue_of(name)
    if corrected and name in CATALOGUES and catalogue.corrected is None:
        catalogue = CATALOGUES[OPEN[BACKSCATTER]]
    collections = catalogue.corrected if corrected else catalogue.scenes
    is_corrected = corrected or collections == catalogue.corrected is not None
    kind, pattern = ("RTC", CORRECTED) if is_corrected else ("GRD", SCENES)
    found = []
    span = (since - _BEFORE, until or since + _AFTER)
    for item, source in _items(catalogue, collections, pattern, box, span):
        try:
            found.append(candidate_of(item, source, backscatter))
        except InputError as error:
            get_logger(__name__).warning("%s: left out", error)
    if not found:
        raise NoSceneError(
            f"{redact(catalogue.source)}: no scene of Sentinel-1 ({kind}) of the area from "
            f"{span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d}; try another catalogue or date"
        )
    return found


def tiles_of(layer: str, name: str, box: Bounds, *, is_part: bool = False) -> dict[str, Size]:
    """Look for tiles of a layer, such as Copernicus DEM GLO-30.

    Parameters
    ----------
    layer
        One of `LAYERS`.
    name, box
        As for `scenes_of`. Named catalogues without the tiles leave them to one that is open to
        everybody.
    is_part
        Whether the box is all that is needed of them.

    Returns
    -------
    dict
        Size of each by the path or address of its item.

    Raises
    ------
    InputError
        If the catalogue can't be read or has none.
    """
    catalogue, kind = _with_layer(layer, name), LAYERS[layer]
    west, south, east, north = box
    wide = (west - _AROUND_DEG, south - _AROUND_DEG, east + _AROUND_DEG, north + _AROUND_DEG)
    collections = (catalogue.layers[layer],) if layer in catalogue.layers else None
    items = _items(catalogue, collections, kind.collections, wide, None)
    needed = box if is_part else None
    found = {source: _size(item, source, kind, needed) for item, source in _newest(items)}
    if not found:
        raise InputError(f"{redact(catalogue.source)}: no {kind.title} of the area; {kind.remedy}")
    return dict(sorted(found.items()))


def _size(item: Mapping[str, Any], source: str, kind: Layer, box: Bounds | None) -> Size:
    asset = asset_of(item["assets"], source, kind.assets[0])
    return size_of_part(asset.size, outline_of(item), box, kind.margin)


def images_of(name: str, box: Bounds, span: tuple[datetime, datetime]) -> list[Item]:
    """Look for images of Sentinel-2 L2A of a place and time; each with where its item lies.

    Raises
    ------
    InputError
        If the catalogue can't be read.
    """
    catalogue, kind = _with_layer(OPTICAL, name), LAYERS[OPTICAL]
    collections = (catalogue.layers[OPTICAL],) if OPTICAL in catalogue.layers else None
    return _items(catalogue, collections, kind.collections, box, span)


def _with_layer(layer: str, name: str) -> Catalogue:
    """Return a catalogue, or one that is open to everybody where a named one lacks a layer."""
    catalogue = catalogue_of(name)
    lacks = name in CATALOGUES and layer not in catalogue.layers
    return CATALOGUES[OPEN[layer]] if lacks else catalogue


def _newest(items: list[Item]) -> list[Item]:
    """Of editions of one tile, which show the same ground, keep the latest by their time."""
    latest: dict[str, Item] = {}
    for item, source in items:
        key = json.dumps(item.get("bbox") or source)
        if key not in latest or _time(item) > _time(latest[key][0]):
            latest[key] = item, source
    return list(latest.values())


def _time(item: Mapping[str, Any]) -> str:
    stated = item.get("properties")
    return str(stated.get("datetime") or stated.get("start_datetime")) if stated else ""


def _items(
    catalogue: Catalogue,
    collections: tuple[str, ...] | None,
    pattern: re.Pattern[str],
    box: Bounds,
    span: tuple[datetime, datetime] | None,
) -> list[Item]:
    """Return items of a place and time, each once, from an API or a static catalogue."""
    with _named(catalogue.source):
        client = Client.open(catalogue.source, stac_io=_Web(catalogue.source))
        if not client.conforms_to(ConformanceClasses.ITEM_SEARCH):
            found = _walked(client, pattern, box, span)
        else:
            if collections is None:
                names = [one.id for one in client.get_collections()]
                collections = tuple(name for name in names if pattern.search(name))
            found = _searched(client, collections, box, span) if collections else iter(())
        return list({source: (item, source) for item, source in found}.values())


@contextmanager
def _named(source: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of APIs that state less than they should
            yield
    except InputError:
        raise
    except _NO_CATALOGUE as error:
        raise InputError(
            f"{redact(source)}: not a STAC catalogue ({type(error).__name__}); {_REMEDY}"
        ) from error


def _searched(
    client: Client,
    collections: tuple[str, ...],
    box: Bounds,
    span: tuple[datetime, datetime] | None,
) -> Iterator[Item]:
    west, south, east, north = box
    search = client.search(
        method="GET",
        collections=list(collections),
        bbox=[west, south, east - 360.0 if east > 180.0 else east, north],
        datetime=None if span is None else "/".join(f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in span),
        limit=_PER_PAGE,
        max_items=_MOST_ITEMS,
    )
    for item in search.items_as_dicts():
        links = item.get("links", ())
        own = next((link["href"] for link in links if link.get("rel") == "self"), None)
        base = str(client.get_self_href()).rstrip("/")
        path = f"{base}/collections/{item['collection']}/items/{item['id']}"
        yield item, redact(own or path)


def _walked(
    client: Client,
    pattern: re.Pattern[str],
    box: Bounds,
    span: tuple[datetime, datetime] | None,
) -> Iterator[Item]:
    """Yield the items of a static catalogue that the search of an API would."""
    area = shapely.box(*box)
    for item in client.get_items(recursive=True):
        when = item.datetime or item.common_metadata.start_datetime
        if span is not None:
            first, last = (one.replace(tzinfo=UTC) for one in span)
            if when is None or not first <= when <= last:
                continue
        if not pattern.search(f"{item.collection_id or ''}/{item.id}"):
            continue
        if not common(outline_of({"geometry": item.geometry}), area).is_empty:
            yield item.to_dict(transform_hrefs=False), redact(str(item.get_self_href()))


class _Web(StacApiIO):
    """Reads catalogues by the requests of `floodloom.acquire`, and files for local ones alone."""

    def __init__(self, catalogue: str) -> None:
        super().__init__(max_retries=None)
        self._is_local = not is_address(catalogue)
        self._left = _MOST_REQUESTS

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        href = str(source.href if isinstance(source, Link) else source)
        if not is_address(href) and not self._is_local:
            raise InputError(f"{brief(href)}: a file, which a catalogue on the web may not name")
        if isinstance(source, Link) or is_address(href):
            return super().read_text(source, *args, **kwargs)
        return self.request(href)

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Read an address with the parameters of a search, or a path."""
        self._left -= 1
        if (method or "GET").upper() != "GET" or self._left < 0:
            what = "asks for POST" if self._left >= 0 else f"needs over {_MOST_REQUESTS} requests"
            raise InputError(f"{redact(href)}: the catalogue {what}; use another one")
        query = urlencode(parameters or {})
        address = f"{href}{'&' if '?' in href else '?'}{query}" if query else href
        return read_text(address, "an answer of a catalogue; use another one").decode("utf-8")
