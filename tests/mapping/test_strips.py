"""However a map is cut into strips, and by however many threads, it is that of the whole arrays."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from floodloom.mapping.delineate import Evidence, delineate_flood
from floodloom.mapping.outlines import Outlines
from floodloom.mapping.polygons import PolygonsOfMap
from floodloom.mapping.settings import DelineateSettings
from floodloom.mapping.water import Pace
from floodloom.raster.areas import pixel_areas
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import pixel_geobox
from floodloom.raster.rows import ReadRows, RememberedRows, StoredMask, around, by_strips
from floodloom.raster.sieve import sieve_patches
from floodloom.settings import arguments_of
from floodloom.stages.delineate import delineate
from tests.mapping.whole import classified, outlined, sieved

SHAPE = (307, 211)
AFFINE = Affine(10, 0, 300000, 0, -10, 5200000)
GRID = GeoBox(SHAPE, AFFINE, "EPSG:32633")
PACES = [Pace(rows, threads) for rows in (1, 64, 100, 512) for threads in (1, 2)]


def spiral(height: int, width: int) -> np.ndarray:
    """A patch 3 px wide that winds from the edge to the middle, 3 px of land between its turns."""
    made = np.zeros((height, width), bool)
    for turn in range(0, min(height, width) // 2, 6):
        made[turn : turn + 3, max(turn - 6, 0) : width - turn] = True
        made[turn : height - turn, width - turn - 3 : width - turn] = True
        made[height - turn - 3 : height - turn, turn : width - turn] = True
        made[turn + 6 : height - turn, turn : turn + 3] = True
    return made


def comb(height: int, width: int) -> np.ndarray:
    """Teeth that meet at the last row alone."""
    made = np.arange(width) % 4 < 2
    whole = np.repeat(made[np.newaxis], height, axis=0)
    whole[-2:] = True
    return whole


def rough(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(height, width))
    return gaussian_filter(noise, 1.1) > 0.02


PATTERNS = {"spiral": spiral, "comb": comb, "rough": rough}


def event(pattern: str, shape: tuple[int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Percent of water after and before, with holes of land, lakes, and seams of no data."""
    wet, lakes = PATTERNS[pattern](*shape), rough(*shape, seed=7) & rough(*shape, seed=8)
    after = np.where(wet, 90, 3).astype("uint8")
    after[rough(*shape, seed=3) & rough(*shape, seed=4) & rough(*shape, seed=5)] = 55
    before = np.where(lakes, 80, 0).astype("uint8")
    before[rough(*shape, seed=9) & rough(*shape, seed=10)] = 30
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    after[np.abs(rows - cols) < 3] = 255
    after[:, : shape[1] // 9] = 255
    before[shape[0] // 2 : shape[0] // 2 + 5] = 255
    return after, before


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("crs", ["EPSG:32633", None])
def test_classes_are_those_of_the_whole(pattern, crs) -> None:
    areas = pixel_areas(GRID if crs else pixel_geobox(*SHAPE))
    after, before = event(pattern)
    settings = DelineateSettings(minimum_mapping_unit=0.2)
    expected = classified(after, before, settings, areas)
    assert set(np.unique(expected)) == {0, 1, 2, 3, 255}
    for pace in PACES:
        found = delineate_flood(Evidence(after, before, areas=areas), settings, pace)
        np.testing.assert_array_equal(found.read()[0], expected, err_msg=str(pace))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_classes_and_outlines_of_a_larger_map_are_those_of_the_whole(pattern) -> None:
    shape = (601, 401)
    grid = GeoBox(shape, AFFINE, "EPSG:32633")
    areas = pixel_areas(grid)
    after, before = event(pattern, shape)
    settings = DelineateSettings(minimum_mapping_unit=0.2)
    expected = classified(after, before, settings, areas)
    wanted = np.where(expected == 255, 0, expected)
    drawn = outlined(wanted, grid.affine)
    for pace in (Pace(rows, threads) for rows in (64, 100, 256) for threads in (1, 2)):
        found = delineate_flood(Evidence(after, before, areas=areas), settings, pace)
        np.testing.assert_array_equal(found.read()[0], expected, err_msg=str(pace))
        assert outlines(wanted, pace.rows, grid) == drawn, pace


@pytest.mark.parametrize("seed", range(6))
def test_small_patches_among_small_patches_go_the_way_of_the_largest(seed) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(5, 60, 2).tolist())
    water, seen = random.random(shape) < 0.5, random.random(shape) < 0.95
    areas = pixel_areas(pixel_geobox(*shape))
    for minimum in (2, 4, 9, 30):
        expected = sieved(water, seen, minimum, areas)
        for rows in (1, 3, 7, 64):
            found = sieve_patches(water, seen, minimum, areas, rows=rows)[:]
            np.testing.assert_array_equal(found, expected)


def outlines(values: np.ndarray, rows: int, grid: GeoBox) -> set[tuple[int, bytes]]:
    drawing = Outlines(pixel_areas(grid), grid.affine)
    parts = [
        drawing.add(values[a : a + rows], values[a : a + rows]) for a in range(0, len(values), rows)
    ]
    parts.append(drawing.finish())
    return {(int(v), o) for p in parts for v, o in zip(p.value, p.outline, strict=True)}


@pytest.mark.parametrize("seed", range(20))
def test_outlines_are_those_of_gdal(seed) -> None:
    """Also where a patch touches itself at a corner, or goes around others."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 50, 2).tolist())
    values = random.integers(0, 3, shape).astype("uint8")
    if seed % 2:
        values = np.digitize(gaussian_filter(random.normal(size=shape), 1), [-0.1, 0.1, 0.2])
    grid = GeoBox(shape, AFFINE, "EPSG:32633")
    values = values.astype("uint8")
    for rows in (1, 7, 64):
        found = outlines(values, rows, grid)
        assert found == outlined(values, AFFINE)
        assert shapely.is_valid(shapely.from_wkb([outline for _, outline in found])).all()


def test_patches_are_complete_as_soon_as_they_end() -> None:
    values = np.zeros((30, 20), "uint8")
    values[1:3, 2:4] = 2
    values[5:25, 10] = 1
    drawing = Outlines(pixel_areas(pixel_geobox(30, 20)), Affine.identity())
    ended = [len(drawing.add(values[a : a + 5], values[a : a + 5]).value) for a in range(0, 30, 5)]
    assert ended == [1, 0, 0, 0, 0, 1]


def test_polygons_come_the_largest_first_with_area_and_mean() -> None:
    classes, percent = np.zeros((9, 9), "uint8"), np.zeros((9, 9), "uint8")
    classes[1:3, 1:3], percent[1:3, 1:3] = 2, [[50, 60], [70, 81]]
    classes[5:8, 2:8], percent[5:8, 2:8] = 1, 40
    classes[0, 8] = 255
    made = PolygonsOfMap(pixel_geobox(9, 9))
    for row in range(0, 9, 2):
        made.add(classes[row : row + 2], percent[row : row + 2])
    found = made.finish({"event": "e"})
    assert found.columns["class"].tolist() == [1, 2]
    assert found.columns["name"].tolist() == ["permanent water", "flood"]
    assert found.columns["area_ha"].tolist() == [18 / 10_000, 4 / 10_000]
    assert found.columns["likelihood"].tolist() == [40.0, 65.2]
    assert found.columns["event"].tolist() == ["e", "e"]


def test_masks_are_held_and_changed_by_strips() -> None:
    mask = rough(50, 37)
    held = StoredMask(37)
    for start in (0, 7, 30):
        held.append(mask[start : {0: 7, 7: 30, 30: 50}[start]])
    for rows in (slice(0, 50), slice(6, 8), slice(10, 10), slice(29, 31), slice(49, 50)):
        np.testing.assert_array_equal(held[rows], mask[rows])
    held.toggle(np.array([6, 7, 49]), np.array([0, 3, 36]), np.array([2, 37, 37]))
    mask[6, :2] ^= True
    mask[7, 3:] ^= True
    mask[49, 36] ^= True
    np.testing.assert_array_equal(held[:], mask)
    rows, inner = around(mask, 0, 5, 3)
    assert len(rows) == 8
    np.testing.assert_array_equal(rows[inner], mask[:5])


def test_rows_are_remembered_by_strips() -> None:
    mask, read = rough(2000, 9), []

    def rows(start: int, stop: int) -> np.ndarray:
        read.append((start, stop))
        return mask[start:stop]

    layer = RememberedRows(ReadRows(mask.shape, rows))
    for start, stop in ((0, 512), (0, 513), (500, 1100), (1990, 2000), (1999, 1999)):
        np.testing.assert_array_equal(layer[start:stop], mask[start:stop])
    assert read == [(0, 512), (512, 1024), (1024, 1536), (1536, 2000)]
    with pytest.raises(ZeroDivisionError):
        RememberedRows(ReadRows(mask.shape, lambda a, b: a // 0))[:5]


def test_strips_come_in_order_and_no_more_are_made_than_are_wanted() -> None:
    made, lock = [], threading.Lock()

    def strip(start: int, stop: int) -> tuple[int, int]:
        with lock:
            made.append(start)
        return start, stop

    strips = by_strips(strip, 95, rows=10, threads=2)
    assert next(strips) == (0, (0, 10))
    assert len(made) <= 3
    assert [found for _, found in strips][-1] == (90, 95)
    with pytest.raises(ZeroDivisionError):
        list(by_strips(lambda a, b: a // 0, 95, rows=10, threads=2))


def written(folder: Path, threads: int) -> Path:
    folder.mkdir()
    after, before = event("rough")
    paths = {}
    for name, percent in (("after", after), ("before", before)):
        tags = {"ACQUISITION_TIME": "2023-05-14T16:58:21"}
        paths[name] = write_cog(percent, folder / f"{name}.tif", geobox=GRID, nodata=255, tags=tags)
    rows, cols = np.mgrid[:120, :90]
    dem = (np.hypot(rows - 50, cols - 40) * 3 + np.sin(cols) * 5).astype("float32")
    coarse = GeoBox(dem.shape, Affine(30, 0, 299700, 0, -30, 5200200), "EPSG:32633")
    write_cog(dem, folder / "dem.tif", geobox=coarse, nodata=-9999)
    given = {
        "probability": [paths["after"]],
        "before": (paths["before"],),
        "dem": folder / "dem.tif",
        "maximum_slope": 6.0,
        "maximum_height": 40.0,
        "event": "e",
        "threads": threads,
        **{
            k: folder / f"flood.{e}"
            for k, e in (("out", "tif"), ("vectors", "gpkg"), ("item", "json"))
        },
        "likelihood": folder / "likelihood.tif",
        "areas": folder / "areas.csv",
    }
    delineate(**arguments_of(delineate, given))
    return folder


def test_files_are_the_same_whatever_the_strips_and_threads(tmp_path, monkeypatch) -> None:
    one = written(tmp_path / "one", 1)
    monkeypatch.setattr("floodloom.stages.delineate.Pace", lambda threads: Pace(37, threads))
    two = written(tmp_path / "two", 2)
    for name in ("flood.tif", "likelihood.tif"):
        with rasterio.open(one / name) as a, rasterio.open(two / name) as b:
            np.testing.assert_array_equal(a.read(), b.read())
    reasons = rasterio.open(one / "flood.tif").read(2)
    assert set(np.unique(reasons).tolist()) == {0, 3, 6, 7, 255}
    first, second = (pyogrio.read_dataframe(f / "flood.gpkg") for f in (one, two))
    assert first.equals(second)
    assert (one / "areas.csv").read_text() == (two / "areas.csv").read_text()
    facts = [json.loads((f / "flood.json").read_text())["properties"] for f in (one, two)]
    assert facts[0] == facts[1]
