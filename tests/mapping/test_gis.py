"""A flood map in other programs: their defaults warp, tile and convert it without loss."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.merge import merge
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT

from floodloom.mapping.products import (
    COLOURS,
    flood_map_profile,
    likelihood_profile,
    map_bands,
    write_depth,
)
from floodloom.raster.cog import cog_writer, write_cog
from floodloom.raster.grid import grid_from_bounds

GRID = grid_from_bounds((400000, 5000000, 412000, 5009000), 32633, 10.0)
SHAPE = tuple(GRID.shape.yx)
ROWS, COLS = np.mgrid[: SHAPE[0], : SHAPE[1]]
CLASSES = (COLS * 4 // SHAPE[1]).astype("uint8")
CLASSES[:200] = 255
REASONS = np.where(CLASSES == 3, 1 + ROWS * 9 // SHAPE[0], 0).astype("uint8")
PERCENT = np.where(CLASSES == 255, 255, COLS * 5 // SHAPE[1] * 25).astype("uint8")
DEPTH = np.where(CLASSES == 2, ROWS / 100, np.nan).astype("float32")
NEAR = 0.02  # share of a class that resampling may move

gdal = pytest.mark.skipif(shutil.which("gdal_translate") is None, reason="needs GDAL's programs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("gis")
    with cog_writer(made / "flood.tif", flood_map_profile(GRID, {})) as raster:
        raster.write(map_bands(CLASSES, REASONS))
    with cog_writer(made / "likelihood.tif", likelihood_profile(GRID, {})) as raster:
        raster.write(PERCENT, 1)
    write_depth(DEPTH, made / "depth.tif", geobox=GRID, tags={})
    spread = np.where(PERCENT == 255, 255, PERCENT // 4).astype("uint8")
    write_cog(np.stack([PERCENT, spread]), made / "probability.tif", geobox=GRID, nodata=255)
    return made


def shares(values: np.ndarray, nodata: float) -> dict[int, float]:
    """Share of each value of what isn't no data; of floats, by whole metres."""
    known = values[~np.isnan(values)] if np.isnan(nodata) else values[values != nodata]
    found, counts = np.unique(known.astype(int), return_counts=True)
    return {int(v): n / known.size for v, n in zip(found, counts, strict=True)}


def assert_same_shares(one: np.ndarray, other: np.ndarray, nodata: float) -> None:
    wanted, found = shares(one, nodata), shares(other, nodata)
    assert set(found) == set(wanted)
    for value, share in wanted.items():
        assert found[value] == pytest.approx(share, rel=NEAR), value


def bands(path: Path) -> tuple[np.ndarray, float]:
    with rasterio.open(path) as raster:
        return raster.read(), raster.nodata


PRODUCTS = ("flood", "likelihood", "depth", "probability")


@pytest.mark.parametrize("name", PRODUCTS)
def test_no_band_is_alpha_at_any_zoom(folder, name) -> None:
    path = folder / f"{name}.tif"
    with rasterio.open(path) as raster:
        levels = range(-1, len(raster.overviews(1)))
    for level in levels:
        options = {} if level < 0 else {"overview_level": level}
        with rasterio.open(path, **options) as raster:
            assert raster.colorinterp[0].name == ("palette" if name == "flood" else "gray")
            assert {band.name for band in raster.colorinterp[1:]} <= {"undefined"}
            for flags in raster.mask_flag_enums:
                assert [flag.name for flag in flags] == ["nodata"]
            whole, nodata = bands(path)
            for band, small in zip(whole, raster.read(), strict=True):
                assert_same_shares(band, small, nodata)


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_a_default_warp_keeps_every_value(folder, name, crs) -> None:
    whole, nodata = bands(folder / f"{name}.tif")
    with (
        rasterio.open(folder / f"{name}.tif") as raster,
        WarpedVRT(raster, crs=crs) as warped,
    ):
        assert warped.count == raster.count
        assert warped.nodata == pytest.approx(raster.nodata, nan_ok=True)
        for band, moved in zip(whole, warped.read(), strict=True):
            assert_same_shares(band, moved, nodata)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_default_merge_keeps_every_pixel(folder, name) -> None:
    path = folder / f"{name}.tif"
    merged, _ = merge([path])
    np.testing.assert_array_equal(merged, bands(path)[0])


@pytest.mark.parametrize("name", ["flood", "likelihood", "probability"])
def test_a_picture_holds_every_pixel(folder, tmp_path, name) -> None:
    copy(folder / f"{name}.tif", tmp_path / "p.png", driver="PNG")
    np.testing.assert_array_equal(bands(tmp_path / "p.png")[0], bands(folder / f"{name}.tif")[0])


def test_colours_tell_all_classes_apart_and_from_no_data(folder) -> None:
    with rasterio.open(folder / "flood.tif") as raster:
        palette = raster.colormap(1)
    seen = {palette[value] for value in COLOURS}
    assert len(seen) == len(COLOURS)
    assert all(alpha == 255 for *_, alpha in seen)
    assert palette[255][3] == 0


@gdal
@pytest.mark.parametrize("name", PRODUCTS)
def test_gdalwarp(folder, tmp_path, name) -> None:
    source = folder / f"{name}.tif"
    program("gdalwarp", "-t_srs", "EPSG:3857", source, tmp_path / "w.tif")
    whole, nodata = bands(source)
    for band, moved in zip(whole, bands(tmp_path / "w.tif")[0], strict=True):
        assert_same_shares(band, moved, nodata)


@gdal
def test_a_picture_in_colours_shows_every_class(folder, tmp_path) -> None:
    expanded = tmp_path / "e.vrt"
    program("gdal_translate", "-b", "1", "-expand", "rgba", folder / "flood.tif", expanded)
    program("gdal_translate", "-of", "PNG", expanded, tmp_path / "e.png")
    pictured = colours([tmp_path / "e.png"])
    counts = Counter(CLASSES[CLASSES != 255].tolist())
    assert {COLOURS[value]: count for value, count in counts.items()} == {
        colour: count for colour, count in pictured.items() if colour[3]
    }


@gdal
@pytest.mark.skipif(shutil.which("gdal2tiles.py") is None, reason="needs gdal2tiles.py")
def test_tiles_show_every_class(folder, tmp_path) -> None:
    expanded = tmp_path / "e.vrt"
    program("gdal_translate", "-b", "1", "-expand", "rgba", folder / "flood.tif", expanded)
    program("gdal2tiles.py", "--zoom=13", "--resampling=near", expanded, tmp_path / "tiles")
    pictured = colours(sorted((tmp_path / "tiles").rglob("*.png")))
    shown = {value: pictured[colour] for value, colour in COLOURS.items()}
    wanted = shares(CLASSES, 255)
    for value, share in wanted.items():
        assert shown[value] / sum(shown.values()) == pytest.approx(share, rel=NEAR)


def program(*arguments: object) -> None:
    subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True)


def colours(pictures: list[Path]) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for picture in pictures:
        with rasterio.open(picture) as raster:
            pixels = raster.read().reshape(raster.count, -1).T
        values, counts = np.unique(pixels, axis=0, return_counts=True)
        found.update(dict(zip(map(tuple, values.tolist()), counts.tolist(), strict=True)))
    return found
