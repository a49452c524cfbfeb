"""How much a run will fetch, as far as a catalogue states it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from floodloom.acquire.catalogues import asset_key
from floodloom.acquire.window import LESS
from floodloom.prepare.checks import common
from floodloom.raster.grid import METRES_PER_DEGREE, Bounds

_PIXEL_M = 30.0  # of most rasters that are fetched by parts; finer ones need less around a map


@dataclass(frozen=True)
class Size:
    """Bytes of a file, and of what is needed of it; None where that isn't known."""

    whole: int | None
    part: int | None = None

    @property
    def needed(self) -> int | None:
        """Bytes that will come if the server sends parts."""
        return self.whole if self.part is None else self.part


def size_of_part(whole: int | None, outline: BaseGeometry, box: Bounds | None, margin: int) -> Size:
    """Estimate how much of a raster a map needs.

    Parameters
    ----------
    whole
        Bytes of the file.
    outline
        What it covers, degrees.
    box
        West, south, east and north of the map, degrees; None: all.
    margin
        Pixels that are needed around it.
    """
    if whole is None or box is None or not outline.area:
        return Size(whole)
    around = margin * _PIXEL_M / METRES_PER_DEGREE
    seen = common(outline, shapely.box(*box).buffer(around, join_style="mitre"))
    share = seen.area / outline.area
    return Size(whole, round(share * whole)) if share <= LESS else Size(whole)


def size_of_bands(
    item: Mapping[str, Any], keys: Sequence[str], itemsize: int, side: int | None = None
) -> int | None:
    """Return the bytes of some assets: as stated, or of as many pixels without compression.

    Parameters
    ----------
    item
        JSON of a STAC item.
    keys
        Of its assets, as `floodloom.acquire.catalogues.asset_key` takes them.
    itemsize
        Bytes of a pixel.
    side
        Pixels along a side where the projection extension doesn't state them.

    Returns
    -------
    int or None
        None where one isn't known.
    """
    assets = item["assets"]
    sizes = [
        _bytes(item, assets.get(asset_key(assets, key) or key), itemsize, side) for key in keys
    ]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _bytes(item: Mapping[str, Any], asset: Any, itemsize: int, side: int | None) -> int | None:
    if not isinstance(asset, Mapping):
        return None
    if type(stated := asset.get("file:size")) is int:
        return stated
    shape = asset.get("proj:shape") or item["properties"].get("proj:shape")
    if isinstance(shape, list | tuple) and shape and all(type(n) is int for n in shape):
        return itemsize * math.prod(shape)
    return None if side is None else itemsize * side * side


def fetched(what: str, sizes: Sequence[Size]) -> str:
    """Return in words how many files will be fetched, and how large they are together."""
    count = f"fetches: {len(sizes)} {what}{'s' * (len(sizes) > 1)}"
    known = [size for size in sizes if size.whole is not None]
    whole = sum(size.whole or 0 for size in known) / 1e6
    needed = sum(size.needed or 0 for size in known) / 1e6
    amount = f"{whole:,.1f} MB"
    if any(size.part is not None for size in known):
        amount = f"about {needed:,.1f} of {amount}, if the server sends parts"
    unknown = len(sizes) - len(known)
    return f"{count}, {amount}" + f" and {unknown} of a size that isn't stated" * (unknown > 0)
