"""The products of an event and their STAC item, written together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
from odc.geo.geobox import GeoBox
from pydantic import Field
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.sar import FrequencyBand, Polarization, SarExtension
from rasterio.windows import Window as RasterWindow

from floodloom.arrays import Bytes, Floats
from floodloom.dates import read_time
from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.log import get_logger
from floodloom.mapping.delineate import Delineation, flood_likelihood
from floodloom.mapping.depth import flood_depth
from floodloom.mapping.polygons import FloodPolygons, PolygonsOfMap, write_polygons
from floodloom.mapping.products import (
    CLASS_TEXTS,
    COLOURS,
    REASON_TEXTS,
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
from floodloom.raster.areas import crs_name, pixel_areas
from floodloom.raster.cog import cog_writer
from floodloom.raster.polygons import footprint, geographic_bounds
from floodloom.raster.product import FloodClass, companions
from floodloom.raster.rows import by_strips
from floodloom.raster.store import open_store
from floodloom.sentinel1.relief import Elevation
from floodloom.texts import brief

_FIRST_SENTINEL1 = datetime(2014, 4, 3, tzinfo=UTC)
_SHA256 = "1220"  # multihash: sha2-256, 32 bytes
_KINDS = {
    ".tif": pystac.MediaType.COG,
    ".gpkg": pystac.MediaType.GEOPACKAGE,
    ".fgb": pystac.MediaType.FLATGEOBUF,
    ".csv": "text/csv",
}


@dataclass(frozen=True)
class Sensor:
    """Acquisition mode (IW), level of the product (GRD) and polarisations; "" isn't known."""

    mode: str
    product_type: str
    polarisations: tuple[str, ...]


def stac_item(
    name: str,
    geobox: GeoBox,
    acquired: str | None,
    assets: Mapping[str, Path],
    facts: dict[str, Any],
    *,
    sensor: Sensor | None = None,
) -> pystac.Item:
    """Describe a flood map as a STAC item.

    Parameters
    ----------
    name
        Identifier.
    geobox
        Grid of the map; without a CRS the item has no geometry.
    acquired
        Acquisition time, ISO 8601, UTC; unknown, it lies between the launch of Sentinel-1A and now.
    assets
        Files by key; they must be there. `flood` is the flood map.
    facts
        Further properties.
    sensor
        How the scene was taken, for the SAR extension, which wants all of it.
    """
    geometry, bounds = None, None
    if geobox.crs is not None:
        bounds = geographic_bounds(geobox)
        geometry = footprint(bounds)
    bbox = None if bounds is None else list(bounds)
    item = pystac.Item(name, geometry, bbox, _time(acquired), {**facts, **_span(acquired)})
    if geobox.crs is not None:
        ProjectionExtension.ext(item, add_if_missing=True).apply(
            code=crs_name(geobox) if geobox.crs.to_epsg() else None,
            wkt2=None if geobox.crs.to_epsg() else geobox.crs.to_wkt(),
            shape=list(geobox.shape.yx),
            transform=list(geobox.affine)[:6],
        )
    if sensor is not None and sensor.mode and sensor.product_type and sensor.polarisations:
        SarExtension.ext(item, add_if_missing=True).apply(
            sensor.mode,
            FrequencyBand.C,
            [Polarization(band.upper()) for band in sensor.polarisations],
            sensor.product_type,
        )
    for key, path in assets.items():
        _add(item, key, path)
    return item


def _add(item: pystac.Item, key: str, path: Path) -> None:
    item.add_asset(key, pystac.Asset(path.name, media_type=_KINDS[path.suffix], roles=["data"]))
    asset = item.assets[key]
    FileExtension.ext(asset, add_if_missing=True).apply(
        checksum=_SHA256 + _digest(path), size=path.stat().st_size
    )
    if key == "flood":
        ClassificationExtension.ext(asset, add_if_missing=True).apply(classes=_classes())
        asset.extra_fields["bands"] = [
            {"name": "flood class"},
            {"name": "reason of exclusion", "classification:classes": _reasons()},
        ]


def _classes() -> list[Classification]:
    return [
        Classification.create(
            value=value,
            name=text.partition(":")[0].replace(" ", "_"),
            description=text,
            color_hint="".join(f"{part:02X}" for part in COLOURS[value][:3])
            if value in COLOURS
            else None,
        )
        for value, text in CLASS_TEXTS.items()
    ]


def _reasons() -> list[dict[str, Any]]:
    return [
        Classification.create(value=value, name=f"reason_{value}", description=text).to_dict()
        for value, text in REASON_TEXTS.items()
    ]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_item(item: pystac.Item, path: str | Path) -> Path:
    """Write a STAC item beside its assets."""
    return write_json(path, item.to_dict(include_self_link=False, transform_hrefs=False))


def require_described(files: Mapping[str, Path], acquired: str | None, source: str) -> None:
    """Check that an item can state what files are and when they were acquired.

    Parameters
    ----------
    files
        The files by key.
    acquired
        Acquisition time by the tag of a raster, if it has one.
    source
        That raster, for messages.

    Raises
    ------
    InputError
        If the ending of a file is of no kind, or the time can't be read.
    """
    for key, path in files.items():
        if path.suffix not in _KINDS:
            raise InputError(
                f"{path}: {key} must end in one of {', '.join(_KINDS)}; choose another name"
            )
    try:
        _time(acquired)
    except ValueError as error:
        raise InputError(
            f"{source}: its tag ACQUISITION_TIME is {brief(str(acquired))}, but such a time is "
            "like 2023-05-14T16:58:21; correct it, or take the tag away"
        ) from error


def _time(acquired: str | None) -> datetime | None:
    return read_time(acquired).replace(tzinfo=UTC) if acquired else None


def _span(acquired: str | None) -> dict[str, str]:
    """What STAC wants instead of a time that isn't known."""
    if acquired:
        return {}
    first, last = (pystac.utils.datetime_to_str(t) for t in (_FIRST_SENTINEL1, datetime.now(UTC)))
    return {"start_datetime": first, "end_datetime": last}


class FloodProducts(Files):
    """What is written of an event."""

    out: Path = Field(description="Flood map to write: class, and reason of exclusion")
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
            polygons.add(bands[0], shown)
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
    if flood.found.evidence.dates:
        facts["dates_before"] = list(flood.found.evidence.dates)
    acquired = tags.get("ACQUISITION_TIME")
    write_item(stac_item(flood.event, grid, acquired, files, facts, sensor=flood.sensor), item)
    why = ", ".join(f"{reason} {area:.1f}" for reason, area in excluded.items())
    get_logger(__name__).info(
        "%s: flood %.1f ha, excluded %.1f ha%s",
        flood.event, areas["flood"], areas["excluded"], f" ({why})" if why else "",
    )  # fmt: skip
