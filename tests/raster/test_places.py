"""Longitudes that wrap, and rectangles in other reference systems."""

from itertools import permutations

import numpy as np
import pytest
from rasterio.warp import transform_bounds

from floodloom.errors import InputError
from floodloom.raster.grid import enclosing_arc, map_crs, projected_bounds, wrap_longitude


def test_longitudes_are_counted_around_a_meridian() -> None:
    longitude = np.array([-180.0, -179.9, 0.1, 179.9, 180.3, 540.0])
    np.testing.assert_allclose(
        wrap_longitude(longitude, 180.0), [180, 180.1, 0.1, 179.9, 180.3, 180]
    )
    np.testing.assert_allclose(
        wrap_longitude(longitude, 0.0), [-180, -179.9, 0.1, 179.9, -179.7, -180]
    )
    awkward = np.random.default_rng(0).uniform(-179.9, 179.9, 1000)
    assert (wrap_longitude(awkward, 0.0) == awkward).all()


@pytest.mark.parametrize(
    ("arcs", "expected"),
    [
        ([(11.0, 12.0)], (11.0, 12.0)),
        ([(11.0, 12.0), (14.0, 15.0), (10.0, 11.5)], (10.0, 15.0)),
        ([(179.0, 181.0)], (179.0, 181.0)),
        ([(-181.0, -179.0)], (179.0, 181.0)),
        ([(179.0, 180.0), (-180.0, -178.0)], (179.0, 182.0)),
        ([(178.0, 179.0), (-179.0, -178.0), (179.5, 180.5)], (178.0, 182.0)),
        ([(200.0, 201.0)], (-160.0, -159.0)),
        ([(170.0, 200.0), (-170.0, -150.0)], (170.0, 210.0)),
        ([(-180.0, 180.0), (3.0, 4.0)], (-180.0, 180.0)),
        ([(-170.0, 0.0), (-10.0, 120.0), (110.0, 195.0)], (-180.0, 180.0)),
    ],
)
def test_shortest_arc_in_any_order(arcs, expected) -> None:
    for order in permutations(arcs):
        assert enclosing_arc(*zip(*order, strict=True)) == expected


def test_bounds_on_a_map_are_those_of_gdal() -> None:
    """Bit for bit, so that grids stay where they were."""
    draw = np.random.default_rng(0)
    for _ in range(50):
        west, south = draw.uniform(-178, 175), draw.uniform(-78, 75)
        box = (west, south, west + draw.uniform(0.1, 3), south + draw.uniform(0.1, 3))
        epsg = f"EPSG:{32600 + int((box[0] + box[2] + 360) / 2 // 6) + 1}"
        expected = transform_bounds("EPSG:4326", epsg, *box, densify_pts=21)
        assert projected_bounds(box, "EPSG:4326", epsg) == expected


def test_bounds_across_180_degrees_are_as_wide_as_the_ground() -> None:
    for epsg in (32701, 32760):
        left, _, right, _ = projected_bounds(
            (179.9, -17.0, 180.1, -16.5), "EPSG:4326", f"EPSG:{epsg}"
        )
        assert right - left == pytest.approx(21_300, abs=1000)
    box = (160_000.0, 8_100_000.0, 190_000.0, 8_200_000.0)
    west, _, east, _ = projected_bounds(box, "EPSG:32701", "EPSG:4326")
    assert east - west < 0.5


@pytest.mark.parametrize("epsg", [99999, 4978, 5773])
def test_codes_of_no_map_are_refused(epsg: int) -> None:
    with pytest.raises(InputError, match=f"epsg {epsg}: .*such as 32633"):
        map_crs(epsg)
