"""Files of features are read as GDAL reads them, but never what they name."""

import json
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import box

from floodloom.errors import InputError
from floodloom.mapping.zones import area_table, read_zones
from floodloom.raster.features import features_info, read_features
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.product import FloodClass

ZONES = gpd.GeoDataFrame(
    {"name": ["dike", "Ω, \\n"], "people": [3, None]},
    geometry=[box(14.0, 45.0, 14.1, 45.2), box(14.2, 45.0, 14.3, 45.2)],
    crs=4326,
)
FORMATS = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "geojson": "GeoJSON", "shp": "ESRI Shapefile"}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("epsg", [4326, 32633])
def test_every_format_gives_what_gdal_gives(tmp_path, ending, epsg) -> None:
    path = tmp_path / f"z.{ending}"
    ZONES.to_crs(epsg).to_file(path, driver=FORMATS[ending])
    found, expected = read_features(path, "file of zones"), gpd.read_file(path)
    assert list(found["name"]) == list(expected["name"])
    assert list(found.geometry.to_wkb()) == list(expected.geometry.to_wkb())
    assert found.crs == expected.crs
    (tmp_path / "elsewhere").mkdir()
    if ending != "shp":  # whose other parts lie beside it
        moved = path.rename(tmp_path / "elsewhere" / "x.tif")
        assert list(read_features(moved, "file of zones")["name"]) == list(expected["name"])


def ogr_vrt(secret: Path) -> str:
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="{secret.stem}"><SrcDataSource>{secret}'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )


@pytest.mark.parametrize("before", ["", "  \n", "fgb\x03fgb\x01AAAA", "fgb\x03fgb\x00AAAA"])
@pytest.mark.parametrize("ending", ["gpkg", "fgb", "geojson"])
def test_texts_that_name_other_files_are_refused(tmp_path, before, ending) -> None:
    """Also in the header of another format, where GDAL would find them."""
    secret = tmp_path / "secret.gpkg"
    ZONES.to_file(secret)
    path = tmp_path / f"z.{ending}"
    path.write_text(before + ogr_vrt(secret))
    for read in (read_features, features_info):
        with pytest.raises(InputError, match=r"z\.\w+: .*give a GeoPackage, FlatGeobuf or GeoJSON"):
            read(path, "file of zones")


@pytest.mark.parametrize("kind", ["link", "url", "LINK", "name"])
def test_a_reference_system_elsewhere_is_not_fetched(tmp_path, address, kind) -> None:
    url, asked = address
    content = json.loads(ZONES.to_json())
    place = {"href": f"{url}/crs", "url": f"{url}/crs", "name": f"{url}/crs"}
    content["crs"] = {"type": kind, "properties": place}
    path = tmp_path / "z.geojson"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"z\.geojson: .*reference system has no name"):
        read_features(path, "file of zones")
    assert not asked


def test_tables_that_lie_elsewhere_are_refused(tmp_path) -> None:
    path = tmp_path / "z.gpkg"
    ZONES.to_file(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA writable_schema=ON")
        database.execute(
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', 'x', "
            "'x', 0, 'CREATE /* */ VIRTUAL  TABLE x USING VirtualText(/etc/passwd, utf-8)')"
        )
    with pytest.raises(InputError, match="table x lies elsewhere"):
        read_features(path, "file of zones")


def test_parts_of_a_shapefile_lie_beside_it(tmp_path) -> None:
    (tmp_path / "given").mkdir()
    path = tmp_path / "given" / "z.shp"
    ZONES.to_file(path)
    table = path.with_suffix(".dbf").rename(tmp_path / "other.dbf")
    path.with_suffix(".dbf").symlink_to(table)
    with pytest.raises(InputError, match="a link out of its folder"):
        read_features(path, "file of zones")
    path.with_suffix(".dbf").unlink()
    os.mkfifo(path.with_suffix(".dbf"))
    with pytest.raises(InputError, match="a pipe, a socket or a device"):
        read_features(path, "file of zones")


COLLECTION = '{"type": "FeatureCollection", "features": [%s]}'
DAMAGED = {
    "nothing": b"",
    "an empty object": b"{}",
    "half a text": b'{"type": "Feature',
    "deep": b'{"a":' * 100_000,
    "deep coordinates": b'{"type": "Polygon", "coordinates": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "another encoding": '{"type": "Polygon"}'.encode("utf-16"),
    "no features": (COLLECTION % "").encode(),
    "numbers for features": (COLLECTION % "1, 2").encode(),
    "a feature without geometry": (COLLECTION % '{"type": "Feature"}').encode(),
    "a geometry of text": (COLLECTION % '{"geometry": "x"}').encode(),
    "coordinates of text": b'{"type": "Polygon", "coordinates": [[["x", 1]]]}',
    "coordinates of one number": b'{"type": "Polygon", "coordinates": [[[1]]]}',
    "a geometry of no kind": (
        COLLECTION % '{"geometry": {"type": "Cube", "coordinates": []}}'
    ).encode(),
    "a reference system of number": b'{"type": "Polygon", "coordinates": [], "crs": 5}',
    "an unknown reference system": (
        b'{"type": "Polygon", "coordinates": [], "crs": {"type": "name", "properties": '
        b'{"name": "EPSG:999999"}}}'
    ),
    "a table": b"name,people\na,3\n",
    "half a GeoPackage": b"SQLite format 3\0" + bytes(52) + b"GPKG" + bytes(40),
    "another database": b"SQLite format 3\0" + bytes(84),
    "half a FlatGeobuf": b"fgb\x03fgb\x01" + (60).to_bytes(4, "little") + bytes(60),
    "half a shapefile": b"\0\0\x27\x0a" + bytes(60),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_one_line(tmp_path, name) -> None:
    path = tmp_path / "z.any"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(InputError, match=r"z\.any: ") as caught:
        read_zones(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("ending", FORMATS)
def test_files_that_were_cut_short_are_one_line_or_what_is_left(tmp_path, ending, share) -> None:
    path = tmp_path / f"z.{ending}"
    ZONES.to_file(path, driver=FORMATS[ending])
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with suppress(InputError):
        assert set(read_zones(path)["name"]) <= set(ZONES["name"])


def test_zones_off_the_map_are_named_in_a_short_line(tmp_path, caplog) -> None:
    grid = grid_from_bounds((400000, 5000000, 400100, 5000100), 32633, 10.0)
    many = gpd.GeoDataFrame(
        {"zone": [f"zone {n}" for n in range(2000)]}, geometry=[box(0, 0, 1, 1)] * 2000, crs=4326
    )
    classes = np.zeros((10, 10), "uint8")
    table = area_table({level.name.lower(): 0.0 for level in FloodClass}, classes, grid, many)
    assert len(table) == 2001
    assert "zone 0, zone 1" in caplog.text
    assert len(caplog.text) < 2000
