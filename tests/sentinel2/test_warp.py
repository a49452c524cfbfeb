import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds
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


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [(-9999, "float32"), (65535, "float32"), (3000, "float32"), (65535, "uint16"), (0, "uint16")],
)
def test_numbers_that_are_no_reflectance_are_unknown(tmp_path, fill, dtype):
    image = np.full((3, *GRID.shape.yx), 0.1 if dtype == "float32" else 1500).astype(dtype)
    image[:2, :, 5:9] = fill
    image[2] = 0
    path = write_cog(
        image, tmp_path / "o.tif", geobox=GRID, nodata=7, descriptions=("green", "nir", "cloud")
    )
    seen = optical_on_grid(path, GRID).notnull().all("channel").values
    assert not seen[:, 5:9].any()
    assert seen[:, 12:].all()


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


@pytest.mark.parametrize("mask", ["cloud", "scl", "none"])
def test_pieces_are_those_of_the_whole_image(tmp_path, monkeypatch, mask):
    """Also where a cloud and its shadow lie in different pieces."""
    grid = grid_from_bounds((400000, 5000000, 404000, 5003000), 32633, 10.0)
    draw = np.random.default_rng(0)
    visible = 0.08 + 0.02 * draw.random((3, 300, 400))
    nir = 0.3 + 0.05 * draw.random((300, 400))
    visible[:, 100:120, 120:140] = 0.6
    visible[:, 130:150, 170:190], nir[130:150, 170:190] = 0.03, 0.06
    marked = np.full((300, 400), 4.0 if mask == "scl" else 0.0)
    marked[100:120, 120:140] = 9.0 if mask == "scl" else 1.0
    image = np.stack([*visible, nir, *([] if mask == "none" else [marked])]).astype("float32")
    names = ("blue", "green", "red", "nir", *(() if mask == "none" else (mask,)))
    path = tmp_path / "o.tif"
    write_cog(image, path, geobox=grid, nodata=np.nan, descriptions=names)
    whole = optical_on_grid(path, grid)
    assert whole.data.npartitions == 1
    assert whole[:, 102:118, 122:138].isnull().all()
    assert bool(whole[0, 140, 180].isnull()) == (mask == "none")
    monkeypatch.setattr("floodloom.sentinel2.warp.BLOCK_PX", 128)
    pieces = optical_on_grid(path, grid)
    assert pieces.chunks[1:] == ((128, 128, 44), (128, 128, 128, 16))
    np.testing.assert_array_equal(pieces.values, whole.values)
    rows = (200, 100)
    assert optical_on_grid(path, grid, rows=rows).chunks[1] == rows


@pytest.mark.parametrize("mask", ["cloud", "scl"])
@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_no_data_of_the_reflectance_is_a_value_of_the_mask(tmp_path, mask, dtype):
    """One value stands for no data in all bands of a file; 0 means clear in a band of clouds."""
    clear, cloudy = (0, 1) if mask == "cloud" else (4, 9)
    image = np.full((3, *GRID.shape.yx), 1000, dtype)
    image[2] = clear
    image[2, :, :5] = cloudy
    image[:2, :, -3:] = 0
    path = write_cog(
        image, tmp_path / "o.tif", geobox=GRID, nodata=0, descriptions=("green", "nir", mask)
    )
    optical = optical_on_grid(path, GRID)
    assert optical[:, :, :5].isnull().all()
    assert optical[:, :, -3:].isnull().all()
    np.testing.assert_allclose(optical[:, :, 5:-3], 0.1, atol=1e-6)


@pytest.mark.parametrize(
    "tags",
    [{"QUANTIFICATION_VALUE": "0"}, {"QUANTIFICATION_VALUE": "1e4m"}, {"BOA_ADD_OFFSET": "nan"}],
)
def test_tags_that_leave_no_reflectance_are_refused(tmp_path, tags):
    image = np.full((2, *GRID.shape.yx), 1000, "uint16")
    path = write_cog(
        image, tmp_path / "o.tif", geobox=GRID, nodata=0, descriptions=("green", "nir"), tags=tags
    )
    with pytest.raises(InputError, match=rf"o\.tif: {next(iter(tags))} is"):
        optical_on_grid(path, GRID)


def test_a_damaged_image_is_named_when_it_is_read(tmp_path):
    path = write(tmp_path / "o.tif")
    path.write_bytes(path.read_bytes()[:-200])
    optical = optical_on_grid(path, GRID)
    with pytest.raises(InputError, match=r"o\.tif: not a readable optical image .*fetch it again"):
        optical.compute()


def test_indices_by_hand():
    green, nir = np.float32([0.3, 0.1, 0.0, np.nan]), np.float32([0.1, 0.3, 0.0, 0.2])
    np.testing.assert_allclose(ndwi(green, nir), [0.5, -0.5, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(mndwi(green, nir), ndwi(green, nir))
