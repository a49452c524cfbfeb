"""The STAC item of a flood map, with the SAR, projection, file and classification extensions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
from odc.geo.geobox import GeoBox
from pystac.extensions.classification import Classification, ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.sar import FrequencyBand, Polarization, SarExtension

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.mapping.areas import crs_name
from floodloom.mapping.extent import footprint, geographic_bounds
from floodloom.mapping.products import CLASS_TEXTS, COLOURS, REASON_TEXTS
from floodloom.texts import brief

_FIRST_SENTINEL1 = datetime(2014, 4, 3, tzinfo=UTC)
_ISO = re.compile(r"[0-9T:.+Z -]{10,40}")
_MICROSECONDS = 26  # characters of a time up to there
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
    if not acquired:
        return None
    if not _ISO.fullmatch(acquired):
        raise ValueError(acquired)
    return datetime.fromisoformat(acquired[:_MICROSECONDS]).replace(tzinfo=UTC)


def _span(acquired: str | None) -> dict[str, str]:
    """What STAC wants instead of a time that isn't known."""
    if acquired:
        return {}
    first, last = (pystac.utils.datetime_to_str(t) for t in (_FIRST_SENTINEL1, datetime.now(UTC)))
    return {"start_datetime": first, "end_datetime": last}
