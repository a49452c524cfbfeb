import numpy as np
import pytest
from odc.geo.crs import CRS

from floodloom.errors import InputError
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import (
    geobox_of,
    grid_from_bounds,
    pixel_geobox,
    spacing_m,
    utm_epsg,
)


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [(15.0, 45.0, 32633), (-180.0, 10.0, 32601), (179.9, -1.0, 32760), (180.0, 1.0, 32660)],
)
def test_utm_zone(longitude: float, latitude: float, epsg: int) -> None:
    assert utm_epsg(longitude, latitude) == epsg


def test_two_grids_of_one_resolution_overlay_to_the_pixel() -> None:
    one = grid_from_bounds((400003.0, 5000001.0, 400990.0, 5001000.0), 32633, 20.0)
    other = grid_from_bounds((400777.0, 5000555.0, 402000.0, 5002001.0), 32633, 20.0)
    shift = ~one.affine * (other.affine.c, other.affine.f)
    assert shift == pytest.approx(np.round(shift))
    assert one.affine.c <= 400003.0
    assert one.affine.c + 20.0 * one.shape.x >= 400990.0


@pytest.mark.parametrize("bounds", [(0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 1.0)])
def test_empty_bounds_are_refused(bounds: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="hold no pixel"):
        grid_from_bounds(bounds, 32633, 10.0)


def test_grid_of_a_file_is_the_grid_it_was_written_with(tmp_path) -> None:
    for geobox in (grid_from_bounds((0, 0, 300, 200), 32633, 10.0), pixel_geobox(20, 30)):
        path = write_cog(
            np.zeros(tuple(geobox.shape.yx), "uint8"), tmp_path / "x.tif", geobox=geobox, nodata=255
        )
        assert geobox_of(path) == geobox


def test_unreadable_raster_is_one_clear_error(tmp_path) -> None:
    (tmp_path / "broken.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"broken\.tif: not a readable raster"):
        geobox_of(tmp_path / "broken.tif")


@pytest.mark.parametrize(
    ("latitude", "epsg"), [(84.0, 32635), (84.01, 32661), (-80.0, 32735), (-80.01, 32761)]
)
def test_ups_begins_where_utm_ends(latitude: float, epsg: int) -> None:
    assert utm_epsg(25.0, latitude) == epsg


def test_absurdly_large_grids_are_refused_with_their_size() -> None:
    for epsg, bounds, resolution, unit in (
        (32633, (400000.0, 5000000.0, 406000.0, 5006000.0), 0.0001, "metre"),
        (4326, (14.0, 46.0, 16.5, 48.0), 1e-6, "degree"),
        (2263, (0.0, 0.0, 1e6, 1e6), 0.001, "US survey foot"),
    ):
        with pytest.raises(
            InputError, match=rf"^resolution .* px are more .* {unit}: give"
        ) as said:
            grid_from_bounds(bounds, epsg, resolution)
        assert f"{(bounds[2] - bounds[0]) / resolution:,.0f} x " in str(said.value)
    ten_scenes = grid_from_bounds((0.0, 0.0, 600_000.0, 1_600_000.0), 32633, 10.0)
    assert ten_scenes.shape.x == 60_000


def test_spacing_is_in_metres_whatever_the_unit() -> None:
    for epsg, resolution, expected in (
        (32633, 20.0, 20.0),
        (3857, 12.34567, 12.34567),
        (4326, 0.0002, 22.3),
        (2263, 100.0, 30.5),
    ):
        assert spacing_m(resolution, CRS(epsg)) == expected
