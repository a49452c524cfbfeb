"""The files of a flood map: raster with colours, STAC item."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pystac.extensions.projection import ProjectionExtension
from shapely.geometry import box, mapping

from floodloom.files import write_json
from floodloom.mapping.areas import area_of, crs_name, row_areas
from floodloom.mapping.delineate import FloodClass
from floodloom.raster.store import write_cog

COLOURS = {
    FloodClass.DRY.value: (0, 0, 0, 0),
    FloodClass.PERMANENT.value: (31, 78, 121, 255),
    FloodClass.FLOOD.value: (230, 85, 13, 255),
    FloodClass.EXCLUDED.value: (120, 120, 120, 255),
}
"""Colours of the classes, RGBA; told apart under colour blindness."""

_FIRST_SENTINEL1 = datetime(2014, 4, 3, tzinfo=UTC)


def write_flood_map(
    classes: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    path: str | Path,
    *,
    geobox: GeoBox,
    tags: Mapping[str, str],
) -> Path:
    """Write a flood map: classes in band 1, reasons of exclusion in band 2."""
    return write_cog(
        np.stack([classes, reasons]),
        path,
        geobox=geobox,
        nodata=FloodClass.NODATA.value,
        descriptions=("flood class", "reason of exclusion"),
        colormap=COLOURS,
        tags={"FLOODLOOM_PRODUCT": "flood_map", **tags},
    )


def class_areas(classes: NDArray[np.uint8], geobox: GeoBox) -> dict[str, float]:
    """Return the area of each class, ha; pixels / 10 000 without a CRS."""
    rows = row_areas(geobox)
    return {
        level.name.lower(): round(area_of(classes == level.value, rows) / 10_000, 4)
        for level in FloodClass
    }


def stac_item(
    name: str,
    geobox: GeoBox,
    acquired: str | None,
    assets: Mapping[str, Path],
    facts: dict[str, Any],
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
        Files by key.
    facts
        Further properties.
    """
    geometry, bounds = None, None
    if geobox.crs is not None:
        extent = geobox.geographic_extent.boundingbox
        geometry, bounds = mapping(box(*extent.bbox)), list(extent.bbox)
        facts = {
            **facts,
            "proj:code": crs_name(geobox),
            "proj:shape": list(geobox.shape.yx),
            "proj:transform": list(geobox.affine)[:6],
        }
    item = pystac.Item(name, geometry, bounds, _time(acquired), {**facts, **_span(acquired)})
    if geobox.crs is not None:
        item.stac_extensions.append(ProjectionExtension.get_schema_uri())
    kinds = {".tif": pystac.MediaType.COG, ".gpkg": pystac.MediaType.GEOPACKAGE}
    for key, path in assets.items():
        item.add_asset(key, pystac.Asset(path.name, media_type=kinds[path.suffix], roles=["data"]))
    return item


def write_item(item: pystac.Item, path: str | Path) -> Path:
    """Write a STAC item beside its assets."""
    return write_json(path, item.to_dict(include_self_link=False, transform_hrefs=False))


def _time(acquired: str | None) -> datetime | None:
    return datetime.fromisoformat(acquired[:26]).replace(tzinfo=UTC) if acquired else None


def _span(acquired: str | None) -> dict[str, str]:
    """What STAC wants instead of a time that isn't known."""
    if acquired:
        return {}
    first, last = (pystac.utils.datetime_to_str(t) for t in (_FIRST_SENTINEL1, datetime.now(UTC)))
    return {"start_datetime": first, "end_datetime": last}
