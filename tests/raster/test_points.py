"""Images that ground control points alone place."""

from __future__ import annotations

from itertools import product

import dask.array as da
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.control import GroundControlPoint
from scipy.ndimage import map_coordinates

from floodloom.errors import InputError
from floodloom.raster.points import ControlPoints, control_points, warp_by_points

WGS84 = CRS.from_epsg(4326).to_wkt()
UTM = CRS.from_epsg(32633).to_wkt()
IMAGE = Affine(9.0, 2.0, 500000.0, 3.0, -11.0, 5100000.0)
"""A turned image, whose rows go to the south."""
MAP = GeoBox((150, 140), Affine(10.0, 0, 499900.0, 0, -10.0, 5100500.0), "EPSG:32633")


def placed(bend: float = 0.0) -> ControlPoints:
    """Points every 20 px over an image of 120 by 100 px, on a plane or on one that bends."""
    found = []
    for row, col in product(range(0, 121, 20), range(0, 101, 20)):
        x, y = IMAGE @ (col, row)
        found.append(GroundControlPoint(row, col, x + bend * row**2, y + bend * col * row))
    return control_points(found, UTM, "x.tif")


def smooth() -> np.ndarray:
    y, x = np.mgrid[:120, :100]
    return (np.sin(x / 9) + np.cos(y / 7)).astype("float32")


def test_points_on_a_plane_are_an_affine_transformation() -> None:
    x, y = MAP.affine @ tuple(np.meshgrid(np.arange(140) + 0.5, np.arange(150) + 0.5))
    rows, cols = placed().places(x, y)
    expected = ~IMAGE @ (x, y)
    np.testing.assert_allclose([cols, rows], expected, atol=1e-6)

    found = warp_by_points(da.from_array(smooth()), placed(), MAP, np.nan, smooth=True).compute()
    inside = (rows > 1) & (rows < 119) & (cols > 1) & (cols < 99)
    between = map_coordinates(smooth(), np.stack([rows, cols]) - 0.5, order=1)
    np.testing.assert_allclose(found[inside], between[inside], atol=1e-5)
    outside = (rows < 0) | (rows >= 120) | (cols < 0) | (cols >= 100)
    assert outside.any()
    assert np.isnan(found[outside]).all()


def test_every_point_lies_where_it_is_stated_to() -> None:
    points = placed(bend=0.01)
    rows, cols = points.places(np.array(points.x), np.array(points.y))
    np.testing.assert_allclose(rows, points.rows, atol=1e-6)
    np.testing.assert_allclose(cols, points.cols, atol=1e-6)


@pytest.mark.parametrize("chunks", [(31, 47), (120, 20), (50, 100)])
def test_blocks_don_t_show(chunks: tuple[int, int]) -> None:
    points, image = placed(bend=0.01), smooth()
    whole = warp_by_points(da.from_array(image), points, MAP, np.nan, smooth=True).compute()
    part = da.from_array(image, chunks=chunks)
    parts = warp_by_points(part, points, MAP, np.nan, smooth=True).compute()
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


def test_no_data_stays_no_data_and_bits_stay_bits() -> None:
    image, points = smooth(), placed()
    image[30:60, 30:60] = np.nan
    flags = np.isnan(image).astype("uint8") * 5
    found = warp_by_points(da.from_array(image), points, MAP, np.nan, smooth=True).compute()
    bits = warp_by_points(da.from_array(flags), points, MAP, 1, smooth=False).compute()
    assert set(np.unique(bits)) == {0, 1, 5}
    x, y = MAP.affine @ tuple(np.meshgrid(np.arange(140) + 0.5, np.arange(150) + 0.5))
    rows, cols = points.places(x, y)
    hidden = (rows > 31) & (rows < 59) & (cols > 31) & (cols < 59)
    assert np.isnan(found[hidden]).all()
    assert (bits[hidden] == 5).all()


def test_points_across_the_antimeridian_are_one_place() -> None:
    corners = [
        GroundControlPoint(row, col, (179.9 + col / 500 + 180) % 360 - 180, -16.0 - row / 500)
        for row, col in product(range(0, 121, 40), range(0, 101, 20))
    ]
    points = control_points(corners, WGS84, "x.tif")
    west, south, east, north = points.footprint
    assert (west, east) == pytest.approx((179.9, 180.1))
    assert (south, north) == pytest.approx((-16.24, -16.0))
    rows, cols = points.places(np.array([179.95, -179.95]), np.array([-16.1, -16.1]))
    np.testing.assert_allclose(cols, [25, 75], atol=1e-6)
    np.testing.assert_allclose(rows, [50, 50], atol=1e-6)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([(0, 0), (0, 9), (9, 0)], "3 ground control points"),
        ([(n, 2 * n) for n in range(9)], "give no place"),
        ([(5, 5)] * 9, "give no place"),
        ([(0, 0), (0, 9), (9, 0), (9, np.nan)], "give no place"),
    ],
)
def test_points_that_make_no_place_are_refused(places, message: str) -> None:
    found = [GroundControlPoint(row, col, *(IMAGE @ (col, row))) for row, col in places]
    with pytest.raises(InputError, match=rf"x\.tif: .*{message}"):
        control_points(found, UTM, "x.tif")
