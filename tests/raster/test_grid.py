import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of, grid_from_bounds, pixel_geobox, utm_epsg
from floodloom.raster.store import write_cog


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
