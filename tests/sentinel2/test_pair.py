"""Which optical images stand beside a radar scene, and where."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.raster.cog import write_cog
from floodloom.sentinel2.indices import mndwi
from floodloom.sentinel2.pair import ACQUIRED, gap_days, pair_optical
from floodloom.sentinel2.settings import PairingSettings

SCENE = "2023-05-14T16:58:21"
TERRAMESH = ("282D_485L_3_3", "38D_378R_2_3")
L2A = tuple(
    f"B{n}" for n in ("01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "11", "12")
)


@pytest.fixture
def write(tmp_path, grid):
    def write(image, when="2023-05-16", geobox=grid, names=("green", "nir"), **tags):
        path = tmp_path / "optical.tif"
        tags = {ACQUIRED: when, **tags} if when else tags
        return write_cog(image, path, geobox=geobox, nodata=np.nan, descriptions=names, tags=tags)

    return write


def test_a_companion_is_taken_as_it_is(make_place, write, grid):
    place = make_place()
    path = write(place.reflectance)
    pairing = pair_optical(path, grid, PairingSettings(), radar=place.radar, acquired=SCENE)
    assert pairing.refused == ""
    assert pairing.gap_days == pytest.approx(1.29, abs=0.01)
    assert pairing.shift.sure
    np.testing.assert_array_equal(pairing.image, place.reflectance)


def test_a_shifted_image_is_moved_back(make_place, write, grid, caplog):
    place = make_place()
    path = write(np.roll(place.reflectance, (3, -4), axis=(1, 2)))
    with caplog.at_level(logging.WARNING, "floodloom"):
        pairing = pair_optical(path, grid, PairingSettings(), radar=place.radar, acquired=SCENE)
    assert "px down and +4." in caplog.text or "px down and +3.9" in caplog.text
    difference = (pairing.image.values - place.reflectance)[:, 10:-10, 10:-10]
    assert np.sqrt(np.mean(difference**2)) < 0.25 * place.reflectance.std()


def test_an_image_far_off_is_refused(make_place, write, grid, caplog):
    place = make_place(side=200)
    path = write(np.roll(place.reflectance, 50, axis=2))
    with caplog.at_level(logging.WARNING, "floodloom"):
        pairing = pair_optical(path, grid, PairingSettings(), radar=place.radar, acquired=SCENE)
    assert "off the scene by" in pairing.refused
    assert "more than 10 px; the scene is taken without an optical image" in caplog.text
    assert pairing.clear_share == 0
    assert pair_optical(path, grid, PairingSettings()).clear_share == 1  # nothing to lie beside


@pytest.mark.parametrize("when", ["2023-05-26T17:00:00", "2023:04:30 10:00:00"])
def test_an_image_of_another_time_is_refused(make_place, write, grid, when):
    place = make_place()
    path = write(place.reflectance, when)
    pairing = pair_optical(path, grid, PairingSettings(), radar=place.radar, acquired=SCENE)
    assert "days from the scene, more than 10" in pairing.refused
    assert pairing.clear_share == 0
    anytime = PairingSettings(optical_gap_days=None)
    assert pair_optical(path, grid, anytime, radar=place.radar, acquired=SCENE).clear_share == 1


def test_without_a_date_it_is_used_and_said(make_place, write, grid, caplog):
    path = write(make_place().reflectance, "")
    with caplog.at_level(logging.WARNING, "floodloom"):
        assert pair_optical(path, grid, PairingSettings(), acquired=SCENE).clear_share == 1
    assert "the time gap is unknown" in caplog.text
    assert gap_days("yesterday", SCENE) is None


def test_a_fully_clouded_image_is_refused(make_place, write, grid):
    image = np.concatenate([make_place().reflectance, np.ones((1, 200, 200), np.float32)])
    path = write(image, names=("green", "nir", "cloud"))
    pairing = pair_optical(path, grid, PairingSettings(), acquired=SCENE)
    assert pairing.refused == "it shows no clear ground of the scene"
    assert list(pairing.image.channel.values) == ["green", "nir"]


def test_an_image_in_another_reference_system_is_brought_over(make_place, write, grid):
    place = make_place()
    there = grid.to_crs("EPSG:3035")
    path = write(place.reflectance)
    over = pair_optical(path, there, PairingSettings(optical_gap_days=None)).image.values
    seen = np.isfinite(over).all(axis=0)
    assert seen.sum() == pytest.approx(place.water.size, rel=0.02)
    assert (over[1][seen] < 0.1).mean() == pytest.approx(place.water.mean(), abs=0.02)


def test_bad_images_are_named(make_place, write, grid, tmp_path):
    path = write(make_place().reflectance)
    with pytest.raises(InputError, match=r"optical\.tif: band swir is missing"):
        pair_optical(path, grid, PairingSettings(), bands=("green", "swir"))
    with pytest.raises(InputError, match="3 names were given for 2 bands"):
        pair_optical(path, grid, PairingSettings(optical_names=("a", "b", "c")))
    with pytest.raises(InputError, match=r"none\.tif: not a readable optical image"):
        pair_optical(tmp_path / "none.tif", grid, PairingSettings())
    plain = GeoBox(grid.shape, grid.affine, None)
    path = write(make_place().reflectance, geobox=plain)
    with pytest.raises(InputError, match="needs a CRS"):
        pair_optical(path, grid, PairingSettings())


@pytest.mark.parametrize("name", TERRAMESH)
def test_real_pairs_lie_on_one_grid_and_agree_on_water(shared_data, name):
    """TerraMesh (Apache-2.0): Sentinel-1 RTC in dB beside Sentinel-2 level 2A, UTM, 10 m."""
    with rasterio.open(shared_data / "terramesh" / "S1RTC" / f"{name}.tif") as raster:
        vv, vh = raster.read().astype(np.float32)
        grid = GeoBox(raster.shape, raster.transform, raster.crs)
    path = shared_data / "terramesh" / "S2L2A" / f"{name}.tif"
    anytime = PairingSettings(optical_names=L2A, optical_gap_days=None)
    bands = ("green", "nir", "swir")
    pairing = pair_optical(path, grid, anytime, bands=bands, radar=vv)
    with rasterio.open(path) as raster:
        numbers = raster.read([3, 8, 11]).astype(np.float32)
    assert list(pairing.image.channel.values) == ["green", "nir", "swir"]
    assert pairing.image.shape == (3, *grid.shape.yx)
    assert pairing.shift.sure
    assert pairing.shift.length < 5
    unmoved = pair_optical(path, grid, anytime, bands=bands).image.values
    np.testing.assert_allclose(
        unmoved[:, np.isfinite(unmoved[0])], numbers[:, np.isfinite(unmoved[0])] / 1e4, atol=1e-6
    )
    green, _, swir = pairing.image.values
    water = mndwi(green, swir) > 0.2
    if water.mean() > 0.005:
        assert np.median(vv[water]) < np.median(vv[~water]) - 5
        assert np.median(vh[water]) < np.median(vh[~water]) - 5
    else:
        assert np.mean((vv < -18) & (vh < -25)) < 0.02
