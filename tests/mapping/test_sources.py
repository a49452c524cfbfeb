"""Reference water, land cover and probabilities of others."""

import json
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.mapping.sources import (
    open_probability,
    read_land_cover,
    read_percent,
    read_reference,
)
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import geobox_of
from floodloom.stages.evaluate import evaluate
from tests.raster.test_foreign import write

GRID = GeoBox((30, 40), Affine(10.0, 0, 500000.0, 0, -10.0, 5100000.0), "EPSG:32633")
WATER = np.zeros((30, 40), bool)
WATER[10:20, 5:25] = True


def reference(tmp_path: Path, values: np.ndarray, minimum: int | None = None, **facts):
    return read_reference(write(tmp_path / "water.tif", values, GRID, **facts), GRID, minimum)[:]


def occurrence(dtype: str = "uint8") -> np.ndarray:
    return np.where(WATER, 95, 0).astype(dtype)


@pytest.mark.parametrize(
    ("values", "minimum"),
    [
        (WATER.astype("uint8"), None),
        (WATER.astype("float32"), None),
        (occurrence(), 50),
        (occurrence("float32") + np.float32(0.4) * WATER, 50),
        (np.where(WATER, 12, 0).astype("uint8"), 12),
        (np.where(WATER, 700, 0).astype("uint16"), 500),
    ],
)
def test_reference_water_is_understood(tmp_path, values: np.ndarray, minimum: int | None) -> None:
    np.testing.assert_array_equal(reference(tmp_path, values, minimum), WATER)


def test_an_occurrence_without_a_minimum_is_said(tmp_path, caplog) -> None:
    np.testing.assert_array_equal(reference(tmp_path, occurrence()), WATER)
    assert "water.tif: holds numbers up to 95, so it is taken as the occurrence" in caplog.text
    assert "permanent from 50 on; set reference_minimum" in caplog.text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where(WATER, 12, 0).astype("uint8"), "it holds 12; set reference_minimum"),
        (np.where(WATER, 2, 1).astype("uint8"), "it holds 2; set reference_minimum"),
        (np.where(WATER, 200, 0).astype("uint8"), "it holds 200; set reference_minimum"),
        (np.where(WATER, 0.95, 0).astype("float32"), "holds fractions such as 0.95"),
        (np.where(WATER, 255, 0).astype("uint8"), "holds 0 and 255 alone"),
    ],
)
def test_reference_water_that_can_t_be_told_is_refused(tmp_path, values, message: str) -> None:
    with pytest.raises(InputError, match=rf"water\.tif: .*{message}"):
        reference(tmp_path, values)


@pytest.mark.parametrize(
    ("fill", "dtype", "facts"),
    [
        (255, "uint8", {}),
        (101, "uint8", {}),
        (-9999, "int16", {}),
        (np.nan, "float32", {}),
        (77, "uint8", {"nodata": 77}),
    ],
)
def test_what_isn_t_known_of_water_is_unknown(tmp_path, fill, dtype: str, facts) -> None:
    values = np.where(WATER, 95, 0).astype(dtype)
    values[:, 30:] = fill
    expected = WATER.astype("uint8")
    expected[:, 30:] = 255
    np.testing.assert_array_equal(reference(tmp_path, values, 50, **facts), expected)


def test_the_real_extent_is_water_and_months_need_a_minimum(shared_data) -> None:
    folder = shared_data / "c2s_stac_overflow"
    grid = geobox_of(folder / "jrc_extent" / "ayt12.tif")
    assert (read_reference(folder / "jrc_extent" / "ayt12.tif", grid, None)[:] == 1).sum() == 2792
    months = folder / "jrc_seasonality" / "ayt12.tif"
    assert (read_reference(months, grid, 3)[:] == 1).sum() == 1004 + 189 + 77
    with pytest.raises(InputError, match="set reference_minimum"):
        read_reference(months, grid, None)


def test_reference_water_of_other_ground_is_refused(tmp_path) -> None:
    path = write(tmp_path / "water.tif", WATER.astype("uint8"), GRID.translate_pix(999, 0))
    with pytest.raises(InputError, match=r"water\.tif: covers nothing of the map"):
        read_reference(path, GRID, None)


def test_255_that_is_declared_is_no_data(tmp_path) -> None:
    values = np.where(WATER, 255, 0).astype("uint8")
    np.testing.assert_array_equal(reference(tmp_path, values, nodata=255), values)
    path = write(tmp_path / "p.tif", values, GRID)
    with pytest.raises(InputError, match=r"p\.tif: holds 0 and 255 alone"):
        read_percent(path)


def test_land_cover_of_many_classes_keeps_its_codes(tmp_path) -> None:
    codes = np.where(WATER, 512, 111).astype("int32")
    codes[0] = -32768
    found = read_land_cover(write(tmp_path / "cover.tif", codes, GRID, nodata=-32768), GRID)[:]
    np.testing.assert_array_equal(found, np.where(codes == -32768, -1, codes))
    small = np.where(WATER, 80, 255).astype("uint8")
    found = read_land_cover(write(tmp_path / "small.tif", small, GRID), GRID)[:]
    np.testing.assert_array_equal(found, np.where(WATER, 80, -1))


def percent() -> np.ndarray:
    """(y, x) uint8 percent, the left columns unknown."""
    values = np.random.default_rng(0).integers(0, 101, (30, 40)).astype("uint8")
    values[:, :7] = 255
    return values


