"""Where an item says that its map lies, and how the scene was taken."""

import json
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pystac import Item
from shapely.geometry import shape

from floodloom.mapping.item import Sensor, stac_item
from floodloom.mapping.product_set import FloodProducts
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.polygons import footprint, geographic_bounds
from floodloom.stages.delineate import delineate

GRID = grid_from_bounds((400000, 5000000, 406000, 5006000), 32633, 10.0)
EARTH_DEGREES = 360.0


def around(longitude: float, latitude: float, epsg: int, step: float) -> GeoBox:
    """A grid of 200 px by 200 px around a place."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    return GeoBox(
        (200, 200), Affine(step, 0, x - 100 * step, 0, -step, y + 100 * step), f"EPSG:{epsg}"
    )


@pytest.mark.parametrize(
    ("epsg", "step"), [(32701, 30.0), (32760, 30.0), (3832, 30.0), (4326, 0.0003), (3994, 30.0)]
)
def test_bounds_across_180_degrees_go_on_to_the_east(epsg, step) -> None:
    west, south, east, north = geographic_bounds(around(180.0, -16.5, epsg, step))
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    assert south < -16.5 < north
    geometry = footprint((west, south, east, north))
    assert geometry["type"] == "MultiPolygon"
    parts = shape(geometry)
    assert parts.is_valid
    assert parts.bounds == (-180.0, south, 180.0, north)
    assert parts.area == pytest.approx((east - west + EARTH_DEGREES) * (north - south))


@pytest.mark.parametrize(
    ("place", "epsg", "step"),
    [((15, 45), 32633, 10.0), ((-179, 60), 32601, 10.0), ((10, 60), 3857, 20.0)],
)
def test_bounds_elsewhere_hold_every_pixel_and_no_more(place, epsg, step) -> None:
    grid = around(*place, epsg, step)
    west, south, east, north = geographic_bounds(grid)
    cols, rows = np.meshgrid(np.arange(201), np.arange(201))
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(*(grid.affine @ (cols, rows)))
    found = [longitude.min(), latitude.min(), longitude.max(), latitude.max()]
    np.testing.assert_allclose([west, south, east, north], found, atol=1e-7)
    assert footprint((west, south, east, north))["type"] == "Polygon"


def test_bounds_that_end_at_180_degrees_do_not_cross_it() -> None:
    for left in (179.0, -180.0):
        grid = GeoBox((100, 100), Affine(0.01, 0, left, 0, -0.01, 1), "EPSG:4326")
        np.testing.assert_allclose(geographic_bounds(grid), (left, 0, left + 1, 1), atol=1e-9)


@pytest.mark.parametrize(("latitude", "epsg"), [(90, 3995), (-90, 3031)])
def test_bounds_over_a_pole_have_all_longitudes(latitude, epsg) -> None:
    west, south, east, north = geographic_bounds(around(0, latitude, epsg, 1000.0))
    assert (west, east) == (-180, 180)
    assert latitude in (south, north)
    assert north - south == pytest.approx(np.hypot(100, 100) / 111, rel=0.03)


def test_sensor_is_claimed_only_where_all_of_it_is_known() -> None:
    def item(*sensor) -> Item:
        return stac_item("e", GRID, None, {}, {}, sensor=Sensor(*sensor))

    known = item("EW", "GRD", ("hh", "hv")).properties
    assert known["sar:instrument_mode"] == "EW"
    assert known["sar:product_type"] == "GRD"
    assert known["sar:polarizations"] == ["HH", "HV"]
    for sensor in (("", "GRD", ("vv",)), ("IW", "", ("vv",)), ("IW", "GRD", ())):
        assert not [name for name in item(*sensor).properties if name.startswith("sar:")]


def delineated(folder: Path, grid: GeoBox, **tags: str) -> dict:
    path = write_cog(
        np.full(grid.shape.yx, 95, "uint8"), folder / "p.tif", geobox=grid, nodata=255, tags=tags
    )
    products = FloodProducts(
        out=folder / "flood.tif", vectors=folder / "flood.gpkg", item=folder / "flood.json"
    )
    delineate(probability=path, products=products)
    return json.loads((folder / "flood.json").read_text())


def test_item_of_a_map_across_180_degrees(tmp_path) -> None:
    content = delineated(
        tmp_path, around(180.0, -16.5, 32701, 30.0), INSTRUMENT_MODE="SM", PRODUCT_TYPE="GRD"
    )
    west, south, east, north = content["bbox"]
    assert west > 179 > -179 > east
    assert south < north
    assert content["geometry"]["type"] == "MultiPolygon"
    assert content["properties"]["floodloom"]["instrument_mode"] == "SM"
    assert content["properties"]["floodloom"]["product_type"] == "GRD"
    assert "sar:instrument_mode" not in content["properties"]


def test_of_a_day_without_a_time_an_item_has_begin_and_end() -> None:
    found = stac_item("a", GRID, "2023-05-14", {}, {}).to_dict()["properties"]
    assert found["datetime"] is None
    assert found["start_datetime"] == "2023-05-14T00:00:00Z"
    assert found["end_datetime"] == "2023-05-14T23:59:59Z"
    timed = stac_item("a", GRID, "2023-05-14T16:58:21", {}, {}).to_dict()["properties"]
    assert timed["datetime"] == "2023-05-14T16:58:21Z"
    assert "start_datetime" not in timed
