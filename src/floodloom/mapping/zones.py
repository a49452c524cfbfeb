"""The area of each class, on the whole map and per polygon of a zones file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from exactextract import exact_extract
from exactextract.raster import RasterSource
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.log import get_logger
from floodloom.raster.areas import PixelAreas, pixel_areas
from floodloom.raster.features import read_features
from floodloom.raster.polygons import has_place, is_areal, on_map, repair
from floodloom.raster.product import FloodClass
from floodloom.raster.rows import Rows
from floodloom.texts import cell

WHOLE = "whole map"
"""Name of the map among the zones."""

_NAMED = 20
_MOST = 50_000
_log = get_logger(__name__)

OUTSIDE = "outside"
"""Column of what a zone has beyond the map."""

AREA_COLUMNS = ["zone", *(level.name.lower() for level in FloodClass), OUTSIDE]
"""Columns of a table of areas."""

_WGS84 = Geod(ellps="WGS84")
_BLURRED = 0.005  # of a zone, that lines bend by between reference systems


def area_table(
    whole: Mapping[str, float],
    classes: Rows,
    geobox: GeoBox,
    zones: gpd.GeoDataFrame | None = None,
) -> pd.DataFrame:
    """Return the area of each class.

    Parameters
    ----------
    whole
        Area of each class on the whole map, ha, see `floodloom.mapping.products.AreaSums`.
    classes
        (y, x) uint8, see `FloodClass`.
    geobox
        Grid.
    zones
        Polygons of zones in any CRS, with a column `zone`; pixels on their borders count by the
        share that is covered, and ground that a zone covers twice counts once.

    Returns
    -------
    DataFrame
        `zone`, and one column per class, ha (pixels / 10 000 without a CRS), and `outside`: what a
        zone has beyond the map, of which nothing is known. The first row is the whole map. Zones
        without a geometry or off the map have 0 ha of it in every class.

    Raises
    ------
    InputError
        See `require_placed`.
    """
    first = pd.DataFrame([{"zone": WHOLE, **whole, OUTSIDE: 0.0}])
    if zones is None:
        return first[AREA_COLUMNS]
    require_placed(zones, geobox)
    placed = gpd.GeoDataFrame(geometry=on_map(zones, geobox), crs=geobox.crs.to_wkt())
    _say_which_are_not_on_the_map(zones, placed)
    rows = zones[["zone"]].copy()
    for level in FloodClass:
        source = _Hectares(classes, pixel_areas(geobox), level.value)
        rows[level.name.lower()] = _sums(source, placed, geobox)
    rows[OUTSIDE] = _outside(zones, rows.drop(columns="zone").sum(axis=1).to_numpy())
    table: pd.DataFrame = pd.concat([first, rows], ignore_index=True)
    return table[AREA_COLUMNS]


def require_placed(zones: gpd.GeoDataFrame | None, geobox: GeoBox) -> None:
    """Refuse zones that can't be placed on a map.

    Raises
    ------
    InputError
        If there are zones but the map has no CRS, or the zones have none.
    """
    if zones is not None and (geobox.crs is None or zones.crs is None):
        raise InputError("zones: map and zones both need a CRS; georeference them or leave it out")


class _Hectares(RasterSource):  # type: ignore[misc]
    """Areas of the pixels of a class, (y, x) float32, ha; 0 elsewhere. Rows are counted from 0."""

    def __init__(self, classes: Rows, areas: PixelAreas, value: int) -> None:
        super().__init__()
        self._classes, self._areas, self._value = classes, areas, value

    def res(self) -> tuple[float, float]:
        return 1.0, 1.0

    def extent(self) -> tuple[float, float, float, float]:
        height, width = self._classes.shape
        return 0.0, -float(height), float(width), 0.0

    def nodata_value(self) -> None:
        return None

    def srs_wkt(self) -> None:
        return None

    def read_window(self, x: int, y: int, width: int, height: int) -> NDArray[np.float32]:
        part = self._classes[y : y + height][:, x : x + width]
        hectares = (self._areas.strip(y, y + height)[:, x : x + width] / 10_000).astype(np.float32)
        return np.where(part == self._value, hectares, np.float32(0))


def _say_which_are_not_on_the_map(zones: gpd.GeoDataFrame, placed: gpd.GeoDataFrame) -> None:
    missing = zones.geometry.isna() | zones.geometry.is_empty
    off = placed.geometry.is_empty.to_numpy() & ~missing.to_numpy()
    for which, what in (
        (missing.to_numpy(), "without a geometry"),
        (off, "without ground on the map"),
    ):
        if which.any():
            names = list(zones["zone"][which])
            shown = ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])
            _log.warning("zones %s: %s; their areas are 0", what, shown)


def _sums(source: RasterSource, placed: gpd.GeoDataFrame, geobox: GeoBox) -> NDArray[np.float64]:
    """Sum over each polygon, pixels by the share that is covered."""
    sums = np.zeros(len(placed))
    known = ~placed.geometry.is_empty.to_numpy()
    if known.any():
        pixels = placed[known].affine_transform(_to_pixels(geobox))
        found = exact_extract(source, gpd.GeoDataFrame(geometry=pixels), "sum", output="pandas")
        sums[known] = found["sum"].fillna(0.0).to_numpy()
    return sums.round(4)


def _outside(zones: gpd.GeoDataFrame, inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """What zones have beyond the map, ha; `inside` is what they have of it."""
    whole = np.array([_on_ground(shape) for shape in zones.geometry.to_crs("EPSG:4326")])
    beyond = whole - inside
    return np.where(beyond > _BLURRED * whole, beyond, 0.0).round(4)


def _on_ground(shape: BaseGeometry | None) -> float:
    """The area of a polygon in degrees, ha; NaN where it can't be placed there."""
    if shape is None or not has_place(shape):
        return float("nan")
    ground = shapely.orient_polygons(repair(shape))
    return abs(float(_WGS84.geometry_area_perimeter(ground)[0])) / 10_000


