"""A scene and its map as pictures and outlines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.features import shapes
from shapely.geometry import shape

from floodloom.arrays import Bytes
from floodloom.mapping.exclusion import REASON_NAMES
from floodloom.mapping.sources import DATES_BEFORE
from floodloom.raster.align import onto_grid
from floodloom.raster.areas import crs_name, pixel_areas, pixel_size
from floodloom.raster.grid import geobox_of
from floodloom.raster.product import FloodClass
from floodloom.report.images import (
    Shrunk,
    backdrop_band,
    brightness,
    colour_uri,
    grey_uri,
    stretch_limits,
    to_greys,
)


@dataclass(frozen=True)
class Outline:
    """An SVG path (even-odd) and the number of patches that were too many to be drawn."""

    path: str = ""
    left_out: int = 0


def outline_of(polygons: Iterable[Any], transform: Affine, most_vertices: int) -> Outline:
    """Draw polygons as one path.

    Parameters
    ----------
    polygons
        Shapely polygons in the coordinates of `transform`, largest first.
    transform
        From pixels to those coordinates; the path is in pixels, x to the right, y down.
    most_vertices
        Polygons beyond this many vertices are left out.
    """
    to_pixels = ~transform
    parts: list[str] = []
    vertices = left_out = 0
    for polygon in polygons:
        rings = [ring for part in _parts(polygon) for ring in (part.exterior, *part.interiors)]
        vertices += sum(len(ring.coords) for ring in rings)
        if vertices > most_vertices:
            left_out += 1
            continue
        parts += [_ring(np.asarray(ring.coords)[:, :2], to_pixels) for ring in rings]
    return Outline("".join(parts), left_out)


def outline_of_mask(
    mask: NDArray[np.bool_], transform: Affine, most_vertices: int = 100_000
) -> Outline:
    """Draw the patches of a (y, x) mask; `transform` takes its pixels to those of the path."""
    found = shapes(mask.astype(np.uint8), mask=mask, transform=transform)
    polygons = sorted((shape(part) for part, _ in found), key=lambda p: p.area, reverse=True)
    return outline_of(polygons, Affine.identity(), most_vertices)


def _parts(polygon: Any) -> list[Any]:
    return list(polygon.geoms) if polygon.geom_type.startswith("Multi") else [polygon]


def _ring(coordinates: NDArray[np.float64], to_pixels: Affine) -> str:
    x, y = to_pixels @ (coordinates[:, 0], coordinates[:, 1])
    points = np.rint(np.stack([x, y], axis=-1)).astype(int)[:-1]
    steps = np.diff(points, axis=0)
    return f"M{points[0, 0]} {points[0, 1]}{''.join(_step(dx, dy) for dx, dy in steps)}z"


def _step(right: int, down: int) -> str:
    """One relative step; the edges of pixels need one number, not two."""
    if down == 0:
        return f"h{right}"
    return f"v{down}" if right == 0 else f"l{right} {down}"


LARGEST_IMAGE = 1600
"""Longest side of the images of a page, px."""

_MOST_VERTICES = 250_000
_MINUTES = 16  # characters of a time up to there
_PLACES = 17


@dataclass(frozen=True)
class EventLayers:
    """An event, opened; what isn't there is None.

    `classes` and `reasons` (y, x) uint8 are the flood map and `polygons` its vectors; `percent`
    (y, x) uint8 is the probability of water and `truth` (y, x) uint8 the labels on the same grid;
    `scene` and `before` are scene stores; `predicted` holds the tags of the probability's file,
    `mapped` those of the map's.
    """

    name: str
    geobox: GeoBox
    classes: Bytes
    reasons: Bytes
    polygons: gpd.GeoDataFrame
    percent: Bytes | None = None
    scene: xr.Dataset | None = None
    before: xr.Dataset | None = None
    truth: Bytes | None = None
    predicted: Mapping[str, str] = field(default_factory=dict)
    mapped: Mapping[str, str] = field(default_factory=dict)


def event_view(layers: EventLayers, largest: int = LARGEST_IMAGE) -> dict[str, Any]:
    """Return what a page needs to show an event, ready for JSON.

    Parameters
    ----------
    layers
        The event.
    largest
        Longest side of the images, px; larger rasters are shrunk.

    Returns
    -------
    dict
        name, height, width (px) and extent (px that the images cover); after, before and values as
        PNG data URIs, the red of the values being the class, the green the reason, the blue the
        percent; paths by class in pixels, and leftOut, the number of patches that aren't drawn;
        areas; excluded, the area of each reason; predicted, what the prediction was made with;
        places; crs, affine and pixel (m).
    """
    height, width = layers.classes.shape
    shrunk = Shrunk.to_fit(height, width, largest)
    outlines = _outlines(layers, shrunk)
    return {
        "name": layers.name,
        "height": height,
        "width": width,
        "extent": shrunk.extent,
        **_backdrops(layers, shrunk),
        "values": _values(layers, shrunk),
        "hasLikelihood": layers.percent is not None,
        "paths": {name: outline.path for name, outline in outlines.items()},
        "leftOut": sum(outline.left_out for outline in outlines.values()),
        "areas": class_shares(layers.classes, layers.geobox),
        "excluded": excluded_shares(layers.reasons, layers.geobox),
        "predicted": _predicted(layers.predicted),
        "places": _places(layers.geobox),
        "crs": crs_name(layers.geobox),
        "affine": list(layers.geobox.affine)[:6],
        "pixel": pixel_size(layers.geobox),
    }


def _backdrops(layers: EventLayers, shrunk: Shrunk) -> dict[str, Any]:
    found: dict[str, Any] = {"after": None, "before": None, "band": "", "sensor": ""}
    found["dates"] = {
        "after": _date(layers.scene),
        "before": _date(layers.before),
        "all_before": _dates(layers.mapped.get(DATES_BEFORE, "")),
    }
    if layers.scene is None:
        return found
    after = brightness(layers.scene, shrunk)
    limits = stretch_limits(after)
    if layers.before is not None:
        target = shrunk.grid(layers.geobox)
        found["before"] = grey_uri(before_greys(layers.before, shrunk, target, limits))
    return {
        **found,
        "after": grey_uri(to_greys(after, limits)),
        "band": backdrop_band(layers.scene).upper(),
        "sensor": _sensor(layers.scene),
    }


def before_greys(
    before: xr.Dataset, shrunk: Shrunk, target: GeoBox, limits: tuple[float, float]
) -> Bytes:
    """Return the grey steps (y, x) of a scene before the flood on the shrunk grid of the map."""
    own = Shrunk(before.sizes["y"], before.sizes["x"], shrunk.factor)
    greys = to_greys(brightness(before, own), limits)
    return onto_grid(greys, own.grid(geobox_of(before)), target, 0, "scene before the flood")


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


def _values(layers: EventLayers, shrunk: Shrunk) -> str:
    percent = layers.percent
    if percent is None:
        percent = np.full_like(layers.classes, FloodClass.NODATA.value)
    bands = [shrunk.every(band) for band in (layers.classes, layers.reasons, percent)]
    return colour_uri(np.stack(bands, axis=-1))


def _outlines(layers: EventLayers, shrunk: Shrunk) -> dict[str, Outline]:
    found = {
        level.name.lower(): outline_of(
            layers.polygons.geometry[layers.polygons["class"] == level.value],
            layers.geobox.affine,
            _MOST_VERTICES,
        )
        for level in (FloodClass.PERMANENT, FloodClass.FLOOD, FloodClass.EXCLUDED)
    }
    scale = Affine.scale(shrunk.factor)
    missing = shrunk.every(layers.classes) == FloodClass.NODATA.value
    found["nodata"] = outline_of_mask(missing, scale)
    if layers.truth is not None:
        found["truth"] = outline_of_mask(shrunk.every(layers.truth) == 2, scale)
    return found


def class_shares(classes: Bytes, geobox: GeoBox) -> dict[str, dict[str, float]]:
    """Return the pixels of each class, their share of all, and their hectares with a CRS."""
    names = {level.value: level.name.lower() for level in FloodClass}
    return shares(classes, names, geobox)


def excluded_shares(reasons: Bytes, geobox: GeoBox) -> dict[str, dict[str, float]]:
    """Return the same for each reason that excludes something, by its text."""
    found = shares(reasons, REASON_NAMES, geobox)
    return {reason: share for reason, share in found.items() if share["pixels"]}


def shares(values: Bytes, names: Mapping[int, str], geobox: GeoBox) -> dict[str, dict[str, float]]:
    """Return the pixels of each value, their share of all, and their hectares with a CRS.

    Parameters
    ----------
    values
        (y, x) uint8.
    names
        Name of each value that is wanted.
    geobox
        Grid.
    """
    hectares = pixel_areas(geobox).by_value(values, FloodClass.NODATA.value) / 10_000
    found: dict[str, dict[str, float]] = {}
    for value, name in names.items():
        mask = values == value
        pixels = int(mask.sum())
        entry: dict[str, float] = {"pixels": pixels, "share": round(pixels / values.size, 6)}
        if geobox.crs is not None:
            entry["ha"] = round(float(hectares[value]), 2)
        found[name] = entry
    return found


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
