"""Which image of Sentinel-2 stands beside a scene: the clearest within some days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from floodloom.acquire.catalogues import AROUND, LAYERS, OPTICAL, scene_facts
from floodloom.dates import read_time
from floodloom.errors import InputError
from floodloom.prepare.candidates import outline_of
from floodloom.prepare.checks import common
from floodloom.prepare.choose import WHOLE
from floodloom.prepare.search import images_of
from floodloom.prepare.sizes import Size, fetched, size_of_bands, size_of_part
from floodloom.raster.grid import Bounds
from floodloom.sentinel2.settings import PairingSettings

_DAYS = PairingSettings().optical_gap_days or 10.0
_WHOLE_PX = 10980  # of a tile of 110 km
_BYTES = 2  # uint16
_WORST = 100.0


@dataclass(frozen=True)
class Tile:
    """A tile of an image.

    Attributes
    ----------
    source
        Path or address of its item.
    name
        Identifier of the item.
    taken
        When, UTC.
    outline
        What it covers, degrees.
    cloud
        Share under cloud, percent; 100 where that isn't stated.
    edition
        Processing baseline and when it was made, by which editions of one tile sort.
    size
        Bytes of its bands, None if that isn't known.
    """

    source: str
    name: str
    taken: datetime
    outline: BaseGeometry
    cloud: float
    edition: tuple[str, str]
    size: int | None


Image = list[Tile]


@dataclass(frozen=True)
class Beside:
    """The tiles of an image that was chosen, and why, in words."""

    sources: tuple[str, ...]
    reason: str


def image_beside(name: str, box: Bounds, taken: datetime) -> Beside:
    """Choose the image that shows most of an area, of these the clearest, of these the nearest.

    Parameters
    ----------
    name
        Name, address or path of the catalogue; named ones without any image leave it to one that is
        open to everybody.
    box
        West, south, east and north of the area, degrees.
    taken
        When the scene was taken, UTC.

    Raises
    ------
    InputError
        If the catalogue can't be read or has none within some days.
    """
    span = (taken - timedelta(days=_DAYS), taken + timedelta(days=_DAYS))
    tiles = [tile_of(item, source) for item, source in images_of(name, box, span)]
    images = _images([tile for tile in tiles if tile is not None], shapely.box(*box))
    if not images:
        raise InputError(
            f"{LAYERS[OPTICAL].title}: none of the area from {span[0]:%Y-%m-%d} to "
            f"{span[1]:%Y-%m-%d}; {LAYERS[OPTICAL].remedy}"
        )
    return _chosen(images, shapely.box(*box), box, taken)


def tile_of(item: Mapping[str, Any], source: str) -> Tile | None:
    """Return what is known of an item of Sentinel-2; None where it states no time or place."""
    stated = item.get("properties")
    try:
        taken = read_time(str(scene_facts(stated)["acquisition_time"])) if stated else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    outline = outline_of(item)
    if taken is None or not outline.area or not isinstance(stated, Mapping):
        return None
    cloud = stated.get("eo:cloud_cover")
    return Tile(
        source=source,
        name=str(item.get("id")),
        taken=taken,
        outline=outline,
        cloud=float(cloud) if isinstance(cloud, int | float) else _WORST,
        edition=(str(stated.get("s2:processing_baseline") or ""), str(stated.get("created") or "")),
        size=size_of_bands(item, LAYERS[OPTICAL].assets, _BYTES, _WHOLE_PX),
    )


def _images(tiles: Sequence[Tile], area: BaseGeometry) -> list[Image]:
    """Put tiles of one day together that are needed, the newest edition of each."""
    days: dict[str, Image] = {}
    for tile in sorted(tiles, key=lambda one: one.edition, reverse=True):
        if common(tile.outline, area).area > 0:
            days.setdefault(f"{tile.taken:%Y-%m-%d}", []).append(tile)
    return [_needed(members, area) for members in days.values()]


def _needed(members: Image, area: BaseGeometry) -> Image:
    """Return the tiles that show something of an area that those before don't."""
    kept: Image = []
    for tile in sorted(members, key=lambda one: -common(one.outline, area).area):
        if not kept or _share([*kept, tile], area) > _share(kept, area) + 1 - WHOLE:
            kept.append(tile)
    return sorted(kept, key=lambda one: one.name)


def _share(image: Image, area: BaseGeometry) -> float:
    seen = shapely.union_all([common(tile.outline, area) for tile in image])
    return float(seen.area / area.area)


def _cloud(image: Image, area: BaseGeometry) -> float:
    """Return the share of cloud, percent, of tiles by how much of the area they show."""
    weights = [common(tile.outline, area).area for tile in image]
    total = sum(weight * tile.cloud for weight, tile in zip(weights, image, strict=True))
    return float(total / sum(weights))


def _chosen(images: Sequence[Image], area: BaseGeometry, box: Bounds, taken: datetime) -> Beside:
    def rank(image: Image) -> tuple[float, float, timedelta]:
        share = min(_share(image, area), WHOLE)
        return -share, _cloud(image, area), abs(image[0].taken - taken)

    best = min(images, key=rank)
    share, cloud = _share(best, area), _cloud(best, area)
    days = (best[0].taken - taken).total_seconds() / 86_400
    shows = "all" if share >= WHOLE else f"{share:.0%}"
    others = f"; {len(images) - 1} others show less, or have more cloud" * (len(images) > 1)
    reason = (
        f"{' and '.join(tile.name for tile in best)}: shows {shows} of the area, {cloud:.0f}% "
        f"cloud, {abs(days):.1f} days {'after' if days >= 0 else 'before'} the scene{others}"
    )
    sizes: list[Size] = [size_of_part(tile.size, tile.outline, box, AROUND) for tile in best]
    return Beside(tuple(tile.source for tile in best), f"{reason}; {fetched('tile', sizes)}")
