"""Zones and other polygons that are broken, foreign, or made to harm."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from shapely.geometry import LineString, MultiPoint, Point, Polygon, box

from .harness import Trial
from .test_rasters import map_of

Words = tuple[str, ...]
INSIDE = box(450200, 5080200, 450400, 5080400)


def layer(
    file: str, shapes: list[Any], *, crs: str | None = "EPSG:32633", **columns: list[Any]
) -> Callable[[Trial], Path]:
    def make(trial: Trial) -> Path:
        gpd.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(trial.given / file)
        return trial.given / file

    return make


def text(name: str, content: bytes | str) -> Callable[[Trial], Path]:
    return lambda trial: trial.file(name, content)


def collection(*shapes: Any) -> str:
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features})


def cut(trial: Trial) -> Path:
    path = layer("x.gpkg", [INSIDE] * 50)(trial)
    return trial.file("x.gpkg", path.read_bytes()[:3000])


def spoilt(trial: Trial) -> Path:
    path = layer("x.gpkg", [INSIDE])(trial)
    with sqlite3.connect(path) as base:
        base.execute("DROP TABLE x")
    return path


def other_lines(trial: Trial) -> Path:
    """An OGR VRT of a file elsewhere, under the name of a GeoPackage."""
    secret = trial.folder / "beside" / "secret.csv"
    secret.write_text('name,WKT\n"TOP-SECRET","POLYGON((0 0,1 0,1 1,0 0))"\n')
    body = (
        f'<OGRVRTDataSource><OGRVRTLayer name="z"><SrcDataSource>{secret}</SrcDataSource>'
        '<SrcLayer>secret</SrcLayer><GeometryField encoding="WKT" field="WKT"/>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    return trial.file("x.gpkg", body)


def pipe(trial: Trial) -> Path:
    os.mkfifo(trial.given / "x.gpkg")
    return trial.given / "x.gpkg"


def nan_corner(trial: Trial) -> Path:
    corners = [(450200, 5080200), (float("nan"), 5080300), (450400, 5080400), (450200, 5080200)]
    return layer("x.gpkg", [Polygon(corners)])(trial)


CASES: dict[str, tuple[Callable[[Trial], Path], Words]] = {
    "not there": (lambda t: t.given / "x.gpkg", ("x.gpkg",)),
    "empty": (text("x.gpkg", b""), ("x.gpkg",)),
    "cut short": (cut, ("x.gpkg",)),
    "zeros": (text("x.gpkg", b"SQLite format 3\0" + bytes(5000)), ("x.gpkg",)),
    "a table that isn't there": (spoilt, ("x.gpkg",)),
    "a web page": (text("x.geojson", "<html>log in</html>"), ("x.geojson",)),
    "JSON of another kind": (text("x.geojson", '{"detail": "expired"}'), ("x.geojson",)),
    "JSON cut short": (
        text("x.geojson", collection(shapely.geometry.mapping(INSIDE))[:90]),
        ("x.geojson",),
    ),
    "JSON 100,000 deep": (
        text("x.geojson", '{"a":' * 100_000 + "1" + "}" * 100_000),
        ("x.geojson",),
    ),
    "layers that name a file elsewhere": (other_lines, ("x.gpkg",)),
    "a pipe": (pipe, ("x.gpkg",)),
    "points": (layer("x.gpkg", [Point(450200, 5080200)]), ("x.gpkg", "Point")),
    "several points": (
        layer("x.gpkg", [MultiPoint([(450200, 5080200)])]),
        ("x.gpkg", "MultiPoint"),
    ),
    "lines": (layer("x.fgb", [LineString([(0, 0), (1, 1)])]), ("x.fgb", "LineString")),
    "a corner that isn't a number": (nan_corner, ("x.gpkg", "number")),
    "no CRS": (layer("x.gpkg", [INSIDE], crs=None), ("CRS",)),
    "a table without shapes": (text("x.csv", "name,area\na,1\n"), ("x.csv",)),
    "a name of control characters": (
        text("x.shp", b"\0\0\x27\x0a" + bytes(96)),
        ("x.shp",),
    ),
}


def delineate(trial: Trial, zones: Path) -> tuple[object, ...]:
    probability = trial.event / "probability.tif"
    areas = ("--zones", zones, "--areas", trial.out / "areas.csv")
    return ("delineate", "--probability", probability, *areas, *map_of(trial))


@pytest.mark.parametrize("name", CASES)
def test_a_broken_file_of_zones_is_refused(name: str, trial: Trial) -> None:
    make, words = CASES[name]
    trial.refuses(*delineate(trial, make(trial)), words=words)


def areas(trial: Trial) -> list[list[str]]:
    with (trial.out / "areas.csv").open(newline="") as file:
        return list(csv.reader(file))


BOW = Polygon([(450200, 5080200), (450400, 5080400), (450400, 5080200), (450200, 5080400)])
HARMLESS: dict[str, tuple[Callable[[Trial], Path], int]] = {
    "no zone": (layer("x.gpkg", [], name=[]), 0),
    "an empty shape": (layer("x.gpkg", [Polygon(), INSIDE], name=["a", "b"]), 2),
    "a shape that crosses itself": (layer("x.gpkg", [BOW], name=["a"]), 1),
    "a zone of the whole Earth": (
        layer("x.geojson", [box(-180, -90, 180, 90)], crs="EPSG:4326"),
        1,
    ),
    "names of numbers": (layer("x.gpkg", [INSIDE], name=[7]), 1),
    "names twice": (layer("x.gpkg", [INSIDE, INSIDE], name=["a", "a"]), 2),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_odd_zones_are_listed(name: str, trial: Trial) -> None:
    make, count = HARMLESS[name]
    trial.accepts(*delineate(trial, make(trial)))
    assert len(areas(trial)) == 2 + count


@pytest.mark.parametrize("formula", ["=1+1", "+A1", "-A1", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_a_name_is_no_formula_of_a_spreadsheet(formula: str, trial: Trial) -> None:
    trial.accepts(*delineate(trial, layer("x.gpkg", [INSIDE], name=[formula])(trial)))
    (shown, *_) = areas(trial)[-1]
    assert shown[0] not in "=+-@\t\r"


@pytest.mark.parametrize("sign", ["\n", "\x1b[2J", "\u202e", "\x00", "\u2028"])
def test_a_name_moves_no_terminal(sign: str, trial: Trial) -> None:
    far = box(0, 0, 1, 1)
    outcome = trial.accepts(
        *delineate(trial, layer("x.geojson", [far], crs="EPSG:4326", name=[f"a{sign}b"])(trial))
    )
    assert f"a{sign}b" not in outcome.said
    assert areas(trial)[-1][0].isprintable()


def test_a_hundred_thousand_zones_are_told_or_listed(trial: Trial) -> None:
    """The answer may be a line, not a wait."""
    shapes = [box(450200 + i % 100, 5080200, 450203 + i % 100, 5080203) for i in range(100_000)]
    zones = trial.given / "x.fgb"
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633").to_file(zones)
    outcome = trial.run(*delineate(trial, zones))
    assert outcome.seconds < 10
    if outcome.code:
        assert "x.fgb" in outcome.lines[0]
    else:
        assert len(areas(trial)) == 100_002


@pytest.mark.parametrize("name", ["f.shp", "f.kml", "f", "f.gpkg.txt"])
def test_polygons_of_another_kind_of_file_are_refused(name: str, trial: Trial) -> None:
    made = (
        "--out",
        trial.out / "f.tif",
        "--vectors",
        trial.out / name,
        "--item",
        trial.out / "f.json",
    )
    probability = trial.event / "probability.tif"
    trial.refuses("delineate", "--probability", probability, *made, words=(name,))


def labelled(trial: Trial, labels: Path) -> tuple[object, ...]:
    given = ("--scene", trial.event / "scene.zarr", "--labels", labels, "--size", 32)
    return ("tile", *given, "--out", trial.out / "tiles.zarr")


OF_SHAPES_ALONE = ("points", "several points", "lines", "a corner that isn't a number")


@pytest.mark.parametrize("name", [name for name in CASES if name not in OF_SHAPES_ALONE])
def test_a_broken_file_of_labels_is_refused(name: str, trial: Trial) -> None:
    make, words = CASES[name]
    trial.refuses(*labelled(trial, make(trial)), words=words)


def with_properties(content: str) -> Callable[[Trial], Path]:
    shape = json.dumps(shapely.geometry.mapping(Point(0, 0)))
    feature = f'{{"type": "Feature", "properties": {content}, "geometry": {shape}}}'
    return text("x.geojson", f'{{"type": "FeatureCollection", "features": [{feature}]}}')


def by_class(trial: Trial) -> Path:
    folder = trial.given / "labels"
    folder.mkdir()
    (folder / "dry.gpkg").symlink_to(trial.event / "truth.tif")
    return folder


UNLABELLED: dict[str, tuple[Callable[[Trial], Path], Words]] = {
    "no class": (layer("x.gpkg", [INSIDE]), ("x.gpkg", "class")),
    "a class that isn't there": (layer("x.gpkg", [INSIDE], **{"class": [7]}), ("class", "7")),
    "a list of classes": (with_properties('{"class": [0, 1]}'), ("class", "[0, 1]")),
    "an object for a class": (with_properties('{"class": {"a": 1}}'), ("class",)),
    "a class of a megabyte": (with_properties(f'{{"class": "{"x" * 10**6}"}}'), ("class",)),
    "a class that moves the terminal": (with_properties('{"class": "\\u001b[2J\\n"}'), ("class",)),
    "a class that isn't a number": (with_properties('{"class": NaN}'), ("class", "nan")),
    "endless width": (with_properties('{"class": 0, "width_px": 1e999}'), ("width_px", "inf")),
    "no width": (with_properties('{"class": 0, "width_px": -1}'), ("width_px", "-1")),
    "a list of widths": (with_properties('{"class": 0, "width_px": [1]}'), ("width_px",)),
    "a raster under the name of a class": (by_class, ("dry.gpkg",)),
}


@pytest.mark.parametrize("name", UNLABELLED)
def test_features_that_label_nothing_are_refused(name: str, trial: Trial) -> None:
    make, words = UNLABELLED[name]
    trial.refuses(*labelled(trial, make(trial)), words=words)


ODDLY_LABELLED = {
    "no feature": layer("x.gpkg", [], **{"class": []}),
    "a shape that crosses itself": layer("x.gpkg", [BOW], **{"class": ["dry"]}),
    "a point that isn't a number": layer(
        "x.gpkg", [Point(float("nan"), 1.0), Point(float("inf"), 1.0)], **{"class": [0, 0]}
    ),
    "a line around the Earth": layer(
        "x.geojson", [LineString([(-180, 0), (180, 0)])], crs="EPSG:4326", **{"class": [0]}
    ),
    "the whole Earth": layer(
        "x.geojson", [box(-180, -90, 180, 90)], crs="EPSG:4326", **{"class": ["dry"]}
    ),
    "a hundred thousand points": layer(
        "x.fgb",
        [Point(450200 + i % 300, 5080200 + i // 300) for i in range(100_000)],
        **{"class": [0] * 100_000},
    ),
}


@pytest.mark.parametrize("name", ODDLY_LABELLED)
def test_odd_features_label_what_they_cover(name: str, trial: Trial) -> None:
    trial.accepts(*labelled(trial, ODDLY_LABELLED[name](trial)))
