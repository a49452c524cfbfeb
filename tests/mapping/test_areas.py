"""Areas on the ground, against geodesic polygons, and the minimum mapping unit by them."""

import csv
import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.features import sieve
from rasterio.warp import calculate_default_transform, reproject
from scipy.ndimage import gaussian_filter

from floodloom.errors import InputError
from floodloom.mapping.product_set import FloodProducts
from floodloom.raster.areas import pixel_areas, pixel_size
from floodloom.raster.cog import read_raster, write_cog
from floodloom.raster.grid import grid_from_bounds, pixel_geobox
from floodloom.raster.sieve import sieve_patches
from floodloom.sentinel1.relief import Elevation
from floodloom.settings import arguments_of
from floodloom.stages.delineate import delineate

UTM = Affine(10, 0, 4e5, 0, -10, 5e6)
MERCATOR_60 = Affine(20, 0, 1e6, 0, -20, 8.4e6)
TURNED = Affine.translation(1e6, 8.4e6) @ Affine.rotation(33.0) @ Affine.scale(20, -20)
GRIDS = {
    "UTM": (UTM, "EPSG:32633"),
    "UTM, outside its zone": (Affine(10, 0, 9e5, 0, -10, 5e6), "EPSG:32633"),
    "UTM across 180°": (Affine(30, 0, 1.8e5, 0, -30, 8.2e6), "EPSG:32701"),
    "UTM with heights": (UTM, CRS("EPSG:32633+3855").to_wkt()),
    "Web Mercator at 60°": (MERCATOR_60, "EPSG:3857"),
    "Web Mercator, turned": (TURNED, "EPSG:3857"),
    "Web Mercator, south up": (Affine(20, 0, 1e6, 0, 20, 8.3e6), "EPSG:3857"),
    "polar stereographic": (Affine(100, 0, 1.2e6, 0, -100, 2e6), "EPSG:3413"),
    "over the pole": (Affine(400, 0, -2e5, 0, -400, 1.5e5), "EPSG:3995"),
    "degrees": (Affine(0.001, 0, 14, 0, -0.001, 61), "EPSG:4326"),
    "coarse degrees": (Affine(0.02, 0, 14, 0, -0.02, 70), "EPSG:4326"),
    "feet": (Affine(30, 0, 9e5, 0, -30, 2e5), "EPSG:2263"),
}


def grid_of(name: str) -> GeoBox:
    affine, crs = GRIDS[name]
    return GeoBox((600, 800), affine, crs)


def geodesic_area(grid: GeoBox, rows: tuple[float, float], cols: tuple[float, float]) -> float:
    """Area of a rectangle of pixels on the ellipsoid, m²."""
    along = np.linspace(0, 1, 500)
    across = np.concatenate([along, along * 0 + 1, 1 - along, along * 0])
    down = np.concatenate([along * 0, along, along * 0 + 1, 1 - along])
    corner = cols[0] + across * np.ptp(cols), rows[0] + down * np.ptp(rows)
    crs = CRS.from_wkt(grid.crs.to_wkt())
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    places = to_degrees.transform(*(grid.affine @ corner))
    return abs(crs.get_geod().polygon_area_perimeter(*places[:2])[0])


