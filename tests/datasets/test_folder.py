"""Chips of one's own, whose labels may be outlines in any reference system."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import shapes
from shapely.geometry import Point, box, shape

from floodloom.datasets import folder, stac_overflow
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of

NAME = "qxb32"


@pytest.fixture
def chips(shared_data, tmp_path) -> Path:
    """A real chip in the layout of a folder, without a label."""
    for band in ("vv", "vh"):
        (tmp_path / band).mkdir()
        source = shared_data / "c2s_stac_overflow" / "features" / f"{NAME}_{band}.tif"
        shutil.copy(source, tmp_path / band / f"{NAME}.tif")
    for kind in ("labels", "areas", "permanent"):
        (tmp_path / kind).mkdir()
    return tmp_path


def outlined(shared_data) -> gpd.GeoDataFrame:
    """The real label of the chip as polygons, one for each class, in its own CRS."""
    with rasterio.open(shared_data / "c2s_stac_overflow" / "labels" / f"{NAME}.tif") as raster:
        found = list(shapes(raster.read(1), transform=raster.transform))
        crs = raster.crs
    data = {"value": [value for _, value in found], "geometry": [shape(s) for s, _ in found]}
    return gpd.GeoDataFrame(data, crs=crs).dissolve("value")


@pytest.mark.parametrize(("ending", "epsg"), [("shp", 4326), ("gpkg", 3857), ("geojson", 4326)])
def test_outlines_of_a_real_label_are_that_label(chips, shared_data, ending, epsg) -> None:
    water = outlined(shared_data)
    left, bottom, _, top = water.total_bounds
    area = gpd.GeoDataFrame(geometry=[box(left, bottom, left + 4000, top)], crs=water.crs)
    water.loc[[1]].to_crs(epsg).to_file(chips / "labels" / f"{NAME}.{ending}")
    area.to_crs(epsg).to_file(chips / "areas" / f"{NAME}.{ending}")
    found = folder.DATASET.scene(chips, NAME).label
    real = stac_overflow.DATASET.scene(shared_data / "c2s_stac_overflow", NAME).label
    assert (found[:, :399] == real[:, :399]).mean() > 0.9999
    assert (found[:, :399] == 2).mean() > 0.01
    assert (found[:, 401:] == 255).all()


def test_permanent_water_is_no_flood_and_nothing_is_known_beyond_the_area(chips) -> None:
    grid = geobox_of(folder.DATASET.scene(chips, NAME).scene)
    left, top, pixel = grid.affine.c, grid.affine.f, grid.affine.a

    def square(kind: str, first: int, last: int) -> None:
        west, east = (left + side * pixel for side in (first, last))
        south, north = (top - side * pixel for side in (last, first))
        frame = gpd.GeoDataFrame(geometry=[box(west, south, east, north)], crs=str(grid.crs))
        frame.to_file(chips / kind / f"{NAME}.gpkg")

    square("areas", 0, 100)
    square("labels", 50, 150)
    square("permanent", 40, 60)
    found = folder.DATASET.scene(chips, NAME).label
    expected = np.full(found.shape, 255)
    expected[:100, :100] = 0
    expected[50:100, 50:100] = 2
    expected[40:60, 40:60] = 1
    np.testing.assert_array_equal(found, expected)


def test_outlines_without_an_area_are_refused(chips) -> None:
    frame = gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326)
    frame.to_file(chips / "labels" / f"{NAME}.gpkg")
    with pytest.raises(InputError, match=rf"where was looked .*/areas/{NAME}\.gpkg"):
        folder.DATASET.scene(chips, NAME)


def test_features_with_their_classes_leave_all_else_unknown(chips) -> None:
    grid = geobox_of(folder.DATASET.scene(chips, NAME).scene)
    places = [Point(grid.affine @ (col + 0.5, row + 0.5)) for row, col in ((5, 9), (50, 70))]
    frame = gpd.GeoDataFrame({"CLASS": ["dry", "water"]}, geometry=places, crs=str(grid.crs))
    frame.to_file(chips / "labels" / f"{NAME}.shp")
    expected = np.full((512, 512), 255)
    expected[5, 9], expected[50, 70] = 0, 2
    np.testing.assert_array_equal(folder.DATASET.scene(chips, NAME).label, expected)

    frame.to_file(chips / "areas" / f"{NAME}.gpkg")
    with pytest.raises(InputError, match=r"has the `class` of each feature; take away the area"):
        folder.DATASET.scene(chips, NAME)


def test_a_folder_of_a_chip_has_a_file_for_each_class(chips) -> None:
    grid = geobox_of(folder.DATASET.scene(chips, NAME).scene)
    (chips / "labels" / NAME).mkdir()
    for name, col in (("dry", 9), ("flood", 70)):
        place = Point(grid.affine @ (col + 0.5, 5.5))
        frame = gpd.GeoDataFrame(geometry=[place], crs=str(grid.crs))
        frame.to_file(chips / "labels" / NAME / f"{name}.gpkg")
    expected = np.full((512, 512), 255)
    expected[5, 9], expected[5, 70] = 0, 2
    np.testing.assert_array_equal(folder.DATASET.scene(chips, NAME).label, expected)


@pytest.mark.parametrize(
    ("geometry", "crs", "message"),
    [
        (Point(0, 0), 4326, r"holds a Point; give polygons alone"),
        (box(0, 0, 1, 1), None, r"both need a CRS; georeference them \(the \.prj of a"),
    ],
)
def test_what_can_not_be_burnt_is_refused(chips, geometry, crs, message) -> None:
    for kind in ("labels", "areas"):
        gpd.GeoDataFrame(geometry=[geometry], crs=crs).to_file(chips / kind / f"{NAME}.shp")
    with pytest.raises(InputError, match=message):
        folder.DATASET.scene(chips, NAME)


def test_a_chip_without_a_label_is_unknown(chips) -> None:
    assert (folder.DATASET.scene(chips, NAME).label == 255).all()
