"""Areas per zone, of polygons as people have them: each piece of ground once, or one line."""

import csv
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box, force_3d
from shapely.affinity import translate

from floodloom.errors import InputError
from floodloom.mapping.products import AreaSums
from floodloom.mapping.zones import area_table, read_zones, write_table
from floodloom.raster.areas import pixel_areas
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.polygons import repair

GRID = grid_from_bounds((400000, 5000000, 402000, 5001000), 32633, 10.0)
SQUARE = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]
BACK = [(0.0, 0.0), *SQUARE[::-1]]


def ring(*places: tuple[float, float]) -> Polygon:
    return Polygon(places)


SHAPES = {
    "once": (ring(*SQUARE), 16),
    "twice": (ring(*SQUARE, *SQUARE), 16),
    "there and back": (ring(*SQUARE, *BACK), 16),
    "bow tie": (ring((0, 0), (4, 4), (4, 0), (0, 4)), 8),
    "spike": (ring(*SQUARE, (0, 9), (0, 4)), 16),
    "parts that overlap": (MultiPolygon([box(0, 0, 3, 4), box(1, 0, 4, 4)]), 16),
    "the same part twice": (MultiPolygon([box(0, 0, 4, 4)] * 2), 16),
    "a part within a part": (MultiPolygon([box(0, 0, 4, 4), box(1, 1, 2, 2)]), 16),
    "hole": (Polygon(SQUARE, [box(1, 1, 3, 3).exterior]), 12),
    "holes that overlap": (
        Polygon(SQUARE, [box(1, 1, 2, 3).exterior, box(1, 1, 3, 2).exterior]),
        13,
    ),
    "hole that goes out": (Polygon(SQUARE, [box(3, 1, 9, 2).exterior]), 15),
    "hole along a cut": (
        ring(*SQUARE, (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)),
        12,
    ),
    "heights": (force_3d(ring(*SQUARE), 7.0), 16),
    "among points and lines": (
        GeometryCollection([Point(9, 9), box(0, 0, 4, 4), LineString([(5, 5), (9, 9)])]),
        16,
    ),
    "collection that overlaps": (GeometryCollection([box(0, 0, 3, 4), box(1, 0, 4, 4)]), 16),
    "line": (ring((0, 0), (4, 4), (2, 2)), 0),
    "empty": (Polygon(), 0),
    "missing": (None, 0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_ground_counts_once(name) -> None:
    shape, area = SHAPES[name]
    found = repair(shape)
    assert found.is_valid
    assert not found.has_z
    assert found.area == pytest.approx(area)


def class_areas(classes: np.ndarray, grid: GeoBox) -> dict[str, float]:
    sums = AreaSums(pixel_areas(grid))
    sums.add(classes, np.zeros_like(classes), 0)
    return sums.of_classes()


def hectares(zones: gpd.GeoDataFrame, grid: GeoBox = GRID) -> dict[str, float]:
    classes = np.full(grid.shape.yx, 2, "uint8")
    table = area_table(class_areas(classes, grid), classes, grid, zones)
    return dict(zip(table["zone"], table["flood"], strict=True))


def of_map(geometry: list[object], names: list[str], **arguments) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"zone": names}, geometry=geometry, **{"crs": 32633, **arguments})


def part_of(grid: GeoBox, rows: tuple[int, int], cols: tuple[int, int]) -> float:
    inside = np.zeros(grid.shape.yx, "uint8")
    inside[slice(*rows), slice(*cols)] = 1
    return pixel_areas(grid).by_value(inside, 1)[1] / 10_000


def test_invalid_zones_are_as_large_as_the_valid_one() -> None:
    names = [name for name, (_, area) in SHAPES.items() if area == 16]
    placed = [
        shapely.transform(SHAPES[name][0], lambda places: places * 100 + [400500, 5000200])
        for name in names
    ]
    found = hectares(of_map(placed, names))
    for name in names:
        assert found[name] == pytest.approx(part_of(GRID, (40, 80), (50, 90)), abs=1e-3), name


def test_zones_that_have_nothing_of_the_map_are_named_and_have_no_area(caplog) -> None:
    far, gone = box(500000, 5000000, 501000, 5001000), None
    found = hectares(of_map([far, gone, box(400000, 5000000, 401000, 5001000)], ["f", "g", "w"]))
    assert found["f"] == found["g"] == 0
    assert found["w"] == pytest.approx(part_of(GRID, (0, 100), (0, 100)), abs=1e-3)
    assert "zones without a geometry: g; their areas are 0" in caplog.text
    assert "zones without ground on the map: f; their areas are 0" in caplog.text


@pytest.mark.parametrize("crs", [4326, 3857, 3035, 4258])
def test_zones_in_any_crs_cover_their_ground(crs) -> None:
    """Halves of the map, and what is far larger than it, from where a line bends."""
    west, all_of_it = box(400000, 5000000, 401000, 5001000), box(*GRID.extent.boundingbox.bbox)
    moved = of_map([west, all_of_it], ["west", "all"]).to_crs(crs)
    found = hectares(moved)
    assert found["west"] == pytest.approx(part_of(GRID, (0, 100), (0, 100)), rel=1e-3)
    assert found["all"] == pytest.approx(found["whole map"], rel=1e-3)


def test_zones_far_larger_than_the_map_hold_it_once() -> None:
    zones = [box(-180, -90, 180, 90), box(-170, -80, 100, 80), box(10, 40, 20, 50)]
    found = hectares(of_map(zones, ["world", "most", "country"], crs=4326))
    for name in ("world", "most", "country"):
        assert found[name] == pytest.approx(found["whole map"], abs=1e-3), name


