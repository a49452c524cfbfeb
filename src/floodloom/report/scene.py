"""A scene and its map, as a page shows them."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from floodloom.arrays import Bytes
from floodloom.kernels import jit
from floodloom.mapping.exclusion import REASON_NAMES, UNDER_PLANTS
from floodloom.mapping.sources import DATES_BEFORE, rows_of
from floodloom.raster.areas import crs_name, pixel_areas, pixel_size
from floodloom.raster.grid import geobox_of
from floodloom.raster.placing import rows_onto_grid
from floodloom.raster.product import FloodClass
from floodloom.raster.rows import Rows, by_strips
from floodloom.report.images import (
    GREYS,
    backdrop_band,
    is_display,
    map_picture,
    webp,
)
from floodloom.report.layers import (
    backdrop_pyramid,
    contrast,
    percent_pyramid,
    values_pyramid,
)
from floodloom.report.pyramid import Pyramid, as_json, finest_factor, fit

MOST_BYTES = 13_900_000
"""Bytes of the tiles of a page: what is left of 15 MB beside its texts and small images."""

MOST_PIXELS = 40e6
"""Pixels of the finest level of a layer."""

_WEIGHTS = {"values": 0.25, "after": 0.5, "before": 0.7, "percent": 4.0}
_CLASS_NAMES = {level.value: level.name.lower() for level in FloodClass}
_LARGEST = 255  # value of a byte
_SURE, _DOUBTFUL = 90, 70  # percent
_PICTURE = 75  # quality
_MINUTES = 16  # characters of a time up to there
_PLACES = 17


@dataclass(frozen=True)
class EventLayers:
    """An event, opened; what isn't there is None.

    `classes` and `reasons` (y, x) uint8 are the flood map; `percent` (y, x) uint8 is the
    probability of water and `truth` (y, x) uint8 the labels on the same grid; `scene` and `before`
    are scene stores; `predicted` holds the tags of the probability's file, `mapped` those of the
    map's; `products` are the files of the map and `zones` the rows of its table of areas.
    """

    name: str
    geobox: GeoBox
    classes: Rows
    reasons: Rows
    percent: Rows | None = None
    scene: xr.Dataset | None = None
    before: xr.Dataset | None = None
    truth: Rows | None = None
    predicted: Mapping[str, str] = field(default_factory=dict)
    mapped: Mapping[str, str] = field(default_factory=dict)
    products: Sequence[Mapping[str, Any]] = ()
    zones: Sequence[Mapping[str, Any]] = ()


def event_view(
    layers: EventLayers, most_bytes: int = MOST_BYTES, *, events: int = 1, threads: int = 1
) -> dict[str, Any]:
    """Return what a page needs to show an event, ready for JSON.

    Parameters
    ----------
    layers
        The event.
    most_bytes
        Bytes that the tiles of all events of a page may have; finer levels are left out.
    events
        Number of events of the page, which share the bytes.
    threads
        CPU threads.

    Returns
    -------
    dict
        name, height, width (px); layers, the levels of each, see `floodloom.report.layers`;
        pictures, small images of after, before and map as data URIs; likely, shares of the flood
        by its likelihood; hasTruth; compared, whether it was with a scene from before; areas;
        excluded, the area of each reason; vegetation, that of flood under plants, if there is any;
        predicted, what the prediction was made with; places; crs and pixel (m); products and zones.
    """
    height, width = layers.classes.shape
    sums = ValueSums(layers.geobox), ValueSums(layers.geobox)
    found = _pyramids(layers, sums, events, threads)
    shown = fit(found, _WEIGHTS, most_bytes // events)
    return {
        "name": layers.name,
        "height": height,
        "width": width,
        "layers": {name: as_json(levels) for name, levels in shown.items()},
        "pictures": _pictures(found),
        "likely": _likely(found),
        "hasTruth": layers.truth is not None,
        "dates": {
            "after": _date(layers.scene),
            "before": _date(layers.before),
            "all_before": _dates(layers.mapped.get(DATES_BEFORE, "")),
        },
        "compared": layers.before is not None or bool(layers.mapped.get(DATES_BEFORE)),
        "band": "" if layers.scene is None else backdrop_band(layers.scene).upper(),
        "sensor": "" if layers.scene is None else _sensor(layers.scene),
        "areas": sums[0].named(_CLASS_NAMES),
        "excluded": _some(sums[1].named(REASON_NAMES)),
        "vegetation": next(iter(_some(sums[1].named(UNDER_PLANTS)).values()), None),
        "predicted": _predicted(layers.predicted),
        "places": _places(layers.geobox),
        "crs": crs_name(layers.geobox),
        "pixel": pixel_size(layers.geobox),
        "products": list(layers.products),
        "zones": list(layers.zones),
    }


def _pyramids(
    layers: EventLayers, sums: tuple[ValueSums, ValueSums], events: int, threads: int
) -> dict[str, Pyramid]:
    height, width = layers.classes.shape
    factor = finest_factor(height, width, MOST_PIXELS / events)

    def seen(classes: Bytes, reasons: Bytes, start: int) -> None:
        for counted, values in zip(sums, (classes, reasons), strict=True):
            counted.add(values, start)

    found = {
        "values": values_pyramid(
            layers.classes, layers.reasons, layers.truth, factor, threads, seen
        )
    }
    if layers.percent is not None:
        found["percent"] = percent_pyramid(layers.percent, factor, threads)
    if layers.scene is None:
        return found
    display = is_display(layers.scene)
    shown = {"after": _brightness(layers.scene, layers.geobox, "scene after the flood")}
    if layers.before is not None:
        shown["before"] = _brightness(layers.before, layers.geobox, "scene before the flood")
    limits = contrast(shown["after"], factor, display=display)
    for name, rows in shown.items():
        found[name] = backdrop_pyramid(
            rows, limits, factor, threads, display=display, events=events
        )
    return found


def _brightness(scene: xr.Dataset, geobox: GeoBox, name: str) -> Rows:
    rows = rows_of(scene[backdrop_band(scene)])
    return rows_onto_grid(rows, geobox_of(scene), geobox, np.nan, name)


def _pictures(found: Mapping[str, Pyramid]) -> dict[str, str | None]:
    classes = found["values"].overview[..., 0]
    dry = np.zeros_like(classes)
    greys = found["after"].overview if "after" in found else np.full_like(classes, GREYS)
    pictures = {
        name: _uri(map_picture(found[name].overview, dry)) if name in found else None
        for name in ("after", "before")
    }
    return {**pictures, "map": _uri(map_picture(greys, classes))}


def _uri(image: Bytes) -> str:
    return "data:image/webp;base64," + b64encode(webp(image, quality=_PICTURE)).decode()


def _likely(found: Mapping[str, Pyramid]) -> dict[str, float] | None:
    """Shares of the flood by its likelihood of water: from 90 % on, from 70, and below.

    They are those of the level that is kept, whose pixels are spread evenly over the map.
    """
    if "percent" not in found:
        return None
    flood = found["values"].overview[..., 0] == FloodClass.FLOOD.value
    percent = found["percent"].overview[flood]
    if not percent.size:
        return None
    high, low = float((percent >= _SURE).mean()), float((percent < _DOUBTFUL).mean())
    return {"high": high, "middle": 1 - high - low, "low": low}


def _date(scene: xr.Dataset | None) -> str:
    if scene is None:
        return ""
    return str(scene.attrs.get("acquisition_time", ""))[:_MINUTES].replace("T", " ")


def _dates(tag: str) -> str:
    """Return how many dates before the flood were looked at, and which; "" of one."""
    dates = [date[:_MINUTES].replace("T", " ") for date in tag.split(", ") if date]
    return f"{len(dates)} dates: {', '.join(dates)}" if dates else ""


def _sensor(scene: xr.Dataset) -> str:
    orbit = scene.attrs.get("relative_orbit")
    parts = (
        scene.attrs.get("title"),
        scene.attrs.get("orbit_direction"),
        None if orbit is None else f"orbit {orbit}",
    )
    return ", ".join(str(part) for part in parts if part)


class ValueSums:
    """Pixels and area of each value of a raster, summed up by strips.

    Parameters
    ----------
    geobox
        Its grid.
    """

    def __init__(self, geobox: GeoBox) -> None:
        self._areas, self._placed = pixel_areas(geobox), geobox.crs is not None
        self._pixels, self._sums = np.zeros((2, _LARGEST + 1), dtype=np.int64)
        self._all = math.prod(geobox.shape)

    def add(self, values: Bytes, start: int) -> None:
        """Add rows from one on, (row, x) uint8."""
        counted = np.zeros_like(self._pixels)
        _count(values, counted)
        self._pixels += counted  # at once, since other threads add theirs
        self._sums += self._areas.whole_sums(values, _LARGEST, start)

    def named(self, names: Mapping[int, str]) -> dict[str, dict[str, float]]:
        """Return the pixels of values by their names, their share of all, and hectares with a CRS.

        Parameters
        ----------
        names
            Name of each value that is wanted.
        """
        hectares = self._sums / self._areas.scale / 10_000
        found: dict[str, dict[str, float]] = {}
        for value, name in names.items():
            pixels = int(self._pixels[value])
            found[name] = {"pixels": pixels, "share": round(pixels / self._all, 6)}
            if self._placed:
                found[name]["ha"] = round(float(hectares[value]), 2)
        return found


@jit()
def _count(values, pixels):  # type: ignore[no-untyped-def]
    for row in range(values.shape[0]):
        for col in range(values.shape[1]):
            pixels[values[row, col]] += 1


def class_shares(classes: Rows, geobox: GeoBox) -> dict[str, dict[str, float]]:
    """Return the pixels, share and hectares of each class of a map; see `ValueSums`."""
    return shares(classes, _CLASS_NAMES, geobox)


def shares(values: Rows, names: Mapping[int, str], geobox: GeoBox) -> dict[str, dict[str, float]]:
    """Return pixels, share and hectares of the values of a raster, (y, x) uint8, by their names."""
    sums = ValueSums(geobox)
    for start, part in by_strips(lambda a, b: values[a:b], values.shape[0]):
        sums.add(part, start)
    return sums.named(names)


def _some(areas: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: area for name, area in areas.items() if area["pixels"]}


def _predicted(tags: Mapping[str, str]) -> dict[str, str]:
    """How the probability was made, "" where its file doesn't state it."""
    names = {
        "checkpoints": "FLOODLOOM_CHECKPOINT",
        "backend": "FLOODLOOM_BACKEND",
        "precision": "FLOODLOOM_PRECISION",
        "seams": "FLOODLOOM_SEAM_RATIO",
        "optical": "FLOODLOOM_OPTICAL",
        "shown": "FLOODLOOM_OPTICAL_CLEAR",
        "refused": "FLOODLOOM_OPTICAL_REFUSED",
    }
    return {name: tags.get(tag, "") for name, tag in names.items()}


def _places(geobox: GeoBox) -> dict[str, Any] | None:
    """Longitude and latitude (degrees) on a lattice of places over the grid, row by row."""
    if geobox.crs is None:
        return None
    height, width = geobox.shape.yx
    cols, rows = np.meshgrid(np.linspace(0, width, _PLACES), np.linspace(0, height, _PLACES))
    to_degrees = Transformer.from_crs(geobox.crs.to_wkt(), "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(*(geobox.affine @ (cols, rows)))
    return {
        "side": _PLACES,
        "longitude": np.round(longitude, 6).ravel().tolist(),
        "latitude": np.round(latitude, 6).ravel().tolist(),
    }
