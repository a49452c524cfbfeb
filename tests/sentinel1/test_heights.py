from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import datadir, network

from floodloom.errors import InputError
from floodloom.sentinel1.heights import ellipsoidal_heights, geoid_undulation, require_datum

GRIDS = {"egm96": "us_nga_egm96_15.tif", "egm2008": "us_nga_egm08_25.tif"}


@pytest.fixture
def proj_data(tmp_path, monkeypatch) -> Path:
    """PROJ with its database and an empty folder for grids, whatever this machine has."""
    database = next(
        Path(folder) / "proj.db"
        for folder in datadir.get_data_dir().split(":")
        if (Path(folder) / "proj.db").exists()
    )
    folder = tmp_path / "proj"
    folder.mkdir()
    (folder / "proj.db").symlink_to(database)
    monkeypatch.setenv("PROJ_SKIP_READ_USER_WRITABLE_DIRECTORY", "YES")
    before = datadir.get_data_dir()
    datadir.set_data_dir(str(folder))
    yield folder
    datadir.set_data_dir(before)


def undulation(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    return 20 + 0.1 * longitude - 0.2 * latitude


def write_grid(path: Path, left: float = -180.0, right: float = 180.0) -> None:
    """Write a geoid grid as PROJ's Geodetic TIFF grid specification asks, 1 degree."""
    longitude, latitude = np.meshgrid(np.arange(left, right + 0.5), np.arange(90.0, -90.5, -1.0))
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "height": longitude.shape[0],
        "width": longitude.shape[1],
        "crs": "EPSG:4326",
        "transform": Affine(1.0, 0.0, left - 0.5, 0.0, -1.0, 90.5),
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(undulation(longitude, latitude).astype("float32"), 1)
        raster.update_tags(TYPE="VERTICAL_OFFSET_GEOGRAPHIC_TO_VERTICAL", AREA_OR_POINT="Point")
        raster.set_band_description(1, "geoid_undulation")
        raster.units = ("metre",)


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(4)
    longitude, latitude = draw.uniform(-179, 179, (30, 40)), draw.uniform(-85, 85, (30, 40))
    return draw.uniform(-100, 8000, (30, 40)).astype("float32"), longitude, latitude


@pytest.mark.parametrize("datum", GRIDS)
def test_heights_above_a_geoid_gain_its_undulation(proj_data, datum: str) -> None:
    write_grid(proj_data / GRIDS[datum])
    elevation, longitude, latitude = places()
    elevation[3, 4] = np.nan
    heights = ellipsoidal_heights(elevation, longitude, latitude, datum)
    assert heights.dtype == elevation.dtype
    np.testing.assert_allclose(heights, elevation + undulation(longitude, latitude), atol=0.01)
    require_datum(datum)


@pytest.mark.parametrize("datum", GRIDS)
@pytest.mark.parametrize("online", [False, True])
def test_without_the_grid_heights_are_refused(proj_data, datum: str, online: bool) -> None:
    network.set_network_enabled(online)
    try:
        with pytest.raises(InputError) as refused:
            ellipsoidal_heights(*places(), datum)
        assert network.is_network_enabled() == online
        with pytest.raises(InputError):
            require_datum(datum)
    finally:
        network.set_network_enabled(False)
    complaint = str(refused.value)
    assert GRIDS[datum] in complaint
    assert str(proj_data) in complaint
    assert f"projsync --file {GRIDS[datum]}" in complaint
    assert "\n" not in complaint


def test_one_geoid_does_not_stand_in_for_the_other(proj_data) -> None:
    write_grid(proj_data / GRIDS["egm96"])
    with pytest.raises(InputError, match="us_nga_egm08_25"):
        ellipsoidal_heights(*places(), "egm2008")


def test_places_beyond_the_grid_are_refused(proj_data) -> None:
    write_grid(proj_data / GRIDS["egm96"], 5.0, 15.0)
    inside = geoid_undulation(np.array([7.5, np.nan]), np.array([45.0, 45.0]), "egm96")
    assert inside[0] == pytest.approx(20 + 0.75 - 9)
    assert np.isnan(inside[1])
    with pytest.raises(InputError, match=r"us_nga_egm96_15\.tif doesn't cover"):
        geoid_undulation(np.array([7.5, 30.0]), np.array([45.0, 45.0]), "egm96")


def test_ellipsoidal_heights_stay_as_they_are(proj_data) -> None:
    elevation, longitude, latitude = places()
    np.testing.assert_array_equal(
        ellipsoidal_heights(elevation, longitude, latitude, "ellipsoid"), elevation
    )
    assert not geoid_undulation(longitude, latitude, "ellipsoid").any()
    require_datum("ellipsoid")


def test_unknown_datum_is_refused() -> None:
    with pytest.raises(InputError, match="'msl' must be one of ellipsoid, egm96, egm2008"):
        ellipsoidal_heights(*places(), "msl")
