"""The one way in for files of features: GeoPackage, FlatGeobuf, GeoJSON and shapefiles.

GDAL goes by a file's content, which may be a text that names other files (OGR VRT), or by one that
names an address in its reference system (GeoJSON of 2008); it would read the one and fetch the
other. So the format is recognised by the content first, and GeoJSON isn't given to GDAL at all.

Source: OGC 12-128, GeoPackage, requirement 2; FlatGeobuf, format specification; RFC 7946, GeoJSON,
and its predecessor of 2008 for `crs`; ESRI Shapefile Technical Description.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from floodloom.errors import InputError, library_text
from floodloom.files import regular_file

_SQLITE, _APPLICATIONS = b"SQLite format 3\0", (b"GPKG", b"GP10", b"GP11", b"GP12")
_FLATGEOBUF = (b"fgb\x03fgb\x00", b"fgb\x03fgb\x01")
_LARGEST_HEADER = 1 << 20
_SHAPEFILE = b"\0\0\x27\x0a"
_PARTS_OF_SHAPEFILE = (".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".idm", ".ind")
_LARGEST_JSON = 256 << 20
_BROKEN = (
    OSError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
    DataSourceError, DataLayerError, ShapelyError, CRSError,
)  # fmt: skip
_REMEDY = "give a GeoPackage, FlatGeobuf or GeoJSON"
_WORLD = 4326
_GEOMETRIES = (
    "Polygon", "MultiPolygon", "GeometryCollection",
    "Point", "MultiPoint", "LineString", "MultiLineString",
)  # fmt: skip
_NAMED = re.compile(
    r"(urn:(x-)?ogc:def:crs:)?(?P<authority>EPSG|OGC|ESRI):([\d.]*:)?(?P<code>\w{1,12})",
    re.IGNORECASE,
)


def read_features(path: str | Path, what: str) -> gpd.GeoDataFrame:
    """Read the first layer of a file of features.

    Parameters
    ----------
    path
        GeoPackage, FlatGeobuf or GeoJSON, whatever it is called, or the .shp of a shapefile.
    what
        What it should be, for messages, such as "file of zones".

    Returns
    -------
    GeoDataFrame
        Their columns and geometry.

    Raises
    ------
    InputError
        If it isn't a regular file, is of another format, damaged, without geometry, or names other
        files or addresses.
    """
    file = regular_file(path, what)
    if _is_json(file, path, what):
        return _from_json(file, path, what)
    try:
        features = pyogrio.read_dataframe(file)
    except _BROKEN as error:
        raise _unreadable(path, what, error) from error
    if not isinstance(features, gpd.GeoDataFrame):
        raise InputError(f"{path}: a table without geometry; give a file of polygons")
    return features


def features_info(path: str | Path, what: str) -> dict[str, Any]:
    """Return what is known of the first layer of a GeoPackage or FlatGeobuf, without reading it.

    Raises
    ------
    InputError
        See `read_features`.
    """
    file = regular_file(path, what)
    if _is_json(file, path, what):
        raise InputError(f"{path}: not a readable {what}; give a GeoPackage or FlatGeobuf")
    try:
        found: dict[str, Any] = pyogrio.read_info(file)
    except _BROKEN as error:
        raise _unreadable(path, what, error) from error
    return found


def _unreadable(path: str | Path, what: str, error: Exception) -> InputError:
    reason = library_text(error)
    return InputError(f"{path}: not a readable {what} ({reason}); {_REMEDY}")


def _is_json(file: Path, path: str | Path, what: str) -> bool:
    """Return whether it is GeoJSON or of a format that GDAL reads; refuse all else."""
    try:
        with file.open("rb") as content:
            head = content.read(512)
    except OSError as error:
        raise _unreadable(path, what, error) from error
    if head.startswith(_SQLITE) and head[68:72] in _APPLICATIONS:
        _require_plain_tables(file, path, what)
        return False
    if head.startswith(_FLATGEOBUF):
        # A text in an absurdly long header would be taken for the format of that text.
        if int.from_bytes(head[8:12], "little") > _LARGEST_HEADER:
            raise InputError(f"{path}: not a readable {what} (header too long); {_REMEDY}")
        return False
    if head.startswith(_SHAPEFILE):
        for ending in _PARTS_OF_SHAPEFILE:
            for part in (file.with_suffix(ending), file.with_suffix(ending.upper())):
                if part.is_symlink() or part.exists():
                    regular_file(part, "part of a shapefile", within=file.parent)
        return False
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return True
    raise InputError(f"{path}: a table without geometry, or not a readable {what}; {_REMEDY}")


def _require_plain_tables(file: Path, path: str | Path, what: str) -> None:
    """Refuse tables that SQLite's extensions take from other files."""
    # Tables that extensions make have no page of their own.
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND NOT rootpage"
    try:
        database = sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)
        try:
            virtual = database.execute(query).fetchall()
        finally:
            database.close()
    except (sqlite3.Error, UnicodeError) as error:  # its messages quote the file, in any encoding
        raise _unreadable(path, what, error) from error
    for name, made in virtual:
        if "using rtree" not in " ".join(str(made).lower().split()):
            raise InputError(f"{path}: table {name} lies elsewhere; export a plain one")


def _from_json(file: Path, path: str | Path, what: str) -> gpd.GeoDataFrame:
    size = file.stat().st_size
    if size > _LARGEST_JSON:
        raise InputError(
            f"{path}: GeoJSON of {size / 1e6:.0f} MB, more than {_LARGEST_JSON / 1e6:.0f}; give a "
            "GeoPackage or FlatGeobuf"
        )
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
        features = _features(content)
        crs = _crs(content)
        return gpd.GeoDataFrame.from_features(features, crs=crs)
    except _BROKEN as error:
        raise _unreadable(path, what, error) from error


def _features(content: Any) -> list[dict[str, Any]]:
    """Return the features of a GeoJSON object, each with its geometry and properties."""
    kind = content.get("type")
    if kind == "FeatureCollection":
        found = content["features"]
    elif kind == "Feature":
        found = [content]
    elif kind in _GEOMETRIES:
        found = [{"geometry": content}]
    else:
        raise ValueError("no GeoJSON")
    if not found:
        raise ValueError("no feature inside")
    return [{"geometry": one["geometry"], "properties": _properties(one)} for one in found]


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    stated = feature.get("properties") or {}
    return {str(name): value for name, value in stated.items() if name != "geometry"}


def _crs(content: Any) -> CRS:
    """Return the reference system of a GeoJSON object, by its name alone."""
    stated = content.get("crs")
    if stated is None:
        return CRS.from_epsg(_WORLD)
    name = stated["properties"]["name"] if stated["type"] == "name" else ""
    found = _NAMED.fullmatch(str(name))
    if found is None:
        raise ValueError("its reference system has no name such as EPSG:32633")
    authority, code = found["authority"].upper(), found["code"].upper()
    # GeoPandas always counts longitude first, and others know the system by this code.
    return CRS.from_epsg(_WORLD) if code == "CRS84" else CRS.from_authority(authority, code)
