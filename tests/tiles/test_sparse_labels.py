"""Points, lines and polygons with their classes label what they lie on, and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import (
    GeometryCollection,
    LineString,
    MultiLineString,
    MultiPoint,
    Point,
    Polygon,
    box,
)
from shapely.geometry.base import BaseGeometry

from floodloom.errors import InputError
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import pixel_geobox
from floodloom.stages.evaluate import evaluate
from floodloom.tiles.labels import labels_on_grid
from floodloom.tiles.sparse_labels import burn_sparse_labels

GRID = GeoBox((30, 40), Affine(10.0, 0, 500000.0, 0, -10.0, 5100000.0), "EPSG:32633")
ACROSS = GeoBox((30, 40), Affine(0.01, 0, 179.8, 0, -0.01, 10.0), "EPSG:4326")


def at(row: float, col: float, grid: GeoBox = GRID) -> tuple[float, float]:
    """Place on the map of a place in pixels, whole numbers being corners."""
    x, y = grid.affine @ (col, row)
    return x, y


def write(
    path: Path, geometries: list[BaseGeometry], epsg: int | None = 32633, **columns: object
) -> Path:
    frame = gpd.GeoDataFrame(columns, geometry=geometries, crs=32633 if epsg else None)
    (frame.to_crs(epsg) if epsg else frame).to_file(path)
    return path


def expected(**classes: tuple[object, ...]) -> np.ndarray:
    label = np.full((30, 40), 255)
    for name, place in classes.items():
        label[place] = {"dry": 0, "permanent": 1, "flood": 2}[name.rstrip("_")]
    return label


@pytest.mark.parametrize(
    ("ending", "epsg"), [("gpkg", 32633), ("geojson", 4326), ("shp", 3857), ("fgb", 32634)]
)
def test_points_lines_and_polygons_of_any_reference_system(tmp_path, ending, epsg) -> None:
    """A shapefile holds one kind of geometry, the others any."""
    marks: list[BaseGeometry] = [
        Point(at(3.9, 7.2)),
        LineString([at(10.4, 5.5), at(10.4, 20.5)]),
        Polygon([at(20.2, 20.2), at(20.2, 24.8), at(22.8, 24.8), at(22.8, 20.2)]),
    ]
    if ending == "shp":
        marks[:2] = [mark.buffer(4.9, cap_style="square") for mark in marks[:2]]
        marks[0] = box(*at(3.9, 7.1), *at(3.1, 7.9))
    path = write(tmp_path / f"labels.{ending}", marks, epsg, **{"class": ["flood", "dry", "1"]})
    label = burn_sparse_labels(path, GRID)
    np.testing.assert_array_equal(
        label,
        expected(
            flood=(3, 7), dry=(10, slice(5, 21)), permanent=(slice(20, 23), slice(20, 25))
        ),
    )  # fmt: skip


def test_points_and_lines_are_as_wide_as_stated(tmp_path) -> None:
    marks = [Point(at(5.1, 5.9)), LineString([at(20.5, 2.5), at(20.5, 9.5)]), Point(at(28.5, 30))]
    path = write(
        tmp_path / "labels.gpkg", marks, **{"class": [2, 0, 0], "width_px": [3, 3, None]}
    )  # fmt: skip
    label = burn_sparse_labels(path, GRID)
    np.testing.assert_array_equal(label[4:7, 4:7], 2)
    assert (label == 2).sum() == 9
    np.testing.assert_array_equal(label[19:22, 2:9], 0)
    assert (label[[18, 22]] == 255).all()
    assert (label[28] == 0).sum() == 1


@pytest.mark.parametrize("turn", [0.0, 35.0, 90.0, 123.0])
def test_a_line_of_one_pixel_has_no_gap(tmp_path, turn: float) -> None:
    step = 12 * np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    line = LineString([at(15.3 - step[0], 20.7 - step[1]), at(15.3 + step[0], 20.7 + step[1])])
    label = burn_sparse_labels(write(tmp_path / "l.gpkg", [line], **{"class": ["dry"]}), GRID)
    rows, cols = np.nonzero(label == 0)
    steps = max(np.ptp(rows), np.ptp(cols))
    assert steps >= 16
    along = rows if np.ptp(rows) == steps else cols
    assert np.unique(along).size == steps + 1
    assert rows.size <= 2 * steps


def test_what_contradicts_itself_is_unknown(tmp_path) -> None:
    marks = [box(*at(10, 0), *at(0, 10)), box(*at(10, 5), *at(0, 15))]
    path = write(tmp_path / "labels.gpkg", marks, **{"class": ["water", "dry"]})
    np.testing.assert_array_equal(
        burn_sparse_labels(path, GRID),
        expected(flood=(slice(10), slice(5)), dry=(slice(10), slice(10, 15))),
    )


def test_a_folder_has_a_file_for_each_class(tmp_path) -> None:
    write(tmp_path / "dry.gpkg", [MultiPoint([at(1, 1.5), at(8.5, 9.5)])])
    write(tmp_path / "water.geojson", [Point(at(20.5, 20.5))], 4326)
    (tmp_path / "notes.txt").write_text("by two people")
    found = labels_on_grid(tmp_path, GRID)
    assert sorted(zip(*np.nonzero(found == 0), strict=True)) == [(1, 1), (8, 9)]
    assert list(zip(*np.nonzero(found == 2), strict=True)) == [(20, 20)]
    write(tmp_path / "flooded.gpkg", [Point(at(1, 1))])
    with pytest.raises(InputError, match=r"flooded\.gpkg: not named after a class"):
        labels_on_grid(tmp_path, GRID)


def test_features_across_180_degrees_and_beyond_the_scene(tmp_path) -> None:
    frame = gpd.GeoDataFrame(
        {"class": ["dry", "flood", "dry"]},
        geometry=[Point(-179.95, 9.95), Point(179.85, 9.95), Point(20.0, 50.0)],
        crs=4326,
    )
    frame.to_file(tmp_path / "labels.gpkg")
    label = labels_on_grid(tmp_path / "labels.gpkg", ACROSS)
    rows, cols = np.nonzero(label != 255)
    assert len(rows) == 2
    assert abs(rows - 5).max() <= 1
    assert abs(cols - (5, 25)).max() <= 1
    np.testing.assert_array_equal(label[rows, cols], (2, 0))


def test_what_is_empty_or_mixed_is_no_trouble(tmp_path) -> None:
    marks = [
        None,
        Point(),
        GeometryCollection([Point(*at(1.5, 2.5), 30.0), box(*at(22, 30), *at(20, 32))]),
        MultiLineString([[at(9.5, 0.5), at(9.5, 3.5)], [at(12.5, 5.5), at(14.5, 5.5)]]),
    ]
    path = tmp_path / "labels.gpkg"
    gpd.GeoDataFrame({"class": [0, 0, 2, 0]}, geometry=marks, crs=32633).to_file(path)
    label = burn_sparse_labels(path, GRID)
    assert (label == 2).sum() == 5
    assert (label[1, 2], label[20, 30]) == (2, 2)
    assert (label == 0).sum() == 7


def test_many_points_are_quick(tmp_path) -> None:
    draw = np.random.default_rng(0)
    places = draw.uniform(0, (30, 40), (20_000, 2))
    marks = [Point(at(row, col)) for row, col in places]
    path = write(tmp_path / "labels.gpkg", marks, **{"class": [0] * len(marks)})
    expected_label = np.full((30, 40), 255)
    expected_label[tuple(places.astype(int).T)] = 0
    began = time.process_time()
    np.testing.assert_array_equal(burn_sparse_labels(path, GRID), expected_label)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("columns", "epsg", "message"),
    [
        ({"kind": ["dry"]}, 32633, r"no column `class` says .*; give dry, permanent_water, flood"),
        ({"class": ["wet"]}, 32633, r"column `class` holds 'wet', which is no class; give dry"),
        ({"class": [None]}, 32633, r"column `class` holds None, which is no class"),
        ({"class": [3]}, 32633, r"column `class` holds 3, which is no class"),
        ({"class": [0], "width_px": [0.2]}, 32633, r"`width_px` holds 0\.2; give 1 to 1000 px"),
        ({"class": [0], "width_px": ["w"]}, 32633, r"`width_px` holds 'w'; give 1 to 1000 px"),
        ({"class": [0]}, None, r"features and scene both need a CRS; georeference them"),
    ],
)
def test_what_labels_nothing_is_one_line(tmp_path, columns, epsg, message) -> None:
    path = write(tmp_path / "labels.gpkg", [Point(at(5, 5))], epsg, **columns)
    with pytest.raises(InputError, match=message) as refused:
        labels_on_grid(path, GRID)
    assert "\n" not in str(refused.value)


def test_a_scene_without_a_place_takes_no_features(tmp_path) -> None:
    path = write(tmp_path / "labels.gpkg", [Point(at(5, 5))], **{"class": [0]})
    with pytest.raises(InputError, match="both need a CRS"):
        labels_on_grid(path, pixel_geobox(30, 40))


def test_a_map_is_scored_where_it_is_labelled(tmp_path) -> None:
    places = [(2, 3, "flood"), (4, 30, "flood"), (20, 5, "dry"), (25, 35, "dry"), (9, 9, "dry")]
    points = [Point(at(row + 0.5, col + 0.5)) for row, col, _ in places]
    truth = write(tmp_path / "truth.gpkg", points, **{"class": [name for *_, name in places]})
    flood = np.zeros((30, 40), np.uint8)
    flood[:, :10] = 2  # finds one of two, and makes up two of three
    tags = {"FLOODLOOM_PRODUCT": "flood_map"}
    path = write_cog(flood, tmp_path / "flood.tif", geobox=GRID, nodata=255, tags=tags)
    out = evaluate(prediction=[path], truth=[truth], out=tmp_path / "scores.json")
    scores = json.loads(out.read_text())["flood"]
    assert [scores[name] for name in ("tp", "fp", "fn", "tn")] == [1, 2, 1, 1]