def _to_pixels(geobox: GeoBox) -> list[float]:
    """Affine transformation from the map to columns, and rows counted down from 0."""
    inverse = Affine.scale(1, -1) @ ~geobox.affine
    return [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f]


def read_zones(path: str | Path) -> gpd.GeoDataFrame:
    """Read a file of polygons; `zone` is their column `name`, else their number from 1.

    Raises
    ------
    InputError
        If the file can't be read, has too many zones or no geometry, or holds points, lines, or
        corners that aren't numbers.
    """
    zones = read_features(path, "file of zones")
    if len(zones) > _MOST:
        raise InputError(
            f"{path}: {len(zones):,} zones, more than {_MOST:,}; part them into several files"
        )
    zones = zones.assign(zone=_names(zones))
    for name, geometry in zip(zones["zone"], zones.geometry, strict=True):
        if not is_areal(geometry):
            raise InputError(
                f"{path}: zone {name} is a {geometry.geom_type}; give polygons, for example buffers"
            )
        if not has_place(geometry):
            raise InputError(f"{path}: zone {name} has a corner that isn't a number; draw it anew")
    return zones


def _names(zones: gpd.GeoDataFrame) -> list[str]:
    numbers = [str(number) for number in range(1, len(zones) + 1)]
    column = next((c for c in zones.columns if str(c).lower() == "name"), None)
    if column is None:
        return numbers
    given = zones[column]
    return [
        n if pd.isna(v) or not str(v).strip() else str(v)
        for v, n in zip(given, numbers, strict=True)
    ]


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as CSV, whole or not at all; no text in it is a formula to a spreadsheet.

    What its columns are lies beside it (.csvt): GDAL and QGIS take all for texts without.
    """
    texts = table.select_dtypes(exclude="number")
    safe = table.assign(**{str(name): texts[name].map(cell) for name in texts})
    with atomic_path(path) as temporary:
        safe.to_csv(temporary, index=False)
    kinds = ['"String"' if name in texts else '"Real"' for name in table]
    with atomic_path(Path(path).with_suffix(".csvt")) as temporary:
        temporary.write_text(",".join(kinds) + "\n", encoding="utf-8")
    return Path(path)
