import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.store import write_cog
from floodloom.sentinel2.indices import mndwi, ndwi
from floodloom.sentinel2.warp import optical_on_grid

GRID = grid_from_bounds((400000, 5000000, 400400, 5000300), 32633, 10.0)


def write(path, descriptions=("green", "nir", "cloud")):
    image = np.zeros((3, *GRID.shape.yx), "float32")
    image[0], image[1] = 0.1, np.linspace(0, 1, GRID.shape.x)
    image[2, :, :5] = 1
    return write_cog(image, path, geobox=GRID, nodata=np.nan, descriptions=descriptions)


def test_image_on_its_own_grid_is_unchanged_but_for_clouds(tmp_path):
    optical = optical_on_grid(write(tmp_path / "o.tif"), GRID)
    assert list(optical.channel.values) == ["green", "nir"]
    assert optical[:, :, :5].isnull().all()
    np.testing.assert_allclose(optical[1, 0, 5:], np.linspace(0, 1, GRID.shape.x)[5:], atol=1e-6)


def test_ground_outside_the_image_is_unknown(tmp_path):
    wider = grid_from_bounds((399900, 5000000, 400400, 5000300), 32633, 10.0)
    optical = optical_on_grid(write(tmp_path / "o.tif"), wider)
    assert optical[:, :, :10].isnull().all()
    assert optical[:, :, 20:40].notnull().all()


def test_bands_without_description_are_refused(tmp_path):
    with pytest.raises(InputError, match="description of every band"):
        optical_on_grid(write(tmp_path / "o.tif", ()), GRID)


def test_bands_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"several bands are called nir \(of nir, nir08, cloud\)"):
        optical_on_grid(write(tmp_path / "o.tif", ("nir", "nir08", "cloud")), GRID)


def test_clouds_alone_are_no_image(tmp_path):
    path = write_cog(
        np.zeros((1, *GRID.shape.yx), "float32"), tmp_path / "o.tif", geobox=GRID,
        nodata=np.nan, descriptions=("cloud",),
    )  # fmt: skip
    with pytest.raises(InputError, match="has no reflectance, only cloud"):
        optical_on_grid(path, GRID)


def test_indices_by_hand():
    green, nir = np.float32([0.3, 0.1, 0.0, np.nan]), np.float32([0.1, 0.3, 0.0, 0.2])
    np.testing.assert_allclose(ndwi(green, nir), [0.5, -0.5, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(mndwi(green, nir), ndwi(green, nir))
