"""Scenes that nobody took, as what is found out of them."""

from __future__ import annotations

from pathlib import Path

import shapely

from floodloom.prepare.found import Found
from floodloom.raster.recipe import Recipe

_FACTS = {"platform": "S1A", "orbit_direction": "ascending", "relative_orbit": 44}


def scene(
    name: str = "after.SAFE",
    taken: str | None = "2023-05-14T16:58:21",
    box: tuple[float, float, float, float] = (10, 45, 11, 46),
    recipe: Recipe | None = None,
    polarisations: tuple[str, ...] = ("vv", "vh"),
    **facts: object,
) -> Found:
    """A scene of one box, which is a product where it has no recipe."""
    known = {**_FACTS, **({"acquisition_time": taken} if taken else {}), **facts}
    return Found(
        Path(name), "Sentinel-1 IW GRD", polarisations, box, shapely.box(*box), known, recipe
    )
