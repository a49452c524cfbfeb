"""A known surface comes back on every grid, on both sides of 180 degrees."""

import dask.array as da
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from pyproj import Transformer

from floodloom.raster.align import reproject_layer


def box(epsg: int, longitude: float, latitude: float, side: int, spacing: float) -> GeoBox:
    to_map = Transformer.from_crs(4326, epsg, always_xy=True)
    x, y = to_map.transform(longitude, latitude)
    half = side / 2 * spacing
    return GeoBox((side, side), Affine(spacing, 0, x - half, 0, -spacing, y + half), f"EPSG:{epsg}")


def surface(grid: GeoBox) -> np.ndarray:
    """Smooth over hundreds of metres, without a leap anywhere."""
    height, width = grid.shape.yx
    col, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(*(grid.affine @ (col, row)))
    east = (longitude - 180.0 + 180.0) % 360.0 - 180.0
    return (2 + np.sin(np.radians(4000 * east)) + np.cos(np.radians(4000 * latitude))).astype("f4")


@pytest.mark.parametrize("target", [(32701, 180.0), (32760, 180.0), (32760, 179.97)])
@pytest.mark.parametrize(
    "source",
    [
        box(32701, 180.0, -16.5, 160, 30.0),
        box(32760, 179.985, -16.5, 160, 30.0),
        box(32701, -179.985, -16.5, 160, 30.0),
        box(4326, 180.0, -16.5, 160, 0.0003),
        box(4326, -180.0, -16.5, 160, 0.0003),
        box(4326, 179.975, -16.5, 160, 0.0003),
    ],
)
def test_surfaces_across_180_degrees(source: GeoBox, target: tuple[int, float]) -> None:
    epsg, longitude = target
    grid = box(epsg, longitude, -16.5, 250, 30.0)
    known = {}
    for chunk in (64, 160):
        layer = wrap_xr(da.from_array(surface(source), chunks=chunk), source)
        placed = reproject_layer(layer, grid, "bilinear", np.nan).compute()
        known[chunk] = np.isfinite(placed)
        assert np.abs(placed - surface(grid))[known[chunk]].max() < 0.02
    np.testing.assert_array_equal(known[64], known[160])
    to_source = Transformer.from_crs(epsg, source.crs.to_wkt(), always_xy=True)
    col, row = np.meshgrid(np.arange(250) + 0.5, np.arange(250) + 0.5)
    x, y = to_source.transform(*(grid.affine @ (col, row)))
    if source.crs.geographic:
        x = source.affine.c + (x - source.affine.c + 90.0) % 360.0 - 90.0
    col, row = ~source.affine @ (x, y)
    inside = (col > 1) & (col < 159) & (row > 1) & (row < 159)
    assert inside.sum() > 5000
    assert known[64][inside].all()
