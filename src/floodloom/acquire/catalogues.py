"""What STAC catalogues do differently: where they are, and what they call things.

All that is known of single catalogues is here. Others are searched by the patterns below.

Sources: the catalogues' own collections and items; STAC extensions alternate-assets, sat, sar,
processing; stactools.sentinel1 (`s1:` properties).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from floodloom.dates import read_time

PRODUCT = "product"
"""Key of the asset that is a scene's product."""

ELEVATIONS = "data"
"""Key of the asset of a tile of Copernicus DEM."""

BACKSCATTER = "backscatter"
"""What is fetched of scenes that others have corrected for the terrain (RTC)."""


OPTICAL = "optical"
"""Key of an event for images beside its scenes, whose bands are put together."""
AROUND = 32
"""Pixels of a raster around a map by which neighbours are found."""


@dataclass(frozen=True)
class Layer:
    """Tiles of a raster of the whole Earth.

    Attributes
    ----------
    title
        What it is called.
    collections
        Names of its collections.
    assets
        Keys of the assets of a tile, as `asset_key` takes them.
    remedy
        What to do where a catalogue has none of it.
    margin
        Pixels that are needed around a map.
    """

    title: str
    collections: re.Pattern[str]
    assets: tuple[str, ...]
    remedy: str
    margin: int = AROUND


LAYERS = {
    "dem": Layer(
        "Copernicus DEM",
        re.compile(r"cop.*dem.*30", re.IGNORECASE),
        (ELEVATIONS,),
        "give --dem, or on flat ground --height, m above the ellipsoid",
        margin=200,  # water comes from there (`floodloom.sentinel1.relief`)
    ),
    "reference_water": Layer(
        "JRC Global Surface Water",
        re.compile(r"jrc.?gsw|global.?surface.?water", re.IGNORECASE),
        ("occurrence",),
        "leave out --reference-water",
    ),
    "land_cover": Layer(
        "ESA WorldCover",
        re.compile(r"esa.?worldcover", re.IGNORECASE),
        ("map",),
        "leave out --land-cover",
    ),
    OPTICAL: Layer(
        "Sentinel-2 L2A",
        re.compile(r"sentinel-?2.*l2a", re.IGNORECASE),
        ("blue", "green", "red", "nir", "swir", "swir_2", "scl"),
        "leave out --optical",
    ),
}
"""Layers that are fetched, by the keys of an event (Pekel et al. 2016; Zanaga et al. 2022)."""

_ALSO = {
    "blue": ("B02",),
    "green": ("B03",),
    "red": ("B04",),
    "nir": ("B08",),
    "swir": ("swir16", "B11"),
    "swir_2": ("swir22", "B12"),
    "scl": ("SCL",),
}
"""What catalogues call bands: Earth Search by their colours, Planetary Computer by numbers."""


def margin_of(layer: str) -> int:
    """Return how many pixels of a layer, or of a scene's bands, are needed around a map."""
    return LAYERS[layer].margin if layer in LAYERS else AROUND


@dataclass(frozen=True)
class Catalogue:
    """A STAC API, or the first file of a static catalogue.

    Attributes
    ----------
    source
        Address, or path.
    scenes
        Collections of Sentinel-1; None: those whose names state it.
    corrected
        Collections of Sentinel-1 that others have corrected for the terrain; None: those whose
        names state it.
    layers
        Collections of layers by their names; of other catalogues those whose names state it.
    """

    source: str
    scenes: tuple[str, ...] | None = None
    corrected: tuple[str, ...] | None = None
    layers: Mapping[str, str] = field(default_factory=dict)


CATALOGUES = {
    "copernicus": Catalogue("https://stac.dataspace.copernicus.eu/v1", ("sentinel-1-grd",)),
    "asf": Catalogue(
        "https://cmr.earthdata.nasa.gov/stac/ASF",
        tuple(f"SENTINEL-1{unit}_DP_GRD_HIGH_1" for unit in "ABC"),
    ),
    "earth-search": Catalogue(
        "https://earth-search.aws.element84.com/v1",
        ("sentinel-1-grd",),
        layers={"dem": "cop-dem-glo-30", OPTICAL: "sentinel-2-l2a"},
    ),
    "planetary-computer": Catalogue(
        "https://planetarycomputer.microsoft.com/api/stac/v1",
        ("sentinel-1-rtc",),  # its products can't be fetched as a whole
        ("sentinel-1-rtc",),
        {
            "dem": "cop-dem-glo-30",
            "reference_water": "jrc-gsw",
            "land_cover": "esa-worldcover",
            OPTICAL: "sentinel-2-l2a",
        },
    ),
}
"""Catalogues by name."""

