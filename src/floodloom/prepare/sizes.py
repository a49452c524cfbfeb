"""How much a run will fetch, as far as a catalogue states it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import shapely
from shapely.geometry.base import BaseGeometry

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
