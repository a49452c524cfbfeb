"""Grids of events: one for all dates, across 180 degrees, near the poles, never absurd."""

from itertools import permutations

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Transformer
from rasterio.warp import transform_bounds

from floodloom.errors import InputError
from floodloom.raster.grid import grid_from_bounds
from floodloom.sentinel1.footprint import event_grid, footprint_of

WEST, EAST = (11.9, 45.9, 12.05, 46.1), (11.95, 45.9, 12.1, 46.1)


def product(epsg: int, longitude: float, latitude: float, side: int, spacing: float) -> xr.Dataset:
    """A scene without footprint around a place, as products of others are."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    half = side / 2 * spacing
    affine = Affine(spacing, 0, x - half, 0, -spacing, y + half)
    grid = GeoBox((side, side), affine, f"EPSG:{epsg}")
    return xr.Dataset({"vv": (("y", "x"), np.zeros((side, side)))}, xr_coords(grid, always_yx=True))


def planned(footprints, **options) -> GeoBox:
    given = {"epsg": None, "resolution": 30.0, "bounds": None, "dem": None} | options
    return event_grid(footprints, **given, source="scene")


@pytest.mark.parametrize(
    "footprints",
    [
        [WEST, EAST],
        [(17.0, 1.0, 17.9, 2.0), (18.0, -0.5, 20.0, 0.7), (17.5, -1.9, 18.4, -1.0)],
        [
            (178.0, -17.0, 179.8, -16.0),
            (179.5, -17.0, 180.6, -16.0),
            (-179.9, -17.0, -178.0, -16.0),
        ],
        [(24.0, 83.5, 29.0, 84.2), (25.0, 83.9, 31.0, 84.4)],
    ],
)
def test_all_dates_lie_on_one_grid(footprints) -> None:
    """Whichever comes first, across zones, the equator, 180 degrees and the end of UTM."""
    grids = [planned(order) for order in permutations(footprints)]
    assert all(grid == grids[0] for grid in grids)
    assert max(grids[0].shape) < 20_000


def test_where_all_middles_lie_in_one_zone_it_is_that() -> None:
    """And the grid is the one that GDAL's bounds of each footprint and its margin give."""
    footprints = [(12.1, 45.0, 14.9, 47.0), (16.5, 45.2, 17.9, 46.0)]
    bounds = [
        transform_bounds(
            "EPSG:4326", "EPSG:32633", w - 0.01, s - 0.01, e + 0.01, n + 0.01, densify_pts=21
        )
        for w, s, e, n in footprints
    ]
    lefts, bottoms, rights, tops = zip(*bounds, strict=True)
    whole = min(lefts), min(bottoms), max(rights), max(tops)
    assert planned(footprints) == grid_from_bounds(whole, 32633, 30.0)


@pytest.mark.parametrize(
    ("epsg", "longitude", "latitude", "zones"),
    [
        (32701, 180.0, -16.5, (32701, 32760)),
        (32760, 179.99, -16.5, (32701, 32760)),
        (4326, -180.0, 65.0, (32601, 32660)),
        (3832, 180.0, 5.0, (32601, 32660)),
        (32661, 30.0, 85.0, (32661,)),
        (3413, -45.0, 86.0, (32661,)),
        (3031, 180.0, -81.0, (32761,)),
    ],
)
def test_products_get_grids_of_their_own_size(epsg, longitude, latitude, zones) -> None:
    degrees = epsg == 4326
    scene = product(epsg, longitude, latitude, 1000, 0.0003 if degrees else 30.0)
    footprint = footprint_of(scene)
    grid = planned([footprint])
    assert -180 <= footprint[0] < 180
    assert grid.crs.to_epsg() in zones
    assert max(grid.shape) < (1400 if latitude < 60 else 2000)
    to_grid = Transformer.from_crs(epsg, grid.crs.to_epsg(), always_xy=True)
    corners = [
        scene.odc.geobox.affine @ place for place in ((0, 0), (1000, 0), (0, 1000), (999, 999))
    ]
    for x, y in corners:
        col, row = ~grid.affine @ to_grid.transform(x, y)
        assert -1 < col < grid.shape.x + 1
        assert -1 < row < grid.shape.y + 1


def test_a_product_over_the_pole_holds_all_longitudes() -> None:
    assert footprint_of(product(32661, 0.0, 90.0, 100, 1000.0))[::2] == (-180.0, 180.0)
    assert footprint_of(product(3031, 0.0, -90.0, 100, 1000.0))[1] == -90.0


