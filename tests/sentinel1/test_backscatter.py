"""What backscatter of others can be, and where it is empty."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.sentinel1.backscatter import (
    MARGIN,
    empty_margins,
    mosaic_backscatter,
    read_backscatter,
)
from floodloom.sentinel1.contradictions import require_scale
from tests.sentinel1.test_producers import GRID, OPERA, write


def speckle(seed: int = 0) -> np.ndarray:
    shape = tuple(GRID.shape.yx)
    return np.random.default_rng(seed).gamma(4.4, 0.02, shape).astype("float32")


def slanted() -> np.ndarray:
    """(y, x) bool: a margin as the rim of a pass makes it."""
    rows, cols = np.mgrid[: GRID.shape.y, : GRID.shape.x]
    return cols < 20 + rows // 6


def test_a_slanted_margin_is_empty_to_the_pixel() -> None:
    bands = [np.where(slanted(), 0, speckle(n)).astype("float32") for n in (0, 1)]
    np.testing.assert_array_equal(empty_margins(bands), slanted())


def test_zeros_of_noise_removal_are_no_margin() -> None:
    """Where half of the water's pixels fell below the noise, none of it is empty."""
    dark = np.random.default_rng(5).random((2, *GRID.shape.yx)) < 0.5
    bands = [np.where(zero, 0, speckle()).astype("float32") for zero in dark]
    assert not empty_margins(bands).any()


def test_what_one_band_sees_is_not_empty() -> None:
    seen = speckle()
    assert not empty_margins([np.zeros_like(seen), seen]).any()
    assert empty_margins([np.zeros_like(seen), np.full_like(seen, np.nan)]).all()


def test_margins_don_t_depend_on_the_blocks(tmp_path) -> None:
    stored = [np.where(slanted(), 0, speckle(n)).astype("float32") for n in (0, 1)]
    found = []
    for side in (16, 64):
        for band, values in zip(("VV", "VH"), stored, strict=True):
            path = tmp_path / str(side) / f"{OPERA}_{band}.tif"
            write(path, values, blockxsize=side, blockysize=side)
        scene = read_backscatter(tmp_path / str(side))
        found.append(scene.vv.chunk({"y": 16 * MARGIN, "x": 48}).values)
    np.testing.assert_array_equal(np.isnan(found[0]), slanted())
    np.testing.assert_array_equal(found[0], found[1])


POWER = speckle()
DECIBEL = 10 * np.log10(POWER)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (POWER, "power"),
        (np.sqrt(POWER), "amplitude"),
        (DECIBEL, "db"),
        (np.where(slanted(), -9999, DECIBEL), "db"),
        (np.where(slanted(), 65535, POWER), "power"),
        (np.full((9, 9), np.nan), "power"),
    ],
)
def test_what_a_scale_gives_is_taken(values: np.ndarray, scale) -> None:
    require_scale(values.astype("float32"), scale, "x.tif")


@pytest.mark.parametrize(
    ("values", "scale", "message"),
    [
        (POWER, "db", "no value is negative"),
        (DECIBEL, "power", "most values are negative"),
        (DECIBEL * 100, "db", "can't be; a scaled integer"),
        (POWER * 1e4, "power", "can't be; a scaled integer"),
        (np.sqrt(POWER) * 1000, "amplitude", "can't be; a scaled integer"),
    ],
)
def test_another_scale_is_refused(values: np.ndarray, scale, message: str) -> None:
    with pytest.raises(InputError, match=rf"x\.tif: .*{message}"):
        require_scale(values.astype("float32"), scale, "x.tif")


@pytest.mark.parametrize("fill", [-9999.0, -32768.0, 3.4e38, 0.0, np.inf])
def test_fill_values_of_decibels_are_no_data(tmp_path, fill: float) -> None:
    name = "S1A__IW___A_20230514T165821_{}_gamma0-rtc_db.tif"
    for band in ("VV", "VH"):
        write(tmp_path / name.format(band), np.where(slanted(), fill, DECIBEL).astype("float32"))
    scene = read_backscatter(tmp_path)
    np.testing.assert_array_equal(np.isnan(scene.vv.values), slanted())
    np.testing.assert_allclose(scene.vv.values[~slanted()], POWER[~slanted()], rtol=1e-5)


def test_products_that_lie_otherwise_are_the_same_scene(tmp_path) -> None:
    """South-up, with heights in its CRS, and in integers with a scale and an offset."""
    up = GeoBox(GRID.shape, GRID.affine @ Affine(1, 0, 0, 0, -1, GRID.shape.y), GRID.crs)
    whole = np.round(DECIBEL * 100).astype("int16")
    for band in ("VV", "VH"):
        name = f"S1A__IW___A_20230514T165821_{band}_gamma0-rtc_db.tif"
        write(tmp_path / "plain" / name, whole.astype("float32") / 100)
        write(tmp_path / "other" / name, whole[::-1].copy(), up)
        with rasterio.open(tmp_path / "other" / name, "r+") as raster:
            raster.scales, raster.offsets = (0.01,), (0.0,)
            raster.crs = "EPSG:32632+3855"
    plain, other = (read_backscatter(tmp_path / n) for n in ("plain", "other"))
    found = mosaic_backscatter([other], GRID)["vv"].compute()
    np.testing.assert_allclose(found, plain.vv.values, rtol=1e-5)
