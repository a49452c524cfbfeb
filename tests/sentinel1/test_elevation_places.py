"""Elevations in degrees serve both sides of 180 degrees, however they count their longitudes."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.windows import Window
from floodloom.sentinel1.elevation import open_elevation

PX = 0.02
SIDE = 200


def height(longitude, latitude):
    """A plane with its ridge at 0 and its valley at 180 degrees; bilinear between pixels."""
    return 1000.0 + 40.0 * np.abs((longitude - 180.0 + 180.0) % 360.0 - 180.0) + 20.0 * latitude


def write(path, west: float, width: int, epsg: int = 4326):
    longitude = west + (np.arange(width) + 0.5) * PX
    latitude = -15.0 - (np.arange(150) + 0.5) * PX
    values = height(*np.meshgrid(longitude, latitude)).astype("float32")
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=150, width=width, dtype="float32",
        crs=f"EPSG:{epsg}", transform=Affine(PX, 0, west, 0, -PX, -15.0),
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    return path


def grid_at(epsg: int, longitude: float) -> GeoBox:
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, -16.5)
    half = SIDE / 2 * 100.0
    return grid_from_bounds((x - half, y - half, x + half, y + half), epsg, 100.0)


def places(grid: GeoBox):
    rows, cols = grid.shape.yx
    col, row = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    return to_degrees.transform(*(grid.affine @ (col, row)))


@pytest.mark.parametrize(
    "grid", [(32701, 180.0), (32760, 180.0), (32701, -179.96), (32760, 179.95)]
)
@pytest.mark.parametrize(
    ("west", "width"),
    [
        (179.5, 50),
        (-180.5, 50),
        (170.0, 1000),
        (0.0, 18000),
        (-180.0, 18000),
        (-180.01, 18001),
    ],
)
def test_elevations_on_both_sides_of_180_degrees(tmp_path, west, width, grid) -> None:
    box = grid_at(*grid)
    model = open_elevation(write(tmp_path / "dem.tif", west, width), "ellipsoid", 100.0)
    rows, cols = box.shape.yx
    whole = model.read(box, Window(0, 0, rows, cols), 8)
    longitude, latitude = places(box)
    off_the_valley = np.abs(longitude % 360.0 - 180.0) > PX
    assert not np.isnan(whole).any()
    np.testing.assert_allclose(
        whole[off_the_valley], height(longitude, latitude)[off_the_valley], atol=0.05
    )
    for part in (Window(3, 5, 60, 40), Window(90, 110, 70, 80)):
        np.testing.assert_array_equal(model.read(box, part, 8), whole[part.slices])
    low, high = model.height_range(box, 8)
    assert low - 1e-3 <= whole.min() <= whole.max() <= high + 1e-3


def test_a_raster_of_one_side_is_unknown_on_the_other(tmp_path) -> None:
    box = grid_at(32701, 180.0)
    longitude, _ = places(box)
    for west, mine in ((179.0, longitude > 0), (-180.0, longitude < 0)):
        model = open_elevation(write(tmp_path / "dem.tif", west, 50), "ellipsoid", 100.0)
        known = ~np.isnan(model.read(box, Window(0, 0, *box.shape.yx), 8))
        assert (known == mine).mean() > 0.99


def test_the_whole_earth_gives_what_a_part_of_it_gives(tmp_path) -> None:
    """Far from 180 degrees not a bit changes."""
    box = grid_at(32733, 15.0)
    window = Window(0, 0, *box.shape.yx)
    whole = open_elevation(write(tmp_path / "all.tif", -180.0, 18000), "ellipsoid", 100.0)
    longitude, latitude = places(box)
    values = whole.read(box, window, 8)
    np.testing.assert_allclose(values, height(longitude, latitude), atol=0.05)
    np.testing.assert_array_equal(values[20:50, 30:90], whole.read(box, Window(20, 30, 30, 60), 8))