UNKNOWN = percent() == 255
WRITTEN = {
    "percent": (percent(), {"nodata": 255}),
    "undeclared": (percent(), {}),
    "no percentage": (np.where(UNKNOWN, 180, percent()).astype("uint8"), {}),
    "-9999": (np.where(UNKNOWN, -9999, percent()).astype("int16"), {"nodata": -9999}),
    "undeclared -9999": (np.where(UNKNOWN, -9999, percent()).astype("float32"), {}),
    "hundredths": (percent(), {"nodata": 255, "scales": (0.01,)}),
    "percent with decimals": (np.where(UNKNOWN, np.nan, percent()).astype("float64"), {}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_probabilities_of_others(tmp_path, name: str) -> None:
    values, facts = WRITTEN[name]
    path = write(tmp_path / "p.tif", values, GRID, **facts)
    np.testing.assert_array_equal(read_percent(path).percent, percent())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where(UNKNOWN, np.nan, percent() / 100).astype("float32"), "holds fractions"),
        (np.where(UNKNOWN, 255, 200).astype("uint8"), "no pixel is a percentage, .* such as 200"),
        (np.full((3, 30, 40), 60, "uint8"), "picture of 3 bands"),
        (np.arange(1200).reshape(30, 40).astype("uint8"), "many numbers beyond 100"),
        (np.arange(0, 12000, 10).reshape(30, 40).astype("uint16"), "many numbers beyond 100"),
        (np.where(UNKNOWN, 255, WATER * 3).astype("uint8"), "0 to 3 alone, so they may be classes"),
        (np.where(UNKNOWN, np.nan, WATER * 2).astype("float32"), "0 to 2 alone"),
        (np.where(UNKNOWN, -9999, 1).astype("int16"), "0 and 1 alone"),
        (np.where(WATER, 255, 0).astype("uint8"), "holds 0 and 255 alone"),
    ],
)
def test_what_may_be_no_percentage_is_refused(tmp_path, values, message: str) -> None:
    facts = {"photometric": "RGB"} if values.ndim == 3 else {}
    with pytest.raises(InputError, match=rf"p\.tif: .*{message}"):
        read_percent(write(tmp_path / "p.tif", values, GRID, **facts))


def test_a_few_codes_beyond_100_are_no_data(tmp_path) -> None:
    values = np.where(UNKNOWN, 0, percent()).astype("uint8")
    values[:, :7] = np.arange(30)[:, np.newaxis] % 5 + 250
    np.testing.assert_array_equal(
        read_percent(write(tmp_path / "p.tif", values, GRID)).percent, percent()
    )


@pytest.mark.parametrize("product", ["flood_map", "flood_likelihood", "flood_depth", "x"])
def test_other_products_are_no_probability(tmp_path, product: str) -> None:
    tags = {"FLOODLOOM_PRODUCT": product}
    path = write(tmp_path / "p.tif", percent(), GRID, tags=tags)
    with pytest.raises(InputError, match=rf"p\.tif: is a '{product}'; give the probability"):
        read_percent(path)


def test_a_mask_elsewhere_in_the_raster_is_understood(tmp_path) -> None:
    """255 beside other numbers is unknown, though none of them lies on the map."""
    values = np.zeros((30, 80), "uint8")
    values[:, 60:] = 1
    values[:5, :5] = 255
    path = write(tmp_path / "water.tif", values, GRID.pad(0, 0)[:, :40].expand((30, 80)))
    found = read_reference(path, GRID, None)[:]
    np.testing.assert_array_equal(found, np.where(values[:, :40] == 255, 255, 0))


def test_a_mask_is_no_probability(tmp_path) -> None:
    path = write(tmp_path / "p.tif", WATER.astype("uint8"), GRID)
    with pytest.raises(InputError, match=r"p\.tif: holds 0 and 1 alone, so it may be a mask"):
        read_percent(path)
    tags = {"FLOODLOOM_PRODUCT": "water_probability"}
    own = write_cog(WATER.astype("uint8"), tmp_path / "own.tif", geobox=GRID, nodata=255, tags=tags)
    np.testing.assert_array_equal(read_percent(own).percent, WATER)


@pytest.mark.parametrize("name", WRITTEN)
def test_probabilities_of_others_score_as_ours_do(tmp_path, name: str) -> None:
    values, facts = WRITTEN[name]
    path = write(tmp_path / "e" / "p.tif", values, GRID, **facts)
    truth = write(tmp_path / "truth.tif", (percent() >= 50).astype("uint8") * 2, GRID)
    scores = evaluate(prediction=[path], truth=[truth], out=tmp_path / "scores.json")
    assert json.loads(scores.read_text())["water"]["iou"] == 1.0


def test_mosaics_of_two_zones_lie_on_the_first_s_pixels(tmp_path) -> None:
    """One date whose mosaics were made in neighbouring zones."""
    west = GeoBox((30, 40), Affine(100.0, 0, 740000.0, 0, -100.0, 5100000.0), "EPSG:32632")
    east = GeoBox((30, 40), Affine(100.0, 0, 281000.0, 0, -100.0, 5100000.0), "EPSG:32633")
    paths = [
        write(tmp_path / f"{n}.tif", np.full((30, 40), v, "uint8"), grid, nodata=255)
        for n, v, grid in (("w", 20, west), ("e", 80, east))
    ]
    found = open_probability(paths)
    assert found.grid.crs == west.crs
    assert found.grid.resolution == west.resolution
    percent = found.percent[:]
    assert set(np.unique(percent)) <= {20, 50, 80, 255}
    counts = {v: int((percent == v).sum()) for v in (20, 50, 80)}
    assert counts[20] + counts[50] == 1200
    assert counts[80] + counts[50] == pytest.approx(1200, rel=0.02)
