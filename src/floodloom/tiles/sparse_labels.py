"""Sparse labels: points, lines and polygons, each with its class.

Unlike outlines of a flood (`floodloom.tiles.outlines`), they say nothing of the ground beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.features import rasterize
from shapely import GeometryType
from shapely.geometry.base import BaseGeometry

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.log import get_logger
from floodloom.raster.features import read_features
from floodloom.raster.grid import transformer
from floodloom.raster.polygons import Coordinates, has_place, on_map
from floodloom.texts import brief
from floodloom.tiles.label_files import CLASSES, REMEDY, files_of_classes

CLASS, WIDTH = "class", "width_px"
"""Columns of a file of sparse labels: the class of each, and how wide a point or a line is, px."""

_WHAT = "file of sparse labels"
_THIN = (GeometryType.POINT, GeometryType.LINESTRING, GeometryType.LINEARRING)
_AREAL = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON, GeometryType.GEOMETRYCOLLECTION)
_WIDEST = 1000.0
_TURN = 360.0
_log = get_logger(__name__)


def names_classes(path: Path) -> bool:
    """Whether a file of features has the column `class`."""
    return _column(read_features(path, _WHAT), CLASS) is not None


def burn_sparse_labels(path: str | Path, geobox: GeoBox) -> NDArray[np.uint8]:
    """Return labels on a grid from features in any reference system.

    A polygon labels the pixels whose centres lie in it, a line those whose centres are no farther
    from it than half its width, a point the pixel that it lies in and those whose centres are no
    farther from that one's than half its width. Widths are 1 px where the column
    `width_px` has none.

    Parameters
    ----------
    path
        GeoPackage, FlatGeobuf, GeoJSON or shapefile whose column `class` holds the class of each
        feature; or a folder of such files, each named after the class of all that is in it:
        `dry`, `permanent_water`, `flood`, or `water`, which is taken for flood.
    geobox
        Grid of the scene, with a CRS.

    Returns
    -------
    ndarray
        (y, x) uint8: 0 dry, 1 permanent water, 2 flood, 255 unknown: wherever no feature is,
        and where features of two classes are.

    Raises
    ------
    InputError
        If a file can't be read or has no CRS, the grid has none, or a class or width is none.
    """
    shape: tuple[int, int] = geobox.shape.yx
    label = np.full(shape, IGNORE, dtype=np.uint8)
    contradicted = np.zeros(shape, dtype=np.bool_)
    for value, shapes in sorted(_shapes(Path(path), geobox).items()):
        if not shapes:
            continue
        burnt: NDArray[np.uint8] = rasterize(shapes, shape, dtype="uint8")
        covered = burnt.astype(np.bool_)
        contradicted |= covered & (label != IGNORE)
        label[covered] = value
    label[contradicted] = IGNORE
    if contradicted.any():
        _log.warning(
            "%s: %d px are labelled as two classes; taken as unknown", path, contradicted.sum()
        )
    if (label == IGNORE).all():
        _log.warning("%s: no feature lies on this scene", path)
    return label


def _shapes(path: Path, geobox: GeoBox) -> dict[int, list[BaseGeometry]]:
    """Return what to burn of each class, in pixels."""
    found: dict[int, list[BaseGeometry]] = {}
    if path.is_dir():
        for value, file in files_of_classes(path):
            features = _read(file, geobox)
            found.setdefault(value, []).extend(_in_pixels(features, geobox, file))
        return found
    features = _read(path, geobox)
    column = _column(features, CLASS)
    if column is None:
        raise InputError(
            f"{path}: no column `{CLASS}` says what a feature shows; {REMEDY}. Outlines of a flood "
            "with dry ground around it need the area that was looked at, see docs/datasets.md"
        )
    values = np.array([_class(value, path) for value in features[column]], dtype=int)
    for value in np.unique(values).tolist():
        found[value] = _in_pixels(features[values == value], geobox, path)
    return found


def _read(path: Path, geobox: GeoBox) -> gpd.GeoDataFrame:
    features = read_features(path, _WHAT)
    if geobox.crs is None or features.crs is None:
        raise InputError(
            f"{path}: features and scene both need a CRS; georeference them (the .prj of a "
            "shapefile), or give a label raster of the scene's size"
        )
    return features


def _column(features: gpd.GeoDataFrame, name: str) -> str | None:
    """Return a column whatever its case: shapefiles are written in capitals by some."""
    return next((str(column) for column in features.columns if str(column).lower() == name), None)


def _class(value: Any, path: Path) -> int:
    name = str(value).strip().lower().replace(" ", "_")
    if name in CLASSES:
        return CLASSES[name]
    try:
        number = float(name)
    except ValueError:
        number = float("nan")
    if number not in CLASSES.values():
        raise InputError(
            f"{path}: column `{CLASS}` holds {brief(value)}, which is no class; {REMEDY}"
        )
    return int(number)


def _in_pixels(features: gpd.GeoDataFrame, geobox: GeoBox, path: Path) -> list[BaseGeometry]:
    """Return features as polygons in pixels from the upper left corner of a grid."""
    to_pixels = ~geobox.affine

    def of_map(places: Coordinates) -> Coordinates:
        return np.stack(to_pixels @ (places[:, 0], places[:, 1]), axis=1)

    areal = features[np.isin(shapely.get_type_id(features.geometry.values), _AREAL)]
    if not all(map(has_place, areal.geometry)):
        raise InputError(f"{path}: a polygon has a corner that isn't a number; draw it anew")
    areas = shapely.transform(np.array(on_map(areal, geobox), dtype=object), of_map)
    parts, of_feature = shapely.get_parts(features.geometry.values, return_index=True)
    parts, of_part = shapely.get_parts(shapely.force_2d(parts), return_index=True)
    thin = np.isin(shapely.get_type_id(parts), _THIN) & ~shapely.is_empty(parts)
    widths = np.asarray(_widths(features, path))[of_feature[of_part]][thin]
    place = _placing(features, geobox)
    placed = shapely.transform(parts[thin], lambda places: of_map(place(places)))
    near = np.isfinite(shapely.bounds(placed)).all(axis=1)  # not on the other side of the world
    placed, widths = placed[near], widths[near]
    is_point = shapely.get_type_id(placed) == GeometryType.POINT
    placed[is_point] = shapely.transform(placed[is_point], lambda places: np.floor(places) + 0.5)
    found = [*areas, *shapely.buffer(placed, widths / 2)]
    return [area for area in found if not area.is_empty]


def _placing(features: gpd.GeoDataFrame, geobox: GeoBox) -> Callable[[Coordinates], Coordinates]:
    """Return the function from places of features, (n, 2), to those on the map."""
    target = CRS.from_wkt(geobox.crs.to_wkt())
    to_map = transformer(CRS.from_user_input(features.crs).to_wkt(), target.to_wkt())
    middle = (geobox.affine @ (geobox.shape.x / 2, geobox.shape.y / 2))[0]

    def place(places: Coordinates) -> Coordinates:
        x, y = to_map.transform(places[:, 0], places[:, 1])
        if target.is_geographic:
            x = middle + (np.asarray(x) - middle + _TURN / 2) % _TURN - _TURN / 2
        return np.stack([x, y], axis=1)

    return place


def _widths(features: gpd.GeoDataFrame, path: Path) -> list[float]:
    column = _column(features, WIDTH)
    if column is None:
        return [1.0] * len(features)
    widths = []
    for value in features[column].fillna(1.0):
        try:
            width = float(value)
        except (TypeError, ValueError):
            width = float("nan")
        if not 1 <= width <= _WIDEST:
            raise InputError(
                f"{path}: column `{WIDTH}` holds {brief(value)}; give 1 to {_WIDEST:g} px, or take "
                "the column away"
            )
        widths.append(width)
    return widths