@pytest.mark.parametrize("name", GRIDS)
def test_area_is_the_geodesic_one(name) -> None:
    grid = grid_of(name)
    areas = pixel_areas(grid)
    quarters = np.zeros(grid.shape.yx, "uint8")
    quarters[300:] += 2
    quarters[:, 400:] += 1
    found = areas.by_value(quarters, 3)
    for value, area in enumerate(found):
        rows, cols = (300 * (value // 2), 300), (400 * (value % 2), 400)
        spans = [(first, first + length) for first, length in (rows, cols)]
        assert area == pytest.approx(geodesic_area(grid, *spans), rel=2e-5)
    np.testing.assert_allclose(
        areas.strip(250, 253).sum(axis=1), areas.strip(0, 600).sum(1)[250:253]
    )


@pytest.mark.parametrize("name", GRIDS)
def test_sides_of_a_pixel_make_its_area(name) -> None:
    grid = grid_of(name)
    width, height = pixel_size(grid)
    middle = pixel_areas(grid).strip(300, 301)[0, 400]
    assert width * height == pytest.approx(middle, rel=1e-4)


def test_grids_without_a_crs_count_pixels_and_far_ones_are_refused() -> None:
    plain = pixel_geobox(3, 4)
    assert pixel_size(plain) is None
    assert pixel_areas(plain).by_value(np.ones((3, 4), "uint8"), 2).tolist() == [0, 12, 0]
    beside_the_disc = GeoBox((10, 10), Affine(1e6, 0, 2e7, 0, -1e6, 2e7), "+proj=ortho +lat_0=40")
    with pytest.raises(InputError, match="this CRS has no ground; crop"):
        pixel_areas(beside_the_disc)


def test_slopes_are_those_on_the_ground() -> None:
    """A slope of 10 % at 60°, where a metre of Web Mercator is half one on the ground."""
    grid = GeoBox((60, 60), MERCATOR_60, "EPSG:3857")
    _, height = pixel_size(grid)
    rows = np.mgrid[:60, :60][0]
    elevation = Elevation((rows * height * 0.1).astype("float32"), grid, "dem.tif")
    np.testing.assert_allclose(np.tan(np.radians(elevation.slope_on(grid)[:])), 0.1, rtol=1e-3)


def event(folder: Path, grid: GeoBox, percent: np.ndarray, **arguments) -> dict[str, float]:
    """Flood, ha, in the table, the polygons and the item of a map."""
    path = write_cog(percent, folder / "p.tif", geobox=grid, nodata=255)
    products = FloodProducts(
        out=folder / "flood.tif",
        vectors=folder / "flood.gpkg",
        item=folder / "flood.json",
        areas=folder / "areas.csv",
    )
    delineate(probability=path, products=products, **arguments_of(delineate, arguments))
    with (folder / "areas.csv").open() as file:
        table = float(next(csv.DictReader(file))["flood"])
    polygons = pyogrio.read_dataframe(folder / "flood.gpkg")
    item = json.loads((folder / "flood.json").read_text())
    return {
        "table": table,
        "polygons": polygons.loc[polygons["class"] == 2, "area_ha"].sum(),
        "item": item["properties"]["area_ha"]["flood"],
    }


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3413", "EPSG:3035", "EPSG:4326", "EPSG:2263"])
def test_all_products_give_the_same_hectares_in_any_crs(tmp_path, crs) -> None:
    """A disc of 2 km radius at 60° north, drawn in UTM and moved; feet lie beside New York."""
    utm = grid_from_bounds((500000, 6650000, 506000, 6656000), 32633, 20.0)
    if crs == "EPSG:2263":
        utm = grid_from_bounds((580000, 4500000, 586000, 4506000), 32618, 20.0)
    rows, cols = np.mgrid[: utm.shape.y, : utm.shape.x]
    wet = np.hypot(rows - 150, cols - 150) < 100
    percent = np.where(wet, 95, 5).astype("uint8")
    bounds = utm.extent.boundingbox.bbox
    affine, width, height = calculate_default_transform(utm.crs, crs, *utm.shape.xy, *bounds)
    moved = np.full((height, width), 255, "uint8")
    reproject(
        percent, moved, src_transform=utm.affine, src_crs=str(utm.crs), dst_crs=crs,
        dst_transform=affine, src_nodata=255, dst_nodata=255,
    )  # fmt: skip
    found = event(tmp_path, GeoBox(moved.shape, affine, crs), moved)
    expected = pixel_areas(utm).by_value(wet, 1)[1] / 10_000
    for where, hectares in found.items():
        assert hectares == pytest.approx(expected, rel=4e-3), where
        assert hectares == pytest.approx(found["table"], abs=1e-3), where


@pytest.mark.parametrize("name", ["UTM", "Web Mercator at 60°", "polar stereographic", "degrees"])
def test_a_patch_is_judged_by_its_own_ground(tmp_path, name) -> None:
    """Squares of one size in pixels, at the ends of a grid: some are large enough on the ground."""
    affine, crs = GRIDS[name]
    grid = GeoBox((12_000, 60), affine, crs)
    percent = np.full(grid.shape.yx, 5, "uint8")
    tops = (5, 6_000, 11_980)
    for top in tops:
        percent[top : top + 10, 20:30] = 95
    hectares = [geodesic_area(grid, (t, t + 10), (20, 30)) / 10_000 for t in tops]
    limit = np.mean(hectares[:2]) if name != "UTM" else hectares[0] * 1.01
    event(tmp_path, grid, percent, minimum_mapping_unit=limit)
    classes, _ = read_raster(tmp_path / "flood.tif")
    for top, size in zip(tops, hectares, strict=True):
        assert (classes[top, 25] == 2) == (size >= limit), (top, size, limit)


def test_thirty_pixels_are_three_tenths_of_a_hectare_all_over_a_zone() -> None:
    water = np.zeros((30, 30), bool)
    water[2:7, 2:8] = True
    water[12:17, 12:17] = True
    for west in (180_000, 500_000, 820_000):
        areas = pixel_areas(GeoBox((30, 30), Affine(10, 0, west, 0, -10, 1e5), "EPSG:32633"))
        kept = sieve_patches(water, np.ones_like(water), 3000.0, areas)[:]
        assert kept[2:7, 2:8].all()
        assert kept.sum() == 30


@pytest.mark.parametrize("rows", [7, 64, 512])
def test_sieve_is_that_of_gdal_where_pixels_are_equal(rows) -> None:
    areas = pixel_areas(pixel_geobox(120, 140))
    for seed in range(12):
        random = np.random.default_rng(seed)
        noise, cloud = random.normal(size=(2, 120, 140))
        water = gaussian_filter(noise, random.uniform(0.3, 2)) > 0
        seen = gaussian_filter(cloud, 4) > -0.2
        size = int(random.integers(2, 60))
        patches = sieve((water & seen).astype("uint8"), size=size, mask=seen, connectivity=4)
        np.testing.assert_array_equal(
            sieve_patches(water, seen, size, areas, rows=rows)[:], (patches == 1) & seen
        )


def test_patches_without_neighbours_stay() -> None:
    water = np.array([[1, 0, 1, 0, 1]], bool)
    seen = np.array([[1, 0, 1, 1, 0]], bool)
    areas = pixel_areas(pixel_geobox(1, 5))
    assert sieve_patches(water, seen, 10, areas)[:].tolist() == [[True, False, True, False, False]]


def test_map_says_its_hectares_on_the_ground(tmp_path) -> None:
    grid = GeoBox((200, 200), MERCATOR_60, "EPSG:3857")
    percent = np.full(grid.shape.yx, 95, "uint8")
    found = event(tmp_path, grid, percent)
    assert found["table"] == pytest.approx(geodesic_area(grid, (0, 200), (0, 200)) / 1e4, rel=1e-4)
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert abs(raster.transform.a * raster.transform.e) * 40_000 / 1e4 > 3.5 * found["table"]
