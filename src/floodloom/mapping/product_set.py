"""The products of an event and their STAC item, written together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
from pydantic import Field
from rasterio.windows import Window as RasterWindow

from floodloom.arrays import Bytes, Floats
from floodloom.log import get_logger
from floodloom.mapping.delineate import Delineation, flood_likelihood
from floodloom.mapping.depth import flood_depth
from floodloom.mapping.exclusion import Reason
from floodloom.mapping.item import Sensor, stac_item, write_item
from floodloom.mapping.polygons import VEGETATION, FloodPolygons, PolygonsOfMap, write_polygons
from floodloom.mapping.products import (
    AreaSums,
    flood_map_profile,
    likelihood_profile,
    map_bands,
    rows_of_map,
    write_depth,
)
from floodloom.mapping.sources import DATES_BEFORE, TAGS, Probability, polarisations
from floodloom.mapping.water import Pace
from floodloom.mapping.zones import area_table, require_placed, write_table
from floodloom.outputs import Files, together
from floodloom.raster.areas import pixel_areas
from floodloom.raster.cog import cog_writer
from floodloom.raster.product import FloodClass
from floodloom.raster.rows import by_strips
from floodloom.raster.store import open_store
from floodloom.raster.styles import companions
from floodloom.sentinel1.relief import Elevation


class FloodProducts(Files):
    """What is written of an event."""

    out: Path = Field(
        description="Flood map to write: class, and reason of exclusion or flooded vegetation"
    )
    vectors: Path = Field(description="GeoPackage (.gpkg) or FlatGeobuf (.fgb) to write")
    item: Path = Field(description="STAC item to write (.json)")
    flatgeobuf: Path | None = Field(
        default=None, description="The same polygons as FlatGeobuf to write (.fgb)"
    )
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
            "flatgeobuf": self.flatgeobuf,
            "likelihood": self.likelihood,
            "depth": self.depth,
            "areas": self.areas,
        }
        return {key: path for key, path in named.items() if path is not None}


@dataclass(frozen=True)
class FloodMap:
    """A flood that is found, and what is stated of it."""

    event: str
    after: Probability
    found: Delineation
    terrain: Elevation | None
    sensor: Sensor
    zones: gpd.GeoDataFrame | None
    collection: Mapping[str, str] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of its rasters."""
        known = self.after.tags
        tags = {name: known[name] for name in TAGS if name in known}
        tags["FLOODLOOM_EVENT"] = self.event
        if self.found.evidence.dates:
            tags[DATES_BEFORE] = ", ".join(self.found.evidence.dates)
        return tags


def sensor_of(after: Probability, scene: Path | None) -> Sensor:
    """Return how a scene was taken, as far as it or the probability's tags state it."""
    facts = {} if scene is None else open_store(scene).attrs
    mode, kind = (
        str(facts.get(name) or after.tags.get(name.upper(), ""))
        for name in ("instrument_mode", "product_type")
    )
    return Sensor(mode, kind, () if scene is None else polarisations(scene))


def write_products(flood: FloodMap, products: FloodProducts, pace: Pace) -> None:
    """Write all products of an event, and take away what lay beside older ones.

    Raises
    ------
    InputError
        If the zones can't be used, before anything is written.
    """
    require_placed(flood.zones, flood.after.grid)
    files = products.described()
    with together({**files, "item": products.item}) as made:
        _write(flood, made, pace)
        stale = [
            old
            for key, path in files.items()
            for old, new in zip(companions(path), companions(made[key]), strict=True)
            if not new.exists()
        ]
    for old in stale:
        old.unlink(missing_ok=True)


