"""What a file is, as far as it states it: a product of Sentinel-1, or backscatter of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from floodloom.arrays import Doubles
from floodloom.dates import day_in_name, read_time, time_in_name
from floodloom.raster.grid import Bounds, geobox_of, wrap_longitude
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import recipe_of
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.backscatter import read_backscatter
from floodloom.sentinel1.bands import POLARISATIONS
from floodloom.sentinel1.footprint import footprint_of
from floodloom.sentinel1.producers import find_product, is_backscatter
from floodloom.sentinel1.product import open_product
from floodloom.sentinel1.settings import BackscatterSettings


@dataclass(frozen=True)
class Found:
    """What is known of a scene.

    Attributes
    ----------
    path
        Where it lies, or the address of the STAC item that names it.
    kind
        What it is, in words.
    polarisations
        Co-polarised first.
    footprint
        West, south, east, north, degrees; east is over 180 across the antimeridian.
    outline
        What it covers, degrees, longitudes as in `footprint`.
    facts
        `platform`, `acquisition_time`, `orbit_direction`, `relative_orbit`, as far as they are
        known.
    recipe
        What the numbers of others' backscatter mean; None of a product, which is calibrated.
    reasons
        What was taken for what of others' backscatter, and why.
    assets
        Assets of the STAC item that are its bands; none where one is the whole product.
    files
        Files of its polarisations, where others have written each into one of its own.
    """

    path: Path | str
    kind: str
    polarisations: tuple[str, ...]
    footprint: Bounds
    outline: BaseGeometry
    facts: Mapping[str, object]
    recipe: Recipe | None = None
    reasons: str = ""
    assets: tuple[str, ...] = ()
    files: frozenset[Path] = frozenset()

    @property
    def is_product(self) -> bool:
        """Whether floodloom calibrates and geocodes it."""
        return self.recipe is None

    @property
    def is_placed(self) -> bool:
        """Whether it lies on a map already, and its footprint is exact."""
        return self.recipe is not None and self.recipe.spacing is not None

    @property
    def taken(self) -> datetime | None:
        """When it was taken, UTC."""
        stated = self.facts.get("acquisition_time")
        return read_time(str(stated)) if stated else time_in_name(str(self.path))

    @property
    def day(self) -> date | None:
        """When it was taken; a day where no more is known."""
        return self.taken or day_in_name(str(self.path))

    @property
    def described(self) -> str:
        """Time, orbit and polarisations, in words."""
        when = f"{self.day:%Y-%m-%d}" if self.day else "at a time that isn't known"
        if self.taken:
            when = f"{self.taken:%Y-%m-%d %H:%M}"
        stated = [str(self.facts.get(key) or "") for key in ("platform", "orbit_direction")]
        orbit = [stated[0], stated[1].lower()]
        if number := self.facts.get("relative_orbit"):
            orbit.append(f"relative orbit {number}")
        bands = " and ".join(name.upper() for name in self.polarisations)
        known = [text for text in orbit if text] or ["orbit not stated"]
        return ", ".join([self.kind, when, *known, bands])


def look_at(path: Path, stated: BackscatterSettings) -> Found:
    """Find out what a file is.

    Parameters
    ----------
    path
        SAFE folder, zip, or backscatter of others.
    stated
        What is stated of backscatter of others.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If it can't be read, is damaged, or what has to be known of it can't be.
    """
    return _backscatter(path, stated) if is_backscatter(path) else _product(path)


def _product(path: Path) -> Found:
    product = open_product(path)
    first = product.polarisations[0]
    annotation = parse_annotation(product.xml("annotation", first), f"{path} {first}")
    west, south, east, north = annotation.grid.footprint
    outline = _hull(annotation.grid.longitude, annotation.grid.latitude, (west + east) / 2)
    return Found(
        path=path,
        kind=f"Sentinel-1 {product.mode} {product.product_type}",
        polarisations=product.polarisations,
        footprint=(west, south, east, north),
        outline=outline,
        facts={
            "platform": product.mission,
            "acquisition_time": str(annotation.first_line_time),
            "orbit_direction": product.orbit_direction,
            "relative_orbit": product.relative_orbit,
        },
    )


def _backscatter(path: Path, stated: BackscatterSettings) -> Found:
    scene = read_backscatter(path, stated, log=False)
    known = ("platform", "acquisition_time", "orbit_direction", "relative_orbit")
    west, south, east, north = footprint_of(scene)
    outline = shapely.box(west, south, east, north)
    if "footprint" not in scene.attrs:  # not one that points alone place
        longitude, latitude = np.array(geobox_of(scene).geographic_extent.exterior.coords).T
        outline = _hull(longitude, latitude, (west + east) / 2)
    return Found(
        path=path,
        kind=str(scene.attrs["title"]),
        polarisations=tuple(name for name in POLARISATIONS if name in scene),
        footprint=(west, south, east, north),
        outline=outline,
        facts={key: scene.attrs[key] for key in known if key in scene.attrs},
        recipe=recipe_of(scene),
        reasons=str(scene.attrs["history"]).partition(": ")[2],
        files=frozenset(file.resolve() for file in find_product(path).bands.values()),
    )


def _hull(longitude: Doubles, latitude: Doubles, middle: float) -> BaseGeometry:
    points = np.column_stack([wrap_longitude(longitude, middle), latitude])
    return shapely.MultiPoint(points).convex_hull