OPEN = {
    BACKSCATTER: "planetary-computer",
    "dem": "earth-search",
    "reference_water": "planetary-computer",
    "land_cover": "planetary-computer",
    OPTICAL: "earth-search",
}
"""Where layers and terrain-corrected scenes come from, without a login, for catalogues above that
name none."""

SIGNERS = {
    "blob.core.windows.net": "https://planetarycomputer.microsoft.com/api/sas/v1/sign",
}
"""Services that give an address of a host, or of one below it, the right to be read for an hour."""

SCENES = re.compile(r"sentinel-?1.*grd", re.IGNORECASE)
"""Names of collections of Sentinel-1."""
CORRECTED = re.compile(r"(sentinel-?1|s1).*(?<![a-z])rtc(?![a-z])|(?<![a-z])rtc-s1", re.IGNORECASE)
"""Names of collections of Sentinel-1, and of items, that others have corrected for the terrain."""

VERSIONS = ("processing:version", "processing:software", "version")
"""Properties that state the processing baseline."""
PROCESSED = ("s1:processing_datetime", "processing:datetime", "created", "published", "updated")
"""Properties that state when a product was made."""
PRODUCT_TYPES = ("sar:product_type", "product:type", "s1:product_type")
"""Properties that state the type: GRD, or IW_GRDH_1S."""

_OPEN_BUCKETS = {"copernicus-dem-30m": "https://copernicus-dem-30m.s3.amazonaws.com"}
"""Buckets that are open to everybody, and their addresses."""
_WEB = ("http://", "https://")
_PLATFORM = re.compile(r"s(?:entinel-?)?1([a-z])", re.IGNORECASE)


def asset_key(assets: Mapping[str, Any], key: str) -> str | None:
    """Return under which key an asset is among others, or None.

    Parameters
    ----------
    assets
        Of an item.
    key
        Its own, `product`, or the name of a band of Sentinel-2, such as `green`.
    """
    if key == PRODUCT:
        return product_key(assets)
    return next((name for name in (key, *_ALSO.get(key, ())) if name in assets), None)


def product_key(assets: Mapping[str, Any]) -> str | None:
    """Return the key of the asset that is a whole product.

    Parameters
    ----------
    assets
        Of an item: `Product` at Copernicus Data Space; of ASF, which takes a part of the address
        for the key, the only zip.
    """
    named = [key for key in assets if key.lower() == PRODUCT]
    zips = [key for key, asset in assets.items() if _is_zip(asset)]
    return next(iter(named or (zips if len(zips) == 1 else ())), None)


def _is_zip(asset: Any) -> bool:
    href = asset.get("href") if isinstance(asset, Mapping) else None
    return isinstance(href, str) and re.split(r"[?#]", href)[0].lower().endswith(".zip")


def href_of(asset: Mapping[str, Any]) -> str | None:
    """Return where an asset lies: on the web, where it lies there too.

    Parameters
    ----------
    asset
        Of an item; with `alternate` places where its own is a bucket, as of Copernicus Data Space.
    """
    href = asset.get("href")
    if not isinstance(href, str) or href.lower().startswith(_WEB):
        return href if isinstance(href, str) else None
    alternates = asset.get("alternate")
    for other in alternates.values() if isinstance(alternates, Mapping) else ():
        place = other.get("href") if isinstance(other, Mapping) else None
        if isinstance(place, str) and place.lower().startswith(_WEB):
            return place
    if href.startswith("s3://"):
        bucket, _, key = href.removeprefix("s3://").partition("/")
        return f"{_OPEN_BUCKETS[bucket]}/{key}" if bucket in _OPEN_BUCKETS else href
    return href


def scene_facts(stated: Mapping[str, Any]) -> dict[str, str | int]:
    """Return what the properties of an item state of how a scene was taken.

    Parameters
    ----------
    stated
        Properties.

    Returns
    -------
    dict
        `acquisition_time` (ISO 8601, UTC), `platform` (S1A), `relative_orbit`, `orbit_direction`,
        as far as they are stated.

    Raises
    ------
    ValueError
        If the time is none.
    """
    found: dict[str, str | int] = {}
    when = stated.get("start_datetime") or stated.get("datetime")
    if when:
        found["acquisition_time"] = read_time(str(when).removesuffix("Z")).isoformat()
    if platform := _PLATFORM.search(str(stated.get("platform") or "")):
        found["platform"] = f"S1{platform[1].upper()}"
    if isinstance(orbit := stated.get("sat:relative_orbit"), int):
        found["relative_orbit"] = orbit
    if direction := stated.get("sat:orbit_state"):
        found["orbit_direction"] = str(direction).lower()
    return found


def file_name(address: str) -> str:
    """Return the name of the file at an address or path."""
    return urlsplit(address).path.rpartition("/")[2]
