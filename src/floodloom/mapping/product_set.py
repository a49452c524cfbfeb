"""All products of a flood map, which appear together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
from pydantic import Field

from floodloom.arrays import Bytes
from floodloom.log import get_logger
from floodloom.mapping.delineate import Evidence, flood_likelihood
from floodloom.mapping.elevation import Elevation
from floodloom.mapping.percent import TAGS, Probability
from floodloom.mapping.products import (
    class_areas,
    excluded_areas,
    write_depth,
    write_flood_map,
    write_likelihood,
)
from floodloom.mapping.sources import polarisations
from floodloom.mapping.stac import Sensor, stac_item, write_item
from floodloom.mapping.terrain import flood_depth
from floodloom.mapping.vectorise import flood_polygons, write_polygons
from floodloom.mapping.zones import area_table, write_table
from floodloom.outputs import Files
from floodloom.raster.legend import companions
from floodloom.raster.product import FloodClass
from floodloom.raster.store import open_store
from floodloom.sets import together


class FloodProducts(Files):
    """What is written of an event."""

    out: Path = Field(description="Flood map to write: class, and reason of exclusion")
    vectors: Path = Field(description="GeoPackage (.gpkg) or FlatGeobuf (.fgb) to write")
    item: Path = Field(description="STAC item to write (.json)")
    likelihood: Path | None = Field(
        default=None, description="Likelihood of flood to write, percent"
    )
    depth: Path | None = Field(default=None, description="Flood depth to write, m; needs dem")
    areas: Path | None = Field(default=None, description="Table of areas to write (.csv), ha")

    def described(self) -> dict[str, Path]:
        """Return the files that the item describes, by its keys."""
        named = {
            "flood": self.out,
            "polygons": self.vectors,
            "likelihood": self.likelihood,
            "depth": self.depth,
            "areas": self.areas,
        }
        return {key: path for key, path in named.items() if path is not None}


@dataclass(frozen=True)
class FloodMap:
    """A classified event.

    `classes` and `reasons` are (y, x) uint8, see `floodloom.mapping.delineate`.
    """

    event: str
    after: Probability
    evidence: Evidence
    classes: Bytes
    reasons: Bytes
    terrain: Elevation | None
    sensor: Sensor
    zones: gpd.GeoDataFrame | None


def sensor_of(after: Probability, scene: Path | None) -> Sensor:
    """Return how a scene was taken, as far as it or the probability's tags state it."""
    facts = {} if scene is None else open_store(scene).attrs
    mode, kind = (
        str(facts.get(name) or after.tags.get(name.upper(), ""))
        for name in ("instrument_mode", "product_type")
    )
    return Sensor(mode, kind, () if scene is None else polarisations(scene))


def write_products(flood: FloodMap, products: FloodProducts) -> None:
    """Write all products of an event, and take away what lay beside older ones.

    Raises
    ------
    InputError
        If the zones can't be used, before anything is written.
    """
    files = products.described()
    with together({**files, "item": products.item}) as made:
        _write(flood, made)
        stale = [
            old
            for key, path in files.items()
            for old, new in zip(companions(path), companions(made[key]), strict=True)
            if not new.exists()
        ]
    for old in stale:
        old.unlink(missing_ok=True)


def _write(flood: FloodMap, made: Mapping[str, Path]) -> None:
    grid, files = flood.after.grid, dict(made)
    item = files.pop("item")
    found = flood.after.tags
    tags = {name: found[name] for name in TAGS if name in found}
    tags["FLOODLOOM_EVENT"] = flood.event
    table = area_table(flood.classes, grid, flood.zones)  # refuses zones before it is too late

    write_flood_map(flood.classes, flood.reasons, files["flood"], geobox=grid, tags=tags)
    likelihood = flood_likelihood(flood.evidence)
    is_flood = flood.classes == FloodClass.FLOOD.value
    shown = np.where(is_flood, likelihood, flood.evidence.after)
    facts = {
        "event": flood.event,
        "date": tags.get("ACQUISITION_TIME", "")[:10],
        "scene": tags.get("FLOODLOOM_SCENE", ""),
    }
    write_polygons(flood_polygons(flood.classes, shown, grid, facts), files["polygons"])
    if "likelihood" in files:
        write_likelihood(likelihood, files["likelihood"], geobox=grid, tags=tags)
    if "depth" in files and flood.terrain is not None:
        wet = is_flood | (flood.classes == FloodClass.PERMANENT.value)
        dry = flood.classes == FloodClass.DRY.value
        depth = flood_depth(wet, is_flood, dry, flood.terrain.on(grid))
        write_depth(depth, files["depth"], geobox=grid, tags=tags)
    if "areas" in files:
        write_table(table, files["areas"])
    _describe(flood, files, item, tags)


def _describe(
    flood: FloodMap, files: Mapping[str, Path], item: Path, tags: Mapping[str, str]
) -> None:
    """Write the item of the files, and log what was found."""
    grid = flood.after.grid
    areas, excluded = class_areas(flood.classes, grid), excluded_areas(flood.reasons, grid)
    provenance = {name.lower(): value for name, value in tags.items() if value}
    facts = {"area_ha": areas, "excluded_ha": excluded, "floodloom": provenance}
    acquired = tags.get("ACQUISITION_TIME")
    write_item(stac_item(flood.event, grid, acquired, files, facts, sensor=flood.sensor), item)
    why = ", ".join(f"{reason} {area:.1f}" for reason, area in excluded.items())
    get_logger(__name__).info(
        "%s: flood %.1f ha, excluded %.1f ha%s",
        flood.event, areas["flood"], areas["excluded"], f" ({why})" if why else "",
    )  # fmt: skip