def _write(flood: FloodMap, made: Mapping[str, Path], pace: Pace) -> None:
    grid, files = flood.after.grid, dict(made)
    item = files.pop("item")
    sums, polygons = _write_rasters(flood, files, pace)
    for key in ("polygons", "flatgeobuf"):
        if key in files:
            write_polygons(polygons, files[key])
    del polygons

    # What else is made of the classes is made of the map, which is whole now.
    classes = rows_of_map(files["flood"])
    if "depth" in files and flood.terrain is not None:
        depth = _depth(classes[:], flood.terrain.on(grid)[:])
        write_depth(depth, files["depth"], geobox=grid, tags=flood.tags)
    if "areas" in files:
        table = area_table(sums.of_classes(), classes, grid, flood.zones)
        write_table(table, files["areas"])
    _describe(flood, sums, files, item)


def _write_rasters(
    flood: FloodMap, files: Mapping[str, Path], pace: Pace
) -> tuple[AreaSums, FloodPolygons]:
    """Write map and likelihood strip by strip, and return what was found out on the way."""
    found, grid, tags = flood.found, flood.after.grid, flood.tags
    likelihood = flood_likelihood(found.evidence)
    areas = pixel_areas(grid)
    sums, polygons = AreaSums(areas), PolygonsOfMap(grid)
    height, width = found.shape

    def part(start: int, stop: int) -> tuple[Bytes, Bytes, Bytes]:
        classes, reasons = found.read(start, stop)
        likely = likelihood[start:stop]
        is_flood = classes == FloodClass.FLOOD.value
        shown = np.where(is_flood, likely, found.evidence.after[start:stop])
        return map_bands(classes, reasons), likely, shown

    with ExitStack() as stack:
        writers = [stack.enter_context(cog_writer(
            files["flood"], flood_map_profile(grid, tags), threads=pace.threads
        ))]  # fmt: skip
        if "likelihood" in files:
            writers.append(stack.enter_context(cog_writer(
                files["likelihood"], likelihood_profile(grid, tags), threads=pace.threads
            )))  # fmt: skip
        for start, (bands, likely, shown) in by_strips(
            part, height, rows=pace.rows, threads=pace.threads
        ):
            place = RasterWindow(0, start, width, len(shown))
            for writer, values in zip(writers, (bands, likely[np.newaxis]), strict=False):
                writer.write(values, window=place)
            sums.add(bands[0], bands[1], start)
            under_plants = bands[1] == Reason.UNDER_PLANTS.value
            polygons.add(np.where(under_plants, np.uint8(VEGETATION), bands[0]), shown)
    facts = {
        "event": flood.event,
        "date": tags.get("ACQUISITION_TIME", "")[:10],
        "scene": tags.get("FLOODLOOM_SCENE", ""),
    }
    return sums, polygons.finish(facts)


def _depth(classes: Bytes, elevation: Floats) -> Floats:
    is_flood = classes == FloodClass.FLOOD.value
    wet = is_flood | (classes == FloodClass.PERMANENT.value)
    return flood_depth(wet, is_flood, classes == FloodClass.DRY.value, elevation)


def _describe(flood: FloodMap, sums: AreaSums, files: Mapping[str, Path], item: Path) -> None:
    """Write the item of the files, and log what was found."""
    grid, tags = flood.after.grid, flood.tags
    areas, excluded = sums.of_classes(), sums.of_reasons()
    named = {name: value for name, value in tags.items() if value and name != DATES_BEFORE}
    provenance = {name.lower(): value for name, value in named.items()}
    facts = {"area_ha": areas, "excluded_ha": excluded, "floodloom": provenance}
    if vegetation := sums.of_vegetation():
        facts["flooded_vegetation_ha"] = vegetation
    if flood.found.evidence.dates:
        facts["dates_before"] = list(flood.found.evidence.dates)
    acquired = tags.get("ACQUISITION_TIME")
    described = stac_item(flood.event, grid, acquired, files, facts, sensor=flood.sensor)
    write_item(described, item, flood.collection)
    why = ", ".join(f"{reason} {area:.1f}" for reason, area in excluded.items())
    why = f" ({why})" if why else ""
    under = f" ({vegetation:.1f} under plants)" if vegetation else ""
    get_logger(__name__).info(
        "%s: flood %.1f ha%s, excluded %.1f ha%s",
        flood.event, areas["flood"], under, areas["excluded"], why,
    )  # fmt: skip
