"""Elevations of any coding, unit, datum and orientation are the same elevations."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.raster.vertical import Vertical
from floodloom.raster.windows import Window
from floodloom.sentinel1.elevation import elevation_bounds, elevation_raster, open_elevation
from floodloom.sentinel1.heights import datum_of
from floodloom.sentinel1.relief import Elevation, mean_of_squares, read_elevation
from tests.raster.test_foreign import write

GRID = GeoBox((120, 140), Affine(20.0, 0, 500000.0, 0, -20.0, 5100000.0), "EPSG:32633")
WHOLE = Window(0, 0, 120, 140)
HOLE = (slice(50, 60), slice(70, 75))
FOOT = 0.3048


def hills() -> np.ndarray:
    """(y, x) float32, m, in whole decimetres, NaN in a hole."""
    y, x = np.mgrid[:120, :140]
    values = (300 + 80 * np.sin(x / 9) * np.cos(y / 7)).round(1).astype("float32")
    values[HOLE] = np.nan
    return values


def with_fill(fill: float, dtype: str = "float32") -> np.ndarray:
    return np.nan_to_num(hills(), nan=fill).astype(dtype)


WRITTEN = {
    "a spike": (with_fill(31000), {}),
    "-32768": (with_fill(-32768), {}),
    "-9999": (with_fill(-9999), {}),
    "3.4e38": (with_fill(3.4e38), {}),
    "decimetres by scale": (
        np.nan_to_num(hills() * 10, nan=-32768).round().astype("int16"),
        {"scales": (0.1,)},
    ),
    "decimetres by unit": (
        np.nan_to_num(hills() * 10, nan=-32768).round().astype("int16"),
        {"units": ("dm",)},
    ),
    "feet": (
        np.nan_to_num(hills() / FOOT, nan=-9999).astype("float32"),
        {"units": ("ft",), "nodata": -9999},
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_codings_give_the_same_elevations(tmp_path, name: str) -> None:
    values, facts = WRITTEN[name]
    path = write(tmp_path / "dem.tif", values, GRID, **facts)
    model = open_elevation(path, "ellipsoid", 20.0)
    np.testing.assert_allclose(model.read(GRID, WHOLE, 64), hills(), atol=1e-3)
    low, high = model.height_range(GRID, 64)
    assert (low, high) == pytest.approx((np.nanmin(hills()), np.nanmax(hills())), abs=1e-3)
    np.testing.assert_allclose(read_elevation(path, GRID).on(GRID)[:], hills(), atol=1e-3)


def test_orientations_give_the_same_elevations(tmp_path) -> None:
    up = GeoBox((120, 140), GRID.affine @ Affine(1, 0, 0, 0, -1, 120), GRID.crs)
    side = GeoBox((140, 120), GRID.affine @ Affine(0, 1, 0, 1, 0, 0), GRID.crs)
    for name, values, grid in (
        ("south-up", hills()[::-1].copy(), up),
        ("on its side", hills().T.copy(), side),
    ):
        path = write(tmp_path / f"{name}.tif", values, grid)
        found = open_elevation(path, "ellipsoid", 20.0).read(GRID, WHOLE, 64)
        np.testing.assert_allclose(found, hills(), atol=1e-3, err_msg=name)
        bounds = elevation_bounds(path, "EPSG:32633", (14, 45, 16, 47))
        assert bounds == pytest.approx((500000, 5097600, 502800, 5100000)), name


def test_a_folder_of_tiles_is_one_elevation_model(tmp_path) -> None:
    for number, cols in enumerate((slice(0, 75), slice(75, 140))):
        write(tmp_path / "tiles" / f"{number}.tif", hills()[:, cols].copy(), GRID[:, cols])
    whole = write(tmp_path / "dem.tif", hills(), GRID)
    one, other = (open_elevation(p, "ellipsoid", 20.0) for p in (whole, tmp_path / "tiles"))
    np.testing.assert_array_equal(other.read(GRID, WHOLE, 64), one.read(GRID, WHOLE, 64))


def test_unknown_unit_is_refused(tmp_path) -> None:
    path = write(tmp_path / "dem.tif", hills(), GRID, units=("fathom",))
    with pytest.raises(InputError, match=r"dem\.tif: elevations in 'fathom'"):
        open_elevation(path, "ellipsoid", 20.0)


def vertical(tmp_path: Path, crs: str) -> Vertical | None:
    return elevation_raster(write(tmp_path / "dem.tif", hills(), GRID, crs=crs))[0].vertical


@pytest.mark.parametrize(
    ("crs", "datum"),
    [
        ("EPSG:32633+3855", "egm2008"),
        ("EPSG:32633+5773", "egm96"),
        ("EPSG:32633+4979", "ellipsoid"),
    ],
)
def test_the_crs_says_what_heights_are_measured_from(tmp_path, crs: str, datum: str) -> None:
    found = vertical(tmp_path, crs)
    assert datum_of(found, None, "dem.tif") == datum
    assert datum_of(found, datum, "dem.tif") == datum
    other = "egm96" if datum != "egm96" else "egm2008"
    with pytest.raises(InputError, match=rf"dem\.tif: its CRS states .*dem_heights is {other}"):
        datum_of(found, other, "dem.tif")


def test_a_crs_without_heights_is_said(tmp_path, caplog) -> None:
    assert vertical(tmp_path, "EPSG:32633") is None
    assert datum_of(None, None, "dem.tif") == "ellipsoid"
    assert "dem.tif: its CRS doesn't state what heights are measured from" in caplog.text
    caplog.clear()
    assert datum_of(None, "egm96", "dem.tif") == "egm96"
    assert not caplog.text


def test_heights_of_a_country_are_refused_unless_they_are_said_to_be_close(tmp_path) -> None:
    found = vertical(tmp_path, "EPSG:32633+5703")
    with pytest.raises(InputError, match=r"dem\.tif: its heights are NAVD88 height"):
        datum_of(found, None, "dem.tif")
    assert datum_of(found, "egm96", "dem.tif") == "egm96"


def test_relief_is_the_same_by_any_rows() -> None:
    """On a grid of another reference system, over the edge of the raster and a gap in it."""
    values = hills()
    values[20:30, 20:25] = np.nan
    degrees = GeoBox(values.shape, Affine(1e-4, 0, 14.28, 0, -1e-4, 45.16), "EPSG:4326")
    elevation = Elevation(values, degrees, "dem.tif")
    outline = degrees.to_crs("EPSG:32633", resolution=7.0)
    for layer in (elevation.on(outline), elevation.slope_on(outline), elevation.height_on(outline)):
        whole = layer[:]
        assert np.isfinite(whole).any()
        assert np.isnan(whole).any()
        parts = [layer[row : row + 37] for row in range(0, layer.shape[0], 37)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-4)


def test_fine_elevation_is_averaged_before_water_runs_over_it(monkeypatch) -> None:
    values = np.array([[1, 3, 5], [np.nan, 2, 7], [4, 6, np.nan]], "float32")
    np.testing.assert_array_equal(mean_of_squares(values, 2), [[2, 6], [5, np.nan]])
    rows, cols = np.mgrid[:120, :90]
    slope = (np.abs(cols - 44.5) * 2 + (120 - rows) * 0.1).astype("float32")
    grid = GeoBox(slope.shape, Affine(100, 0, 400000, 0, -100, 5000000), "EPSG:32633")
    fine = Elevation(slope, grid, "dem.tif").height_on(grid)[:]
    monkeypatch.setattr("floodloom.sentinel1.relief._MOST_ROUTED", slope.size // 2)
    coarse = Elevation(slope, grid, "dem.tif").height_on(grid)[:]
    assert not np.array_equal(coarse, fine)
    np.testing.assert_allclose(coarse[20:-2, 2:-2], fine[20:-2, 2:-2], atol=4.0)
