"""The STAC item of a flood map: where and when it is, how it was made, and its files."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pystac
import rasterio
from odc.geo.geobox import GeoBox
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import DataType, NoDataStrings, RasterBand, RasterExtension, Sampling
from pystac.extensions.sar import FrequencyBand, Polarization, SarExtension

from floodloom import __version__
from floodloom.dates import read_date
from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.mapping.products import CLASS_TEXTS, COLOURS, REASON_TEXTS
from floodloom.mapping.settings import event_of
from floodloom.names import as_name
from floodloom.raster.areas import crs_name
from floodloom.raster.opener import quiet_about_georeference
from floodloom.raster.polygons import footprint, geographic_bounds
from floodloom.raster.product import FloodClass
from floodloom.texts import brief

_FIRST_SENTINEL1 = datetime(2014, 4, 3, tzinfo=UTC)
_LAST_SECOND = time(23, 59, 59)
_SHA256 = "1220"  # multihash: sha2-256, 32 bytes
_PROCESSING = "https://stac-extensions.github.io/processing/v1.1.0/schema.json"
_LEVEL = "L4"  # what analyses make of measurements
_LINEAGE = (
    "Water of radar backscatter by floodloom; flood is water that is neither permanent nor old"
)
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
        Acquisition time or day, ISO 8601, UTC; of a day the item has begin and end, and unknown, it
        lies between the launch of Sentinel-1A and now.
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
    item.stac_extensions.append(_PROCESSING)
    item.properties["processing:level"] = _LEVEL
    item.properties["processing:lineage"] = _LINEAGE
    item.properties["processing:software"] = {"floodloom": __version__}
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
    if path.suffix == ".tif":
        named = (CLASS_TEXTS, REASON_TEXTS) if key == "flood" else ()
        bands = _bands(path, named)
        RasterExtension.ext(asset, add_if_missing=True).apply(bands)
        with quiet_about_georeference(), rasterio.open(path) as raster:
            if all(raster.descriptions):
                asset.extra_fields["bands"] = [{"name": text} for text in raster.descriptions]
    if key == "flood":
        ClassificationExtension.ext(asset, add_if_missing=True).apply(
            classes=_classes(CLASS_TEXTS, COLOURS)
        )


def _bands(path: Path, named: Sequence[Mapping[int, str]]) -> list[RasterBand]:
    """Describe the bands of a raster: its numbers, and what those of classes mean."""
    bands = []
    with quiet_about_georeference(), rasterio.open(path) as raster:
        resolution = None
        if raster.crs is not None and raster.crs.is_projected:
            resolution = math.sqrt(math.prod(raster.res)) * raster.crs.linear_units_factor[1]
        for dtype, nodata, unit in zip(raster.dtypes, raster.nodatavals, raster.units, strict=True):
            unknown = NoDataStrings.NAN if nodata is not None and math.isnan(nodata) else nodata
            bands.append(RasterBand.create(
                data_type=DataType(dtype), nodata=unknown, unit=unit or None,
                sampling=Sampling.AREA, spatial_resolution=resolution,
            ))  # fmt: skip
    for band, meanings, colours in zip(bands, named, (COLOURS, {}), strict=False):
        classes = [one.to_dict() for one in _classes(meanings, colours)]
        band.properties["classification:classes"] = classes
    return bands


def _classes(
    meanings: Mapping[int, str], colours: Mapping[int, tuple[int, int, int, int]]
) -> list[Classification]:
    return [
        Classification.create(
            value=value,
            name=re.sub(r"\W+", "_", text.partition(":")[0]),
            description=text,
            color_hint="{:02X}{:02X}{:02X}".format(*colours[value]) if value in colours else None,
            nodata=True if value == FloodClass.NODATA.value else None,
        )
        for value, text in meanings.items()
    ]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_item(item: pystac.Item, path: str | Path, collection: Mapping[str, str] = {}) -> Path:
    """Write a STAC item beside its assets.

    Parameters
    ----------
    item
        The item.
    path
        Where it goes.
    collection
        Of the collection that it belongs to, see `collection_link`.
    """
    content = item.to_dict(include_self_link=False, transform_hrefs=False)
    if collection:
        content["collection"] = collection["id"]
        content["links"] = [
            {"rel": rel, "href": collection["href"], "type": str(pystac.MediaType.JSON)}
            for rel in ("root", "parent", "collection")
        ]
    return write_json(path, content)


def collection_id(path: Path) -> str:
    """Return the identifier of a collection of maps by its place: the name of its folder."""
    return as_name(event_of(path))


def collection_link(path: Path, item: Path) -> dict[str, str]:
    """Return identifier and relative address of a collection, as an item of it states them.

    Parameters
    ----------
    path
        Of the collection, which may be yet to come.
    item
        Place of the item.
    """
    way = os.path.relpath(path.resolve(), item.resolve().parent)
    return {"id": collection_id(path), "href": quote(Path(way).as_posix())}


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
        _when(acquired)
    except ValueError as error:
        raise InputError(
            f"{source}: its tag ACQUISITION_TIME is {brief(str(acquired))}, but such a time is "
            "like 2023-05-14T16:58:21 or 2023-05-14; correct it, or take the tag away"
        ) from error


def _time(acquired: str | None) -> datetime | None:
    """The time, None where no more than the day is known."""
    when = _when(acquired)
    return when.replace(tzinfo=UTC) if isinstance(when, datetime) else None


def _when(acquired: str | None) -> date | None:
    return read_date(acquired) if acquired else None


def _span(acquired: str | None) -> dict[str, str]:
    """What STAC wants instead of a time that isn't known."""
    first, last = _FIRST_SENTINEL1, datetime.now(UTC)
    day = _when(acquired)
    if isinstance(day, datetime):
        return {}
    if day is not None:
        first, last = (datetime.combine(day, end, UTC) for end in (time.min, _LAST_SECOND))
    start, end = map(pystac.utils.datetime_to_str, (first, last))
    return {"start_datetime": start, "end_datetime": end}