def test_what_a_zone_has_beyond_the_map_is_known_to_be_unknown() -> None:
    classes = np.full(GRID.shape.yx, 2, "uint8")
    half, inside = box(401000, 5000000, 403000, 5001000), box(400500, 5000200, 401500, 5000800)
    ring = box(401000, 5000000, 403000, 5001000) - box(402200, 5000200, 402800, 5000800)
    zones = of_map([half, inside, ring, None], ["half", "inside", "ring", "gone"])
    for crs in (32633, 4326, 3035):
        table = area_table(class_areas(classes, GRID), classes, GRID, zones.to_crs(crs))
        found = dict(zip(table["zone"], table["outside"], strict=True))
        assert found["whole map"] == found["inside"] == found["gone"] == 0
        assert found["half"] == pytest.approx(100, rel=5e-3)
        assert found["ring"] == pytest.approx(64, rel=8e-3)


def across(grid: GeoBox) -> tuple[Polygon, float]:
    """A square around 180° in degrees, longitudes from 0 to 360, and its share of a map, ha."""
    rows, cols = (100, 200), (60, 240)
    corners = grid.affine @ np.array(
        [[cols[0], cols[1], cols[1], cols[0]], [rows[0]] * 2 + [rows[1]] * 2]
    )
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(*corners)
    return Polygon(zip(np.asarray(longitude) % 360, latitude, strict=True)), part_of(
        grid, rows, cols
    )


@pytest.mark.parametrize("epsg", [32701, 32760, 4326, 3832])
def test_zones_across_180_degrees_however_they_are_written(tmp_path, epsg) -> None:
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(179.97, -16.45)
    step = 0.0003 if epsg == 4326 else 30.0
    grid = GeoBox((300, 300), Affine(step, 0, x, 0, -step, y), f"EPSG:{epsg}")
    square, expected = across(grid)
    halves = [square & box(0, -90, 180, 90), translate(square & box(180, -90, 360, 90), -360)]
    jumping = Polygon([((x + 180) % 360 - 180, y) for x, y in square.exterior.coords])
    forms = {
        "beyond 180": square,
        "below -180": translate(square, -360),
        "cut in two": MultiPolygon(halves),
        "jumping": jumping,
    }
    zones = of_map(list(forms.values()), list(forms), crs=4326).rename(columns={"zone": "name"})
    zones.to_file(tmp_path / "z.geojson", driver="GeoJSON")
    found = hectares(read_zones(tmp_path / "z.geojson"), grid)
    for name in forms:
        assert found[name] == pytest.approx(expected, rel=2e-3), name


@pytest.mark.parametrize("affine", ["south up", "turned"])
def test_zones_on_grids_of_any_orientation(affine) -> None:
    turned = Affine.translation(400000, 5000000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    south_up = Affine(10, 0, 400000, 0, 10, 5000000)
    grid = GeoBox((100, 200), south_up if affine == "south up" else turned, "EPSG:32633")
    corners = [grid.affine @ place for place in ((0, 0), (50, 0), (50, 100), (0, 100))]
    found = hectares(of_map([Polygon(corners)], ["west"]), grid)
    assert found["west"] == pytest.approx(part_of(grid, (0, 100), (0, 50)), abs=1e-3)


def test_names_are_those_of_the_file_or_numbers(tmp_path) -> None:
    zones = gpd.GeoDataFrame(
        {"NAME": ["a", None, " ", "a"]}, geometry=[box(0, 0, 1, 1)] * 4, crs=4326
    )
    zones.to_file(tmp_path / "z.gpkg")
    assert list(read_zones(tmp_path / "z.gpkg")["zone"]) == ["a", "2", "3", "a"]
    zones.drop(columns="NAME").to_file(tmp_path / "n.gpkg")
    assert list(read_zones(tmp_path / "n.gpkg")["zone"]) == ["1", "2", "3", "4"]


def test_files_that_hold_no_polygons_are_refused_in_one_line(tmp_path) -> None:
    for name, shape in (("p", Point(14, 45)), ("l", LineString([(14, 45), (15, 45)]))):
        of_map([shape], [name], crs=4326).rename(columns={"zone": "name"}).to_file(
            tmp_path / f"{name}.gpkg"
        )
        with pytest.raises(InputError, match=rf"{name}\.gpkg: zone {name} is a .*; give polygons"):
            read_zones(tmp_path / f"{name}.gpkg")
    (tmp_path / "t.csv").write_text("name,people\na,3\n")
    with pytest.raises(InputError, match=r"t\.csv: a table without geometry"):
        read_zones(tmp_path / "t.csv")
    place = {"type": "Polygon", "coordinates": [[[0, 0], [1e999, 1], [1, 1], [0, 0]]]}
    collection = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": place}]}  # fmt: skip
    (tmp_path / "i.geojson").write_text(json.dumps(collection))
    with pytest.raises(InputError, match=r"i\.geojson: "):
        read_zones(tmp_path / "i.geojson")


def test_zones_without_a_crs_are_refused() -> None:
    with pytest.raises(InputError, match="map and zones both need a CRS"):
        hectares(of_map([box(0, 0, 1, 1)], ["a"], crs=None))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|x", "'+cmd|x"),
        ("a;=1", "a;'=1"),
        ("\t=1", r"\t=1"),
        ("\u202ex\n", r"\u202ex\n"),
        ("-5", "-5"),
        ("Ober, Unter", "Ober, Unter"),
    ],
)
def test_names_in_a_table_are_no_formulas(tmp_path, name: str, written: str) -> None:
    table = pd.DataFrame({"zone": [name], "dry": [-1.5], "flood": [2.0]})
    write_table(table, tmp_path / "areas.csv")
    with (tmp_path / "areas.csv").open(newline="", encoding="utf-8") as lines:
        header, row = csv.reader(lines)
    assert header == ["zone", "dry", "flood"]
    assert row == [written, "-1.5", "2.0"]