@pytest.mark.parametrize("epsg", [4326, 4269, 3857])
def test_maps_that_end_at_180_degrees_are_refused_there(epsg: int) -> None:
    for footprints in (
        [(179.5, -17.0, 180.5, -16.0)],
        [(179.0, 5.0, 179.9, 6.0), (-180, 5, -179, 6)],
    ):
        with pytest.raises(InputError, match=f"EPSG:{epsg}: can't show the scenes in one piece"):
            planned(footprints, epsg=epsg, resolution=0.001 if epsg != 3857 else 100.0)
    for west, east in ((178.0, 179.0), (178.0, 179.995), (-180.0, -179.0)):
        fine = 0.01 if epsg != 3857 else 1000.0
        grid = planned([(west, 5.0, east, 6.0)], epsg=epsg, resolution=fine)
        assert 90 < grid.shape.x < 230


def test_metres_taken_for_degrees_are_refused() -> None:
    for resolution in (10, 20.0, 0.5):
        with pytest.raises(InputError, match=rf"resolution {resolution:g} is in degrees"):
            planned([WEST], epsg=4326, resolution=resolution)
    with pytest.raises(InputError, match=r"resolution 0\.0001: .* unit of EPSG:32633 is the metre"):
        planned([EAST], resolution=0.0001)
    with pytest.raises(InputError, match=r"resolution 20000 is in metres"):
        planned([EAST], resolution=20_000.0)


def elevations(path, crs: str, bounds, shape=(40, 60)):
    left, bottom, right, top = bounds
    affine = Affine((right - left) / shape[1], 0, left, 0, -(top - bottom) / shape[0], top)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=shape[0], width=shape[1], dtype="uint8",
        crs=crs, transform=affine,
    ) as raster:  # fmt: skip
        raster.write(np.zeros(shape, "uint8"), 1)
    return path


ACROSS = (179.9, -17.0, 180.1, -16.8)


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:4326", (179.0, -18.0, 181.0, -16.0)),
        ("EPSG:4326", (-181.0, -18.0, -179.0, -16.0)),
        ("EPSG:4326", (-180.0, -90.0, 180.0, 90.0)),
        ("EPSG:4326", (0.0, -60.0, 360.0, 80.0)),
        ("EPSG:32760", (600_000.0, 8_000_000.0, 900_000.0, 8_300_000.0)),
        ("EPSG:32701", (100_000.0, 8_000_000.0, 300_000.0, 8_300_000.0)),
    ],
)
def test_elevations_around_the_scenes_change_no_grid(tmp_path, crs, bounds) -> None:
    dem = elevations(tmp_path / "dem.tif", crs, bounds)
    assert planned([ACROSS], dem=dem) == planned([ACROSS])
    if bounds[2] - bounds[0] == 360.0:
        for footprint in ((11.0, 46.0, 12.0, 47.0), (-70.0, -50.0, -69.0, -49.5)):
            assert planned([footprint], dem=dem) == planned([footprint])


def test_the_grid_is_kept_to_the_elevations(tmp_path) -> None:
    east = elevations(tmp_path / "east.tif", "EPSG:4326", (-180.0, -18.0, -179.0, -16.0))
    whole, kept = planned([ACROSS]), planned([ACROSS], dem=east)
    assert 0.45 < kept.shape.x / whole.shape.x < 0.65
    assert kept.boundingbox.right == whole.boundingbox.right
    box = planned([EAST]).boundingbox
    inner = (box.left + 3000.0, box.bottom + 3000.0, box.right - 3000.0, box.top - 3000.0)
    dem = elevations(tmp_path / "inner.tif", "EPSG:32633", inner)
    assert planned([EAST], dem=dem) == grid_from_bounds(inner, 32633, 30.0)
    with pytest.raises(InputError, match=r"east\.tif: doesn't cover scene"):
        planned([EAST], dem=east)


def test_scenes_on_a_map_get_no_margin() -> None:
    scene = product(32633, 15.2, 45.0, 300, 10.0)
    around = [footprint_of(scene)]
    options = {"epsg": 32633, "resolution": 10.0}
    height, width = planned(around, **options, margin=0.0).shape.yx
    assert 300 <= height <= 303
    assert 300 <= width <= 303
    assert min(planned(around, **options).shape.yx) > 400
