"""Rasters that are too large are refused by what they state, before memory is taken."""

import time

import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.mapping.sources import read_percent
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.placing import mosaic_grid
from floodloom.raster.windows import SETTING, Window, most_held, most_planned, require_pixels


def sparse(path, side: int):
    """A raster of this side that takes some hundred kilobytes."""
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=1, dtype="uint8", tiled=True,
        blockxsize=512, blockysize=512, SPARSE_OK=True, BIGTIFF="YES", compress="deflate",
        crs="EPSG:32633", transform=Affine(10, 0, 450000, 0, -10, 5083150),
    ):  # fmt: skip
        pass
    return path


@pytest.mark.parametrize("side", [70_000, 300_000])
def test_a_probability_that_no_memory_holds_is_refused_at_once(tmp_path, side) -> None:
    path = sparse(tmp_path / "p.tif", side)
    began = time.process_time()
    with pytest.raises(InputError, match=rf"p\.tif: {side:,} x .* set {SETTING}") as caught:
        read_percent(path)
    assert time.process_time() - began < 2.0
    assert "\n" not in str(caught.value)


def test_large_rasters_are_read_by_parts(tmp_path) -> None:
    raster = open_foreign(sparse(tmp_path / "p.tif", 70_000), Kind("land cover"))
    assert raster.read(Window(69_000, 69_000, 10, 20)).shape == (10, 20)
    with pytest.raises(InputError, match="more than the"):
        raster.read()


def test_mosaics_far_apart_are_refused() -> None:
    grids = [
        GeoBox((2, 2), Affine(10, 0, 450000, 0, -10, north), "EPSG:32633")
        for north in (1_000_000, 9_000_000)
    ]
    grids.append(GeoBox((2, 2), Affine(10, 0, 900000, 0, -10, 5_000_000), "EPSG:32633"))
    with pytest.raises(InputError, match=r"a, b, c: .* px are more than"):
        mosaic_grid(grids, ["a", "b", "c"])


def test_a_setting_raises_both_limits(monkeypatch) -> None:
    bounds = (0.0, 0.0, 200_000.0, 100_000.0)
    with pytest.raises(InputError, match=rf"set {SETTING} to a greater number"):
        grid_from_bounds(bounds, 32633, 1.0)
    with pytest.raises(InputError, match=rf"set {SETTING} to a greater number"):
        require_pixels(100_000, 200_000, "x.tif")
    monkeypatch.setenv(SETTING, "20_000_000_000")
    assert grid_from_bounds(bounds, 32633, 1.0).shape == (100_000, 200_000)
    require_pixels(100_000, 200_000, "x.tif")
    monkeypatch.setenv(SETTING, "100")
    assert most_held() == most_planned() == 100


@pytest.mark.parametrize("text", ["many", "-1", "0", "1e9", "9" * 5000])
def test_a_setting_that_is_no_number_is_refused(monkeypatch, text) -> None:
    monkeypatch.setenv(SETTING, text)
    with pytest.raises(InputError, match=f"{SETTING} is .*; give a number of pixels") as caught:
        most_held()
    assert len(str(caught.value)) < 200


def test_less_memory_is_a_lower_limit(monkeypatch, tmp_path) -> None:
    assert most_held() <= 2_000_000_000
    group = tmp_path / "memory.max"
    monkeypatch.setattr("floodloom.raster.windows._CONTROL_GROUP", group)
    group.write_text("80000000\n")
    assert most_held() == 10_000_000
    group.write_text("max\n")
    assert most_held() > 10_000_000
